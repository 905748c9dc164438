"""Text to plain values with lines: what is refused, and that nothing but ConfigError comes out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_core.config.document import MAX_BYTES, MAX_NODES, Document, parse, printable, read_text, shown_path
from proxy_core.errors import ConfigError

ENDINGS = ("x.yaml", "x.json", "x.toml")
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *'{}[]:,"#&*!|>%@`-?= \n\t\\',
            "a",
            "servers",
            "${X}",
            "- ",
            "'",
            "1e999",
            "0x",
            "\ud7ff",
            "<<: ",
            "!!int ",
            "/*",
            "//",
            "---",
            "...",
            "\\ud800",
        ]
    ),
    max_size=40,
).map("".join)


def problem(text: str, name: str) -> tuple[int | None, str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path(name))
    (one,) = caught.value.problems
    return one.line, one.key, one.message


@given(text=st.one_of(st.text(), FRAGMENTS), name=st.sampled_from(ENDINGS))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arbitrary_text_is_read_or_refused_and_never_crashes(text: str, name: str):
    try:
        document = parse(text, Path(name))
    except ConfigError:
        return
    assert isinstance(document, Document)


@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_every_key_and_item_has_its_line(name: str):
    document = parse('{"a": 1,\n "b": [\n  2,\n  {"c": 3}]}', Path(name))
    assert document.data == {"a": 1, "b": [2, {"c": 3}]}
    assert document.line_of(("a",)) == 1
    assert document.line_of(("b", 0)) == 3
    assert document.line_of(("b", 1, "c")) == 4
    assert document.line_of(("b", 1, "nowhere", 5)) == 4


@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_a_duplicate_key_names_both_lines(name: str):
    assert problem('{"a": {"b": 1,\n"b": 2}}', name) == (2, "a.b", "duplicate key, already on line 1")


@pytest.mark.parametrize(
    ("text", "name", "line", "words"),
    [
        ("a: [1\nb: 2", "x.yaml", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2", "x.yaml", 2, "not valid YAML"),
        ("a: !!python/object:os.system x", "x.yaml", 1, "tag"),
        ("a: *nothing", "x.yaml", 1, "alias"),
        ("<<: {a: 1}", "x.yaml", 1, "merge keys"),
        ("? [a]\n: b", "x.yaml", 1, "plain text"),
        ('{"a": 1\n "b": 2}', "x.json", 2, "a comma or }"),
        ('{"a": NaN}', "x.json", 1, "a value is expected"),
        ('{"a": }', "x.json", 1, "a value is expected"),
        ('{"a": "x\n"}', "x.json", 1, "unfinished string"),
        ('{"a": 1}\n{}', "x.json", 2, "after the end"),
        ("", "x.json", 1, "missing at the end"),
        ('{"a": "\\ud800"}', "x.json", 1, "surrogate"),
        ("a = 1\nb = ?\n", "x.toml", 2, "not valid TOML"),
        ("a = 1\na = 2", "x.toml", None, "not valid TOML"),
        ("a: 1", "x.ini", None, "found .ini"),
    ],
)
def test_bad_syntax_says_what_and_where(text: str, name: str, line: int | None, words: str):
    found = problem(text, name)
    assert found[0] == line
    assert words in found[2]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[" * 5000, "x.yaml"),
        ("[" * 5000, "x.json"),
        ("a = " + "[" * 5000, "x.toml"),
        ("[" * 80 + "]" * 80, "x.json"),
    ],
)
def test_deep_nesting_is_refused(text: str, name: str):
    assert "nested too deeply" in problem(text, name)[2]


def test_an_alias_bomb_is_refused():
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert f"more than {MAX_NODES} values" in problem("\n".join(["l0: &l0 x", *levels]), "x.yaml")[2]


def test_an_alias_to_itself_is_refused():
    assert "nested too deeply" in problem("a: &a [*a]", "x.yaml")[2]


def test_json_may_have_comments_and_trailing_commas():
    text = '{ // one\n "a": [1, 2,], /* two\n */ "u": "http://x//y",\n}'
    document = parse(text, Path("x.json"))
    assert document.data == {"a": [1, 2], "u": "http://x//y"}
    assert document.line_of(("u",)) == 3


def test_a_yaml_date_stays_text():
    assert parse("a: 2026-01-01", Path("x.yaml")).data == {"a": "2026-01-01"}


def test_an_empty_yaml_file_is_an_empty_mapping():
    assert parse("# nothing\n", Path("x.yaml")).data == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a: \xff", "not UTF-8"), (b"#" * (MAX_BYTES + 1), "larger than")],
)
def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_text(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path):
    with pytest.raises(ConfigError, match="directory"):
        read_text(tmp_path)


def test_a_byte_order_mark_is_skipped(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(path) == "a: 1"


def test_a_key_path_is_readable_and_cannot_steer_a_terminal():
    assert shown_path(("servers", 2, "transport", "url")) == "servers[2].transport.url"
    assert "\x1b" not in shown_path(("\x1b[2J",))
    assert len(printable("x" * 100, 20)) == 20
