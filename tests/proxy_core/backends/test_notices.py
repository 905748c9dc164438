"""Progress and log notifications of a backend: whose they are."""

import pytest
from msgspec import Raw

from proxy_core.backends.call import Call
from tests.support.scripted_channel import Sink
from tests.support.scripted_line import Line, new_call


@pytest.mark.requirement("P03")
async def test_progress_reaches_its_own_call_while_it_rises(legacy: Line) -> None:
    sinks = [Sink(), Sink()]
    calls = [legacy.call(sink=sink) for sink in sinks]
    first, second = [await legacy.server.next("tools/call") for _ in calls]
    for value in (1, 2, 2, 1.5, True, "3", None, 2.5):
        first.progress(value)
    second.progress(0)
    first.answer({})
    first.progress(3)
    assert [sink.values for sink in sinks] == [[1, 2, 2.5], [0]]
    assert first.token != second.token


@pytest.mark.requirement("P02")
async def test_a_call_whose_client_wants_no_progress_sends_no_token(legacy: Line, modern: Line) -> None:
    for line in (legacy, modern):
        sink = Sink(wants_progress=False)
        line.call(sink=sink)
        asked = await line.server.next("tools/call")
        assert "progressToken" not in asked.params.get("_meta", {})
        asked.progress(1, token="1")
        assert sink.values == []


@pytest.mark.requirement("P01")
async def test_tokens_and_ids_of_clients_are_replaced_by_ours(legacy: Line) -> None:
    params = Raw(b'{"name":"add","_meta":{"progressToken":1,"vendor/key":2}}')
    sinks = [Sink() for _ in range(20)]
    for sink in sinks:
        legacy.begin(legacy.connection.call(Call("tools/call", params, sink=sink)))
    asked = [await legacy.server.next("tools/call") for _ in sinks]
    assert len({one.id for one in asked}) == len({one.token for one in asked}) == 20
    for value, one in enumerate(asked):
        assert one.params["_meta"]["vendor/key"] == 2
        one.progress(value)
    assert [sink.values for sink in sinks] == [[value] for value in range(20)]


async def test_a_token_that_we_did_not_send_reaches_nobody(legacy: Line) -> None:
    sink = Sink()
    legacy.call(sink=sink)
    asked = await legacy.server.next("tools/call")
    for guess in (asked.id, str(asked.id), 1.5, True, "g", asked.token + "0", asked.token[:-1]):
        asked.progress(1, token=guess)
    assert sink.values == []


async def test_a_log_line_goes_to_the_call_whose_stream_carried_it(legacy: Line) -> None:
    sinks = [Sink(), Sink()]
    for sink in sinks:
        legacy.call(sink=sink)
    _, second = [await legacy.server.next("tools/call") for _ in sinks]
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hi"}}
    second.channel.says(message, origin=second.id)
    assert [sink.logs for sink in sinks] == [[], ["hi"]]


@pytest.mark.requirement("P10")
async def test_a_log_line_without_a_stream_goes_to_the_only_call_or_to_our_log(legacy: Line) -> None:
    first, second = Sink(), Sink()
    legacy.server.line.notifies("notifications/message", level="info", data="nobody asked")
    legacy.call(sink=first)
    await legacy.server.next("tools/call")
    legacy.server.line.notifies("notifications/message", level="info", data="one")
    legacy.call(sink=second)
    await legacy.server.next("tools/call")
    legacy.server.line.notifies("notifications/message", level="info", data="two")
    assert (first.logs, second.logs) == (["one"], [])
    assert legacy.owner.sayings == [("info", '"nobody asked"'), ("info", '"two"')]


async def test_a_late_log_line_of_a_call_never_reaches_another_client(legacy: Line) -> None:
    first, second = Sink(), Sink()
    legacy.call(sink=first)
    one = await legacy.server.next("tools/call")
    legacy.call(sink=second)
    await legacy.server.next("tools/call")
    one.answer({})
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "late"}}
    one.channel.says(message, origin=one.id)
    assert second.logs == []


@pytest.mark.requirement("P10")
@pytest.mark.parametrize(("principal", "heard"), [("ann", ["whose?"]), ("bob", [])])
async def test_a_log_line_is_the_running_calls_unless_another_principals_is_parked(
    legacy: Line, principal: str, heard: list[str]
) -> None:
    """The parked call may well be the one that caused it."""
    parked, running = Sink(), Sink()
    waiting = new_call(sink=parked, principal="ann")
    legacy.ask(waiting)
    await legacy.server.next("tools/call")
    waiting.park()
    legacy.call(sink=running, principal=principal)
    await legacy.server.next("tools/call")
    legacy.server.line.notifies("notifications/message", level="info", data="whose?")
    assert (parked.logs, running.logs) == ([], heard)
    assert len(legacy.owner.sayings) == 1 - len(heard)
