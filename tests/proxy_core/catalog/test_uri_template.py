from string import ascii_letters
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.uri_template import MAX_URI_CHARS, Uri, UriTemplate


def matches(template: str, uri: str) -> bool:
    return UriTemplate(template).matches(Uri(uri))


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        # RFC 6570, section 1.2 and 3.2: expansions of its own examples.
        ("{var}", "value"),
        ("{hello}", "Hello%20World%21"),
        ("{+path}/here", "/foo/bar/here"),
        ("here?ref={+path}", "here?ref=/foo/bar"),
        ("X{#var}", "X#value"),
        ("X{#x,hello,y}", "X#1024,Hello%20World!,768"),
        ("map?{x,y}", "map?1024,768"),
        ("X{.var}", "X.value"),
        ("www{.dom*}", "www.example.com"),
        ("{/var}", "/value"),
        ("{/var,x}/here", "/value/1024/here"),
        ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
        ("{;x,y}", ";x=1024;y=768"),
        ("{;keys*}", ";semi=%3B;dot=.;comma=%2C"),
        ("{?x,y}", "?x=1024&y=768"),
        ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
        ("{&x,y,empty}", "&x=1024&y=768&empty="),
        # An undefined variable leaves nothing, not even its operator.
        ("X{.undef}", "X"),
        ("X{?undef}", "X"),
        ("O{/undef}X", "OX"),
        # What servers write.
        ("file:///{path}", "file:///notes.txt"),
        ("note://{id}/rev/{rev}", "note://7/rev/2"),
        ("{a}-{b}", "1-2-3"),
        ("{+a}-{b}", "x-y/z-w"),
        ("weather://{city}{?units}", "weather://Bern?units=metric"),
        ("file:///{path:path}", "file:///a/b"),
        ("plain://text", "plain://text"),
        ("odd://{", "odd://{"),
        ("größe://{x}", "größe://ä"),
    ],
)
def test_a_uri_that_the_template_expands_to_matches(template: str, uri: str):
    assert matches(template, uri)


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{path}", "file:///a/b"),
        ("file:///{path}", "file:///a?b"),
        ("file:///{path}", "http://x"),
        ("file:///{path}.txt", "file:///a.md"),
        ("x{?q}", "xq=1"),
        ("x{?q}", "x?q=1#top"),
        ("x{/one}", "x/1/2"),
        ("x{;p}", "xp"),
        ("note://{id}/rev/{rev}", "note://7/rev"),
        ("plain://text", "plain://text2"),
        ("{a}-{b}", "12"),
        ("", "x"),
    ],
)
def test_a_uri_that_the_template_cannot_expand_to_does_not_match(template: str, uri: str):
    assert not matches(template, uri)


literals = st.text(ascii_letters + ":/.-_?#&;", max_size=6)
values = st.text(max_size=8)
expressions = st.sampled_from(["{v}", "{+v}", "{#v}", "{.v}", "{/v}", "{;v}", "{?v}", "{&v}"])


def expansion(expression: str, value: str) -> str:
    """RFC 6570, section 3.2, for one defined variable."""
    operator = expression[1] if expression[1] != "v" else ""
    reserved = ":/?#[]@!$&'()*+,;=" if operator in ("+", "#") and operator else ""
    lead = "" if operator in ("", "+") else operator
    name = "v=" if operator in ("?", "&") else "v" + "=" * bool(value) if operator == ";" else ""
    return lead + name + quote(value, safe="~" + reserved)


@given(st.lists(st.tuples(literals, expressions, values), max_size=6), literals)
def test_every_expansion_of_a_template_matches_it(pieces: list[tuple[str, str, str]], tail: str):
    template = "".join(literal + expression for literal, expression, _ in pieces) + tail
    uri = "".join(literal + expansion(expression, value) for literal, expression, value in pieces) + tail
    assert matches(template, uri)


@given(st.text(), st.text())
def test_any_text_is_a_template_and_any_text_can_be_matched(template: str, uri: str):
    assert matches(template, uri) in (True, False)


@pytest.mark.parametrize("template", ["{a}" * 600, "{a}-" * 400 + "!", "{+a}a" * 400 + "!", "{/a}" * 500])
def test_a_hostile_pair_of_template_and_uri_is_answered(template: str):
    """No clock is needed: one that tries every way to match would not end before the stars burn out."""
    assert not matches(template, "a-/" * (MAX_URI_CHARS // 3) + "?")
