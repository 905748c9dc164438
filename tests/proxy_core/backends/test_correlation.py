"""Ids, tokens and deadlines of one connection, with time passed in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.correlation import Correlation, Pending
from tests.support.scripted_channel import Sink


def correlation() -> Correlation[str]:
    return Correlation("secret-")


def opened(table: Correlation[str], waiter: str = "waiter", **more: Any) -> Pending[str]:
    return table.open("tools/call", waiter, **{"now": 0.0, "idle_s": 10.0, "cap_s": 60.0} | more)


def call_of(sink: Sink) -> Call:
    return Call("tools/call", Raw(), sink=sink)


def token(table: Correlation[str], pending: Pending[str]) -> str:
    return table.token(pending).decode().strip('"')


def test_an_id_is_never_used_twice() -> None:
    table = correlation()
    ids = []
    for _ in range(5):
        pending = opened(table)
        ids.append(pending.id)
        table.close(pending.id)
    assert len(set(ids)) == 5


def test_an_id_that_is_minted_is_no_requests() -> None:
    table = correlation()
    minted = table.mint()
    assert table.get(minted) is None
    assert minted not in {opened(table).id, table.mint()}


def test_an_answer_reaches_the_request_it_names_in_any_order() -> None:
    table = correlation()
    first, second = opened(table, "first"), opened(table, "second")
    assert table.close(second.id) is second
    assert table.close(first.id) is first
    assert len(table) == 0


@pytest.mark.parametrize("almost_one", [1.0, True, "1", None, [1], {"id": 1}])
def test_only_the_integer_itself_names_a_request(almost_one: object) -> None:
    table = correlation()
    assert opened(table).id == 1
    assert table.get(almost_one) is None
    assert table.close(almost_one) is None
    assert table.close(1) is not None


def test_an_answer_counts_once() -> None:
    table = correlation()
    pending = opened(table)
    assert table.close(pending.id) is pending
    assert table.close(pending.id) is None


@pytest.mark.requirement("P03")
def test_progress_must_rise() -> None:
    table = correlation()
    pending = opened(table)
    name = token(table, pending)
    rising = [table.progressed(name, value, 1.0) is pending for value in (0, 1, 1, 0.5, 1.5, 1.5, 2)]
    assert rising == [True, True, False, False, True, False, True]


@pytest.mark.requirement("P03")
def test_progress_after_the_answer_belongs_to_nobody() -> None:
    table = correlation()
    pending = opened(table)
    name = token(table, pending)
    table.close(pending.id)
    assert table.progressed(name, 1, 1.0) is None


@pytest.mark.parametrize("value", [True, "1", None, [1], {}])
def test_progress_that_is_no_number_is_dropped(value: object) -> None:
    table = correlation()
    assert table.progressed(token(table, opened(table)), value, 1.0) is None


@pytest.mark.parametrize(
    "guess", ["1", 1, 1.0, True, None, "secret-", "secret-2", "secret-1.0", "secret--1", "secret-" + "9" * 5000]
)
def test_a_token_that_we_did_not_send_belongs_to_nobody(guess: object) -> None:
    table = correlation()
    opened(table)
    assert table.progressed(guess, 1, 1.0) is None


def test_progress_moves_the_idle_deadline_and_not_the_cap() -> None:
    table = correlation()
    pending = opened(table, idle_s=10, cap_s=25)
    assert table.expired(9.9) == []
    table.progressed(token(table, pending), 1, 9.9)
    assert table.expired(19.8) == []
    table.progressed(token(table, pending), 2, 19.8)
    assert table.expired(24.9) == []
    assert table.expired(25) == [pending]


def test_progress_that_does_not_rise_moves_no_deadline() -> None:
    table = correlation()
    pending = opened(table, idle_s=10)
    table.progressed(token(table, pending), 1, 5)
    table.progressed(token(table, pending), 1, 14)
    assert table.expired(15) == [pending]


def test_what_has_expired_stays_until_it_is_closed() -> None:
    table = correlation()
    pending = opened(table, idle_s=1)
    assert table.expired(1) == table.expired(2) == [pending]
    table.close(pending.id)
    assert table.expired(3) == []


def test_the_idle_clock_stands_still_while_the_backend_waits_for_input() -> None:
    table = correlation()
    pending = opened(table, idle_s=10, cap_s=1000)
    pending.hold(4)
    pending.hold(6)
    assert table.expired(500) == []
    pending.release(500)
    assert table.expired(600) == [], "one question is still open"
    pending.release(604)
    assert table.expired(609.5) == []
    assert table.expired(610) == [pending], "it goes on from where it stood"


def test_progress_while_the_backend_waits_for_input_starts_the_idle_clock_anew() -> None:
    table = correlation()
    pending = opened(table, idle_s=10, cap_s=1000)
    pending.hold(9)
    table.progressed(token(table, pending), 1, 50)
    pending.release(80)
    assert table.expired(89) == []
    assert table.expired(90) == [pending]


def test_the_cap_stands_while_the_backend_waits_for_input() -> None:
    table = correlation()
    pending = opened(table, idle_s=10, cap_s=100)
    pending.hold(1)
    assert table.expired(100) == [pending]
    assert not pending.has_idled(100)


def test_a_message_without_a_name_belongs_to_the_only_call_of_a_client() -> None:
    table = correlation()
    opened(table)
    assert table.only_one_with_sink() is None
    call = opened(table, call=call_of(Sink()))
    assert table.only_one_with_sink() is call
    opened(table, call=call_of(Sink()))
    assert table.only_one_with_sink() is None


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.builds("secret-{}".format, st.text() | st.integers()),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
)
def test_no_token_and_no_value_does_harm(name: object, value: object) -> None:
    table = correlation()
    pending = opened(table)
    assert table.progressed(name, value, 1.0) in (None, pending)
    assert table.close(pending.id) is pending


def test_of_several_calls_a_parked_one_says_nothing_unless_it_is_another_principals() -> None:
    table = correlation()
    parked = call_of(Sink())
    parked.is_parked = True
    opened(table, call=parked)
    running = opened(table, call=call_of(Sink()))
    assert table.only_one_with_sink() is running
    parked.principal = "token:other"
    assert table.only_one_with_sink() is None


# --- what goes on as a task ----------------------------------------------------------------------------------


def test_a_task_is_in_flight_in_the_place_of_its_request_with_the_same_deadlines() -> None:
    table = correlation()
    sink = Sink()
    pending = opened(table, "first", call=call_of(sink))
    table.close(pending.id)
    going_on = table.go_on(pending, "second", "t1")
    assert (going_on.waiter, going_on.task, going_on.sink) == ("second", "t1", sink)
    assert going_on.id != pending.id
    assert table.get(pending.id) is None
    assert table.expired(9.0) == []
    assert table.expired(10.0) == [going_on]
    going_on.heard(10.0, pause_s=30.0)
    assert table.expired(49.0) == []
    assert table.expired(60.0) == [going_on]


def test_progress_of_a_task_comes_under_the_token_of_its_request() -> None:
    table = correlation()
    pending = opened(table)
    named = token(table, pending)
    table.close(pending.id)
    going_on = table.go_on(pending, "second", "t1")
    assert table.progressed(named, 1, 5.0) is going_on
    table.close(going_on.id)
    assert table.progressed(named, 2, 6.0) is None


def test_a_task_and_the_request_for_its_result_are_one_call() -> None:
    table = correlation()
    call = call_of(Sink())
    pending = opened(table, call=call)
    table.close(pending.id)
    going_on = table.go_on(pending, "second", "t1")
    opened(table, call=call)
    assert table.only_one_with_sink() is going_on
    opened(table, call=call_of(Sink()))
    assert table.only_one_with_sink() is None
