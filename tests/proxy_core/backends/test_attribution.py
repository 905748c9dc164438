"""Which call a backend's own request belongs to."""

from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.attribution import Unattributed, attribute
from proxy_core.backends.call import Call
from proxy_core.backends.correlation import Pending
from proxy_core.protocol.jsonrpc import Request

QUESTION = Request(1, b"1", "elicitation/create", Raw(b"{}"))


class Client:
    """A sink that only says whose it is."""

    wants_progress = False

    def __init__(self, client: object = None, may_be_asked: bool = True) -> None:
        self.client = client or object()
        self.may_be_asked = may_be_asked
        self.asked: list[str] = []

    def let_go(self) -> None:
        raise AssertionError("nobody polls here")

    def may_ask(self, method: str, params: Any) -> bool:
        self.asked.append(method)
        return self.may_be_asked


def pending(
    request_id: int, sink: Any = None, is_parked: bool = False, task: str | None = None
) -> Pending[Any]:
    call = Call("tools/call", Raw(), sink=sink, is_parked=is_parked)
    return Pending(request_id, "tools/call", None, call, 1.0, 1.0, 1.0, task=task)


def own(request_id: int) -> Pending[Any]:
    """A request of the gateway's own."""
    return Pending(request_id, "tools/list", None, None, 1.0, 1.0, 1.0)


def of(in_flight: list[Pending[Any]], origin: int | None = None, question: Request = QUESTION) -> Any:
    found = attribute(question, origin, in_flight)
    return found if isinstance(found, Unattributed) else found[0].id


def test_a_request_on_a_calls_own_stream_is_that_calls() -> None:
    in_flight = [pending(1, Client()), pending(2, Client()), pending(3, Client())]
    assert of(in_flight, origin=2) == 2


def test_on_its_own_stream_even_a_parked_call_is_meant() -> None:
    assert of([pending(1, Client(), is_parked=True), pending(2, Client())], origin=1) == 1


@pytest.mark.parametrize("origin", [2, 9])
def test_on_the_stream_of_no_call_it_is_nobodys_even_if_one_call_is_left(origin: int) -> None:
    """2 is a list of our own; 9 has been answered."""
    assert of([pending(1, Client()), own(2)], origin) is Unattributed.NO_CALL


def test_the_only_call_in_flight_is_meant() -> None:
    assert of([own(1), pending(2, Client()), own(3)]) == 2


def test_the_only_call_is_meant_even_if_its_client_cannot_be_asked() -> None:
    """Its client is then told what it lacks."""
    assert of([pending(1, Client(may_be_asked=False))]) == 1


def test_calls_that_wait_for_their_client_are_not_meant() -> None:
    parked = pending(1, Client(), is_parked=True)
    assert of([parked, pending(2, Client())]) == 2
    assert of([parked]) is Unattributed.NO_CALL


@pytest.mark.parametrize("in_flight", [[], [own(1)], [pending(1)]])
def test_without_a_call_of_a_client_it_is_nobodys(in_flight: list[Pending[Any]]) -> None:
    assert of(in_flight) is Unattributed.NO_CALL


def test_of_several_calls_of_one_session_the_oldest_that_may_ask_is_meant() -> None:
    session = object()
    in_flight = [
        pending(1, Client(session, may_be_asked=False)),
        pending(2, Client(session)),
        pending(3, Client(session)),
    ]
    assert of(in_flight) == 2


def test_of_several_calls_of_one_session_that_cannot_be_asked_none_is_meant() -> None:
    session = object()
    in_flight = [pending(number, Client(session, may_be_asked=False)) for number in (1, 2)]
    assert of(in_flight) is Unattributed.UNDECLARED


@pytest.mark.requirement("M19")
def test_between_calls_of_two_clients_nobody_is_guessed_or_even_looked_at() -> None:
    session = object()
    sinks = [Client(session), Client(session), Client(), Client(session)]
    in_flight = [pending(number, sink) for number, sink in enumerate(sinks)]
    assert of(in_flight) is Unattributed.AMBIGUOUS
    assert all(sink.asked == [] for sink in sinks)


# --- tasks ---------------------------------------------------------------------------------------------------

OF_TASK = Request(
    1, b"1", "elicitation/create", Raw(b'{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t2"}}}')
)


@pytest.mark.requirement("T05")
def test_a_request_that_names_a_task_is_its_calls_whatever_else_is_in_flight() -> None:
    in_flight = [pending(1, Client()), pending(2, Client(), task="t1"), pending(3, Client(), task="t2")]
    assert of(in_flight, question=OF_TASK) == 3
    assert of(in_flight, origin=1, question=OF_TASK) == 3


def test_the_name_of_a_task_that_nobody_runs_tells_nothing() -> None:
    assert of([pending(1, Client()), pending(2, Client())], question=OF_TASK) is Unattributed.AMBIGUOUS
    assert of([], question=OF_TASK) is Unattributed.NO_CALL
