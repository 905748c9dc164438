"""What a recorded exchange says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view import recorded
from only1mcp_tui.view.exchange_json import exchange_json
from proxy_core.telemetry.exchanges import Hop, MessageKind
from tests.support.exchanges import SEARCH, hostile_detail, message, translated_detail


def test_the_first_request_and_the_last_answer_of_each_hop() -> None:
    detail = translated_detail()
    found = [f(detail) for f in (recorded.asked, recorded.answered, recorded.forwarded, recorded.returned)]
    assert [m.at_ms for m in found if m is not None] == [0.0, 412.6, 60.2, 411.0]


@pytest.mark.parametrize("body", ["", "[1]", "{", "[" * 100_000])
def test_a_body_without_params_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError):
        recorded.params_of(message(0, Hop.CLIENT, False, MessageKind.REQUEST, body))


@given(st.text())
def test_escaped_json_is_the_same_value_and_steers_nothing(text: str) -> None:
    written = recorded.json_text({"a": text})
    assert json.loads(written) == {"a": text}
    assert not any(0x7F <= ord(c) < 0xA0 or ord(c) < 0x20 or 0x202A <= ord(c) < 0x202F for c in written)


def test_an_exchange_as_json_has_its_bodies_as_json() -> None:
    whole = json.loads(exchange_json(translated_detail(), 2))
    assert whole["row"]["id"] == 8812
    assert whole["messages"][0]["body"]["arguments"] == SEARCH
    assert whole["masked"] == 3


def test_an_exchange_from_an_enemy_is_json_too() -> None:
    written = exchange_json(hostile_detail())
    assert json.loads(written)["row"]["id"] == 8900
    assert "\x1b" not in written
    assert "\u202e" not in written
