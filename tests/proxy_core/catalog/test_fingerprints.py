"""When two tools are the same, and what is different if not."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.fingerprints import (
    DIGEST_CHARS,
    MAX_TEXT_CHARS,
    PARTS,
    changed_parts,
    fingerprint_of,
    list_digest,
    text_of,
)

TOOL: dict[str, Any] = {
    "name": "read",
    "title": "Read",
    "description": "Reads a file.",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    "annotations": {"readOnlyHint": True},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        members = [(key, shuffled(inner, rng)) for key, inner in value.items()]
        rng.shuffle(members)
        return dict(members)
    return [shuffled(each, rng) for each in value] if isinstance(value, list) else value


@given(json_values, st.randoms(use_true_random=False))
def test_the_order_of_members_is_no_difference(schema: Any, rng: random.Random):
    tool = TOOL | {"inputSchema": schema}
    assert fingerprint_of(shuffled(tool, rng)) == fingerprint_of(tool)


@given(json_values, json_values)
def test_whatever_else_is_different_makes_another_digest(one: Any, other: Any):
    first, second = fingerprint_of(TOOL | {"outputSchema": one}), fingerprint_of(TOOL | {"outputSchema": other})
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (first.digest == second.digest) is same
    assert changed_parts(first.parts, second.parts) == (() if same else ("output schema",))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_counts_and_is_named(part: str):
    before, now = fingerprint_of(TOOL), fingerprint_of(TOOL | {part: "other"})
    assert before.digest != now.digest
    assert changed_parts(before.parts, now.parts) == (PARTS[part],)
    assert len(now.digest) == DIGEST_CHARS


def test_a_number_is_not_a_truth_value():
    one, other = TOOL | {"annotations": {"x": 1}}, TOOL | {"annotations": {"x": True}}
    assert one == other, "to Python they are equal"
    assert fingerprint_of(one) != fingerprint_of(other)
    assert list_digest([one]) != list_digest([other])


def test_a_text_moved_from_one_part_to_another_is_a_change():
    assert fingerprint_of({"title": "a"}).digest != fingerprint_of({"description": "a"}).digest


@pytest.mark.parametrize("odd", ["\ud800", 10**40, "\0", "\U000e0041"])
def test_what_cannot_be_written_as_usual_has_a_digest_too(odd: Any):
    tool = TOOL | {"annotations": {"x": odd}}
    assert fingerprint_of(tool) == fingerprint_of(dict(reversed(tool.items())))
    assert fingerprint_of(tool) != fingerprint_of(TOOL)
    text_of(tool | {"description": odd}).description.encode()


def test_the_text_of_a_part_is_bounded_and_its_digest_is_of_all():
    long = "x" * (MAX_TEXT_CHARS + 100)
    one, other = TOOL | {"description": long + "a"}, TOOL | {"description": long + "b"}
    assert len(text_of(one).description) == MAX_TEXT_CHARS
    assert fingerprint_of(one) != fingerprint_of(other)
    assert text_of({"name": "bare"}).input_schema == ""
