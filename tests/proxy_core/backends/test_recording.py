"""What is heard of a call between us and a server."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.peer import nobody
from proxy_core.backends.recording import heard_answer, heard_failure, sending
from proxy_core.errors import BackendError, BackendTimeout
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeStatus
from proxy_core.telemetry.recorder import Recorder
from tests.support.clock import FakeClock


@dataclass
class Client:
    era: str = "legacy"
    revision: str = "2025-11-25"
    principal: str = "anon"
    client: str = ""
    session: str | None = None
    profile: str = ""


class House:
    def __init__(self) -> None:
        self.recorder = Recorder(FakeClock())
        self.trace = self.recorder.begin("tools/call", Raw(b"{}"), Client(), 1000.0)
        self.trace.replica = "main"
        self.call = Call("tools/call", Raw(b"{}"), name="add ü", trace=self.trace)

    async def ended(self) -> ExchangeDetail:
        self.recorder.end(self.trace, 1000.5, ExchangeStatus.OK, b"{}", None)
        return await self.recorder.detail(self.trace.id)


@pytest.mark.parametrize(
    ("transport", "revision", "names"),
    [
        ("stdio", "2026-07-28", []),
        ("http", "2026-07-28", ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-region"]),
        ("http", "2025-11-25", ["mcp-protocol-version"]),
        ("sse", "2024-11-05", []),
    ],
)
async def test_the_headers_that_the_protocol_asks_for_are_told(transport: Any, revision: str, names: list[str]):
    house = House()
    params = [("mcp-param-region", "eu")] if "mcp-param-region" in names else None
    sending(house.call, "search", nobody(revision), transport, b'{"name":"add"}', params)
    heard_answer(house.call, Raw(b'{"content":[]}'))
    detail = await house.ended()
    sent, answer = detail.messages[1:3]
    assert [name for name, _ in sent.headers] == names
    assert (sent.body, sent.replica, sent.revision) == ('{"name":"add"}', "search/main", revision)
    assert (answer.body, answer.headers, answer.attempt) == ('{"content":[]}', (), 1)


async def test_an_error_is_an_answer_and_a_fault_is_none():
    house = House()
    sending(house.call, "search", nobody("2025-11-25"), "stdio", b"{}", None)
    heard_failure(house.call, BackendError("search", -5, "no", b"7"))
    sending(house.call, "search", nobody("2025-11-25"), "stdio", b"{}", None)
    heard_failure(house.call, BackendTimeout("search", "The server did not answer within 5 seconds."))
    detail = await house.ended()
    assert [each.body for each in detail.messages if each.is_error] == ['{"code":-5,"message":"no","data":7}']
    assert detail.row.attempts == 2
    assert [step.text for step in detail.steps if step.name == "failed"] == [
        "backend_timeout: The server did not answer within 5 seconds."
    ]


def test_a_call_without_a_trace_is_heard_by_nobody():
    call = Call("tools/call", Raw(b"{}"))
    sending(call, "search", nobody("2025-11-25"), "stdio", b"{}", None)
    heard_answer(call, Raw(b"{}"))
    heard_failure(call, BackendError("search", -5, "no"))
    assert call.trace is None
