import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.protocol.canonical import canonical_params

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def canonical(text: str) -> bytes | None:
    return canonical_params(Raw(text.encode()))


def test_order_and_spaces_make_no_difference():
    assert canonical('{"uri": "a", "x": {"c": 1, "b": [2, 1]}}') == canonical(
        '{"x":{"b":[2,1],"c":1},"uri":"a"}'
    )
    assert canonical('{"x":[1,2]}') != canonical('{"x":[2,1]}')


def test_what_is_said_about_the_request_alone_is_left_out():
    assert canonical('{"uri":"a","_meta":{"progressToken":1}}') == canonical('{"uri":"a"}') == b'{"uri":"a"}'


def test_no_parameters_are_empty_ones():
    assert canonical_params(Raw()) == canonical("{}") == b"{}"


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"x":{"a":1,"\\u0061":2}}',
        '{"uri":"a","requestState":"s"}',
        '{"uri":"a","inputResponses":{}}',
        '{"name":"a","task":{}}',
        '{"a":NaN}',
        '{"a":"\\ud83d"}',
        '{"a":1e999}',
        "[1]",
        '{"a":',
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_what_may_mean_something_else_to_its_server_equals_nothing(text: str):
    assert canonical(text) is None


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_equal_values_have_one_spelling_and_keep_their_meaning(value: dict[str, Any]):
    for tied in ("_meta", "inputResponses", "requestState", "task"):
        value.pop(tied, None)
    turned = dict(reversed(value.items()))
    one, other = (canonical(json.dumps(each)) for each in (value, turned))
    assert one == other
    if one is not None:
        assert json.loads(one) == value
