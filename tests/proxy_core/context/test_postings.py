import pytest

from proxy_core.context.postings import FIELDS, K1, collecting
from proxy_core.context.steps import finished
from proxy_core.context.tool_doc import FIELD_COUNT, ToolDoc, tokenised


def doc(name: str, description: str = "") -> ToolDoc:
    return tokenised("s", f"s__{name}", {"description": description})


def test_every_word_leads_to_the_tools_that_have_it():
    docs = [doc("open_gate"), doc("shut_gate"), doc("other", "It has no gate.")]
    numbers, postings = finished(collecting(docs))
    found = {word: [tool for tool, _ in postings.of(number)] for word, number in numbers.items()}
    assert found["gate"] == [0, 1, 2]
    assert found["open"] == [0]
    assert found["shut"] == [1]
    assert {word: postings.tools_with(number) for word, number in numbers.items()} == {
        word: len(tools) for word, tools in found.items()
    }


def test_a_word_is_worth_more_in_a_field_of_weight_and_in_a_short_one():
    docs = [
        doc("gate"),
        doc("gate_of_many_other_things"),
        doc("other", "A gate."),
        doc("last", "A hill, then a gate."),
    ]
    numbers, postings = finished(collecting(docs))
    worths = dict(postings.of(numbers["gate"]))
    assert worths[0] > worths[1] > worths[2] > worths[3] > 0
    assert max(worths.values()) < 1


def test_the_worth_of_a_word_in_fields_of_average_length_is_that_of_the_formula():
    numbers, postings = finished(collecting([doc("gate")]))
    weight = FIELDS[0].weight
    assert dict(postings.of(numbers["gate"]))[0] == pytest.approx(weight / (K1 + weight))


def test_every_field_has_its_weight():
    assert set(FIELDS) == set(range(FIELD_COUNT))


def test_no_tools_have_no_words():
    numbers, postings = finished(collecting([]))
    assert (numbers, list(postings.starts)) == ({}, [0])
