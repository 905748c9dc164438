from typing import Any

import pytest
from hypothesis import given

from proxy_core.context import tool_doc
from proxy_core.context.tool_doc import (
    DESCRIPTION,
    FIELD_COUNT,
    FIRST_SENTENCE,
    MAX_WORDS,
    NAME,
    PARAMETER_NAMES,
    PARAMETER_TEXTS,
    SERVER,
    TITLE,
    ToolDoc,
    tokenised,
)
from tests.proxy_core.context.schemas import odd_schemas

TOOL: dict[str, Any] = {
    "name": "harbour__moorShip",
    "title": "Moor",
    "description": "Tie a vessel. It waits for the tide.",
    "annotations": {"title": "ignored"},
    "inputSchema": {
        "type": "object",
        "properties": {
            "berth": {"description": "Where", "enum": ["north", "south", 3]},
            "crew": {"type": "array", "items": {"properties": {"captain": {"type": "string"}}}},
        },
    },
}


def fields(doc: ToolDoc) -> dict[str, dict[int, int]]:
    """Word -> field -> how often."""
    return {
        word: {field: n for field in range(FIELD_COUNT) if (n := doc.counts[at * FIELD_COUNT + field])}
        for at, word in enumerate(doc.words)
    }


def test_each_word_is_counted_where_it_stands():
    assert fields(tokenised("harbour", "harbour__moorShip", TOOL)) == {
        "moor": {NAME: 1, TITLE: 1},
        "ship": {NAME: 1},
        "moorship": {NAME: 1},
        "harbour": {SERVER: 1},
        "tie": {FIRST_SENTENCE: 1, DESCRIPTION: 1},
        "vessel": {FIRST_SENTENCE: 1, DESCRIPTION: 1},
        "wait": {DESCRIPTION: 1},
        "tide": {DESCRIPTION: 1},
        "berth": {PARAMETER_NAMES: 1},
        "crew": {PARAMETER_NAMES: 1},
        "captain": {PARAMETER_NAMES: 1},
        "north": {PARAMETER_TEXTS: 1},
        "south": {PARAMETER_TEXTS: 1},
    }


def test_the_lengths_are_those_of_the_fields():
    assert tokenised("harbour", "harbour__moorShip", TOOL).lengths == (3, 1, 1, 2, 4, 3, 2)


def test_the_title_of_the_annotations_counts_where_there_is_no_other():
    untitled = {key: value for key, value in TOOL.items() if key != "title"}
    assert fields(tokenised("harbour", "harbour__moorShip", untitled))["ignor"] == {TITLE: 1}


@pytest.mark.parametrize(
    ("description", "first"),
    [
        ("Tie a vessel. Wait.", {"tie", "vessel"}),
        ("\n  Tie a vessel\n  Wait", {"tie", "vessel"}),
        ("Tie version 1.5 up", {"tie", "version", "1", "5"}),
        ("", set()),
        (None, set()),
    ],
)
def test_the_first_sentence_is_that_of_the_description(description: str | None, first: set[str]):
    words = fields(tokenised("a", "a__b", {"description": description}))
    assert {word for word, where in words.items() if FIRST_SENTENCE in where} == first


def test_a_name_without_its_server_is_whole():
    assert "moor" in tokenised("harbour", "moor", TOOL).words


def test_a_word_said_too_often_is_counted_to_the_brim():
    doc = tokenised("a", "a__b", {"description": "\n" + "tide " * 2_000})
    assert fields(doc)["tide"][DESCRIPTION] == 255


def test_words_beyond_the_bound_are_left_out():
    doc = tokenised("a", "a__b", {"description": " ".join(f"w{number}x" for number in range(9_000))})
    assert sum(doc.lengths) <= MAX_WORDS + tool_doc.PIECE_CHARS


def test_a_text_in_pieces_is_the_same_text():
    words = [f"gate{number:03}" for number in range(200)]
    assert set(tokenised("a", "a__b", {"description": " ".join(words)}).words) >= {
        f"{number:03}" for number in range(200)
    }


@given(odd_schemas, odd_schemas)
def test_whatever_a_server_sends_is_read(tool: Any, schema: Any):
    doc = tokenised("a", "a__b", {**(tool if isinstance(tool, dict) else {}), "inputSchema": schema})
    assert len(doc.counts) == FIELD_COUNT * len(doc.words)
    assert len(set(doc.words)) == len(doc.words)
