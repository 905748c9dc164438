"""The difference of two JSON values."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.json_diff import Change, Diff, json_diff, preview

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(old: Any, new: Any) -> bool:
    """Equal as JSON: true is not 1, and NaN is NaN."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return bool(old == new) or json.dumps(old) == json.dumps(new) == "NaN"


def told(diff: Diff) -> list[tuple[str, str, str, str]]:
    return [(each.change.value, each.path, each.old, each.new) for each in diff.listed]


@given(VALUES, VALUES)
def test_it_is_empty_if_and_only_if_they_are_equal(old: Any, new: Any) -> None:
    assert json_diff(old, new).is_empty is same(old, new)
    assert json_diff(old, json.loads(json.dumps(old))).is_empty


@given(VALUES, VALUES)
def test_the_other_way_round_what_was_added_is_removed(old: Any, new: Any) -> None:
    there, back = json_diff(old, new), json_diff(new, old)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)


def test_members_and_items_are_told_by_their_paths() -> None:
    old = {"content": [{"type": "text", "text": "a"}], "gone": 1, "same": [1]}
    new = {"content": [{"type": "text", "text": "b"}, 5], "same": [1], "fresh": {"x": None}}
    assert told(json_diff(old, new)) == [
        ("changed", "content[0].text", '"a"', '"b"'),
        ("added", "content[1]", "", "5"),
        ("removed", "gone", "1", ""),
        ("added", "fresh", "", '{"x": null}'),
    ]


def test_one_more_tool_in_the_middle_is_one_difference() -> None:
    tools = [{"name": name, "inputSchema": {}} for name in "abcd"]
    diff = json_diff({"tools": [tools[0], *tools[2:]]}, {"tools": tools})
    assert told(diff) == [("added", "tools[name=b]", "", '{"name": "b", "inputSchema": {}}')]


def test_another_order_of_named_things_is_a_difference() -> None:
    tools = [{"name": name} for name in "ab"]
    diff = json_diff(tools, tools[::-1])
    assert told(diff) == [("changed", "(order)", '"name=a name=b"', '"name=b name=a"')]


def test_true_is_not_one() -> None:
    assert json_diff([True], [1]).changed == 1


def test_all_are_counted_and_some_are_listed() -> None:
    diff = json_diff({}, {str(number): number for number in range(100_000)}, most=50)
    assert (diff.added, len(diff.listed), diff.unlisted) == (100_000, 50, 99_950)


def test_depth_does_not_hurt() -> None:
    old: Any = 1
    new: Any = 2
    for _ in range(100_000):
        old, new = [old], [new]
    diff = json_diff(old, new)
    assert diff.changed == 1
    assert diff.listed[0].path.startswith("…[0]")
    assert json_diff({"a": old}, {}).listed[0].change is Change.REMOVED


@given(VALUES, st.integers(2, 40))
def test_a_preview_is_the_beginning_of_the_value(value: Any, limit: int) -> None:
    whole = json.dumps(value, ensure_ascii=False)
    short = preview(value, limit)
    assert len(short) <= limit
    assert short == whole or whole.startswith(short.removesuffix("…"))
