"""What clients bring back."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.errors import InvalidRequestState, Only1Error
from proxy_core.gateway.exchange import Exchange
from proxy_core.gateway.states import TTL_S, StateKind, States
from proxy_core.protocol.sealed import Sealer
from tests.support.clock import FakeClock
from tests.support.stub_backends import Outbox, client

SEALER = Sealer([b"k" * 32])


def exchange(arguments: Any = None, **more: Any) -> Exchange:
    params = {"name": "box__run"} | ({} if arguments is None else {"arguments": arguments})
    wanted = {"method": "tools/call", "backend": "box", "target": "box__run", "principal": "bob"} | more
    raw = Raw(json.dumps(params).encode())
    caller = client(principal=wanted["principal"])
    return Exchange(wanted["method"], raw, caller, Outbox(), backend=wanted["backend"], target=wanted["target"])


@pytest.fixture
def states(clock: FakeClock) -> States:
    return States(lambda: SEALER, clock)


@pytest.mark.parametrize("kind", list(StateKind))
def test_what_was_kept_comes_back_for_the_same_request(states: States, kind: StateKind):
    token = states.seal(kind, exchange({"a": 1, "b": [{"c": 2, "d": 3}]}), "kept", "b")
    assert states.open(exchange({"b": [{"d": 3, "c": 2}], "a": 1}), token) == (kind, "kept", "b")


def test_no_arguments_and_empty_ones_are_the_same(states: States):
    token = states.seal(StateKind.WRAP, exchange(), "kept")
    assert states.open(exchange({}), token) == (StateKind.WRAP, "kept", "")


@pytest.mark.requirement("M09")
@pytest.mark.parametrize(
    "other",
    [
        exchange({"a": 2}),
        exchange({"a": "1"}),
        exchange(),
        exchange({"a": 1}, method="prompts/get"),
        exchange({"a": 1}, backend="web"),
        exchange({"a": 1}, target="run"),
        exchange({"a": 1}, principal="eve"),
    ],
)
def test_any_other_request_is_refused(states: States, other: Exchange):
    token = states.seal(StateKind.WRAP, exchange({"a": 1}), "kept")
    with pytest.raises(InvalidRequestState):
        states.open(other, token)


@pytest.mark.requirement("M09")
@pytest.mark.parametrize("kind", list(StateKind))
def test_a_state_expires(states: States, clock: FakeClock, kind: StateKind):
    token = states.seal(kind, exchange(), "kept")
    clock.advance(TTL_S[kind] - 1)
    states.open(exchange(), token)
    clock.advance(1)
    with pytest.raises(InvalidRequestState):
        states.open(exchange(), token)


def test_another_process_with_the_same_key_serves_all_but_parked_calls(states: States, clock: FakeClock):
    elsewhere = States(lambda: SEALER, clock)
    for kind in (StateKind.WRAP, StateKind.RETRY):
        assert elsewhere.open(exchange(), states.seal(kind, exchange(), "kept")) == (kind, "kept", "")
    with pytest.raises(InvalidRequestState):
        elsewhere.open(exchange(), states.seal(StateKind.PARK, exchange(), "kept"))


def test_what_was_sealed_for_another_purpose_or_in_another_form_is_refused(states: States):
    tokens = [
        SEALER.seal("cursor", {"t": "wrap"}),
        SEALER.seal("state", {}),
        SEALER.seal("state", {"t": "odd"}),
        None,
    ]
    for token in tokens:
        with pytest.raises(InvalidRequestState):
            states.open(exchange(), token)


def test_a_state_names_nobody_and_is_never_the_same_twice(states: States):
    first, second = (states.seal(StateKind.WRAP, exchange({"secret": "s"}), "kept") for _ in range(2))
    assert first != second
    payload = SEALER.open("state", first)
    assert "bob" not in json.dumps(payload)
    assert payload["a"] != SEALER.open("state", second)["a"]


def test_what_would_not_fit_is_not_sealed(states: States):
    with pytest.raises(Only1Error):
        states.seal(StateKind.WRAP, exchange(), "x" * 66_000)
