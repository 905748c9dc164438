"""What is heard of an exchange between its client and us."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.errors import BackendError, ClientError, ClientSilent, UnknownResource
from proxy_core.facts import RequestFinished
from proxy_core.gateway import recording
from proxy_core.gateway.exchange import Caller, Exchange, Nobody
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN, Era
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeStatus, MessageKind
from proxy_core.telemetry.recorder import Recorder
from tests.support.clock import FakeClock


class Answering(Nobody):
    """Answers what it is asked as the test says."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.heard: list[bytes] = []

    def notify(self, message: bytes) -> None:
        self.heard.append(message)

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        if isinstance(self.answer, Exception):
            raise self.answer
        return Raw(self.answer)


class House:
    def __init__(self, era: Era = Era.LEGACY, outlet: Answering | None = None) -> None:
        self.recorder = Recorder(FakeClock())
        caller = Caller(era, LATEST_LEGACY if era is Era.LEGACY else MODERN)
        self.exchange = Exchange("tools/call", Raw(b'{"name":"x"}'), caller, outlet or Answering(b"{}"))
        self.trace = recording.begun(self.recorder, self.exchange, 1000.0)

    async def ended(self, result: bytes = b"", error: Any = None, code: int | None = None) -> ExchangeDetail:
        caller = self.exchange.caller
        finished = RequestFinished(
            1000.5, "", "anon", caller.era, caller.revision, "tools/call", None, "x", 500.0, code, False, 0
        )
        recording.ended(self.recorder, self.trace, finished, result, error)
        return await self.recorder.detail(self.trace.id)


async def test_what_goes_to_the_client_is_heard_and_goes_on():
    outlet = Answering(b'{"action":"accept"}')
    house = House(outlet=outlet)
    note = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}'
    house.exchange.outlet.notify(note)
    answer = await house.exchange.outlet.request("elicitation/create", b'{"message":"Who?"}', timeout_s=1)
    assert (outlet.heard, bytes(answer)) == ([note], b'{"action":"accept"}')
    told = [(each.kind, each.method, each.body) for each in (await house.ended(b"{}")).messages]
    assert told == [
        (MessageKind.REQUEST, "tools/call", '{"name":"x"}'),
        (MessageKind.NOTIFICATION, "notifications/progress", '{"progress":1}'),
        (MessageKind.REQUEST, "elicitation/create", '{"message":"Who?"}'),
        (MessageKind.RESPONSE, "elicitation/create", '{"action":"accept"}'),
        (MessageKind.RESPONSE, "tools/call", "{}"),
    ]


async def test_a_client_that_refuses_or_is_silent_is_told_so():
    refusing = House(outlet=Answering(ClientError(-1, "no", b'{"why":1}')))
    with pytest.raises(ClientError):
        await refusing.exchange.outlet.request("roots/list", b"{}", timeout_s=1)
    answer = (await refusing.ended(b"{}")).messages[2]
    assert (answer.is_error, json.loads(answer.body)) == (
        True,
        {"code": -1, "message": "no", "data": {"why": 1}},
    )
    silent = House(outlet=Answering(ClientSilent("The client did not answer.")))
    with pytest.raises(ClientSilent):
        await silent.exchange.outlet.request("roots/list", b"{}", timeout_s=1)
    steps = {step.name: step.text for step in (await silent.ended(b"{}")).steps}
    assert steps["unanswered"] == "The client did not answer."


@pytest.mark.parametrize(
    ("era", "error", "body"),
    [
        (Era.LEGACY, None, {"code": -32603, "message": "Internal error"}),
        (Era.MODERN, BackendError("s", -7, "no", b"[1]"), {"code": -7, "message": "no", "data": [1]}),
    ],
)
async def test_an_error_is_told_as_the_client_is_told(era: Era, error: Any, body: Any):
    detail = await House(era).ended(error=error, code=body["code"])
    assert (detail.row.status, detail.row.code) == (ExchangeStatus.ERROR, body["code"])
    assert json.loads(detail.messages[-1].body) == body


async def test_an_unknown_resource_has_the_code_of_its_clients_era():
    error = UnknownResource("test://x")
    legacy = await House(Era.LEGACY).ended(error=error, code=error.code)
    modern = await House(Era.MODERN).ended(error=error, code=error.code)
    assert (legacy.row.code, modern.row.code) == (-32002, error.code)


async def test_a_request_that_was_cancelled_has_no_answer():
    detail = await House().ended(code=-1)
    assert (detail.row.status, detail.row.code) == (ExchangeStatus.CANCELLED, None)
    assert [each.kind for each in detail.messages] == [MessageKind.REQUEST]


def test_what_an_exchange_says_of_itself_holds_no_header_and_no_body_of_its_record():
    exchange = House().exchange
    exchange.headers = [("authorization", "Bearer canary")]
    assert "canary" not in repr(exchange)
    assert "name" not in repr(exchange.trace)
