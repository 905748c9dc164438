from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy_core.context import grams, postings, tool_doc
from proxy_core.context.index_build import IndexBuild, Source
from tests.proxy_core.context.made_up_tools import source, sources, tool


def test_there_is_no_index_before_the_end():
    build = IndexBuild(sources())
    next(iter(build))
    with pytest.raises(RuntimeError):
        _ = build.index


def test_after_the_last_step_the_index_has_every_tool():
    build = IndexBuild(sources())
    for _ in build:
        pass
    assert build.index.names == tuple(each.name for each in sources())
    assert build.read == len(build.index.names)


def test_only_what_changed_is_read_again():
    before = IndexBuild(sources())
    before.run()
    changed = [source("ledger", tool("create_invoice", "Write a bill with a zebra on it."), version=1)]
    rest = [each for each in sources() if each.name != "ledger__create_invoice"]
    build = IndexBuild([*rest, *changed], before.docs)
    index = build.run()
    assert build.read == 1
    assert index.search(["zebra"])[0].name == "ledger__create_invoice"
    assert before.index.search(["zebra"]) == []


def test_what_is_gone_is_forgotten():
    before = IndexBuild(sources())
    before.run()
    build = IndexBuild([each for each in sources() if each.server != "ledger"], before.docs)
    assert not any(name.startswith("ledger__") for name in build.run().names)
    assert not any(key.startswith("ledger__") for key in build.docs)


def test_an_index_made_with_known_words_is_the_same():
    before = IndexBuild(sources())
    again = IndexBuild(sources(), before.docs) if before.run() else None
    assert again is not None
    for query in ("create invoice", "vessel", "remove"):
        assert again.run().search([query], limit=20) == before.index.search([query], limit=20)


HOSTILE: list[dict[str, Any]] = [
    tool("words", " ".join(f"word{number}" for number in range(20_000))),
    tool("stopwords", "the " * 50_000),
    tool("unbroken", "x" * 200_000),
    tool("parts", "aB" * 50_000),
    tool("scores", "a_" * 50_000),
    tool("blank", " \n" * 50_000),
    tool("signs", "!?" * 50_000),
    tool("wide", "日本語" * 20_000),
    tool("parameters", "", **{f"parameter{number}": "Of many." for number in range(5_000)}),
    {"name": "values", "inputSchema": {"enum": [f"value{number}" for number in range(50_000)]}},
    {"name": "empty", "inputSchema": {"enum": [""] * 50_000}},
]


def test_no_step_does_much_whatever_a_server_sends(monkeypatch: pytest.MonkeyPatch):
    """Work is counted, not timed: what is looked at and what is made between two yields."""
    done = dict.fromkeys(("characters", "words", "postings", "runs"), 0)

    def counted(name: str, function: Callable[..., Any], size: Callable[[Any], int] = lambda _: 1) -> Any:
        def call(*args: Any) -> Any:
            done[name] += size(args[0])
            return function(*args)

        return call

    def counted_words(text: str) -> Iterator[str]:
        for word in words_of(text):
            done["words"] += 1
            yield word

    words_of = counted("characters", tool_doc.words_of, len)
    monkeypatch.setattr(tool_doc, "words_of", counted_words)
    monkeypatch.setattr(postings, "_worth", counted("postings", postings._worth))
    monkeypatch.setattr(grams, "runs_of", counted("runs", grams.runs_of))
    build = IndexBuild(Source(each["name"], "hostile", each["name"], each) for each in HOSTILE)
    total, longest = done.copy(), done.copy()
    for _ in build:
        for name, count in done.items():
            longest[name] = max(longest[name], count)
            total[name] += count
            done[name] = 0
    assert build.index.search(["words"])[0].name == "words"
    assert longest["words"] <= tool_doc.WORDS_A_STEP + tool_doc.PIECE_CHARS + 1
    assert longest["characters"] <= tool_doc.WORDS_A_STEP * 10 + 2 * tool_doc.PIECE_CHARS
    assert longest["postings"] <= postings.POSTINGS_A_STEP
    assert longest["runs"] <= grams.WORDS_A_STEP
    assert 4_000 < total["words"] < len(HOSTILE) * (tool_doc.MAX_WORDS + tool_doc.PIECE_CHARS)
    assert total["characters"] < len(HOSTILE) * 3 * tool_doc.MAX_TEXT
    assert total["postings"] > 4_000
