"""A gateway that writes down who did what: each request once, whichever way it went."""

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy_core.access.audit import journal as journal_module
from proxy_core.access.audit import writer as writer_module
from proxy_core.access.audit.verifying import verify_all
from proxy_core.backends.direct_call import DirectCall
from proxy_core.errors import UnknownServer
from tests.support.audits import lines_of
from tests.support.backend_server import answers, rpc_error
from tests.support.direct_house import house
from tests.support.http_client import Client, modern
from tests.support.scripted_channel import until
from tests.support.wire import ask, call

RESULT = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}
WAYS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "ordinary"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def lines(path: Path, kind: str = "call") -> list[dict[str, Any]]:
    return [line for line in lines_of(path) if line["kind"] == kind]


@WAYS
async def test_each_request_is_one_line_whichever_way_it_goes(
    path: Path, begun: list[DirectCall], direct: bool
):
    async with house(direct, begun, answers(RESULT), audit={"file": str(path), "arguments": True}) as gateway:
        for _ in range(20):
            await gateway.call()
        await gateway.client.ask("tools/list")
        await gateway.client.ask("tools/call", {"name": "none", "arguments": {}})
        await gateway.client.ask("server/discover")
    assert bool(begun) is direct
    told = [(line["method"], line.get("target"), line["outcome"], line.get("code")) for line in lines(path)]
    assert told == [
        *[("tools/call", "box__run", "ok", None)] * 20,
        ("tools/list", None, "ok", None),
        ("tools/call", "none", "error", -32602),
        ("server/discover", None, "ok", None),
    ]
    first = lines(path)[0]
    who = first["principal"], first["peer"], first["era"]
    assert (*who, first["server"]) == ("anon", "127.0.0.1", "modern", "box")
    assert first["arguments"] == {"n": 1} and first["bytes_in"] > 20 and first["bytes_out"] > 20
    assert verify_all(path).is_whole


async def test_calls_go_without_a_task_as_before(path: Path, begun: list[DirectCall]):
    counts = []
    for audit in ({}, {"file": str(path)}):
        begun.clear()
        async with house(True, begun, answers(RESULT), audit=audit) as gateway:
            for _ in range(10):
                await gateway.call()
        counts.append(len(begun))
    assert counts[0] == counts[1] > 5


async def test_a_legacy_session_is_named_and_its_pings_are_not_told(path: Path, begun: list[DirectCall]):
    async with house(False, begun, answers(RESULT), audit={"file": str(path)}) as gateway:
        client = gateway.client
        await client.initialize()
        await ask(client, "ping")
        await ask(client, "tools/list")
        await call(client, "box__run")
        assert client.session_id is not None
        wire_id = client.session_id
    told = lines(path)
    assert [line["method"] for line in told] == ["initialize", "tools/list", "tools/call"]
    assert len({line["session"] for line in told}) == 1 and all(line["client"] == "test" for line in told)
    assert {line["peer"] for line in told} == {"127.0.0.1"}
    # What would let somebody into the session is not there.
    assert wire_id not in path.read_text()


async def test_what_fails_and_what_is_given_up_is_told_as_such(path: Path, begun: list[DirectCall]):
    async with house(True, begun, rpc_error(-32603), audit={"file": str(path)}) as gateway:
        await gateway.call()
    assert lines(path)[0]["code"] == -32603
    async with house(True, begun, answers(RESULT | {"isError": True}), audit={"file": str(path)}) as gateway:
        await gateway.call()
    assert (lines(path)[1]["outcome"], lines(path)[1]["is_error"]) == ("ok", True)


@WAYS
async def test_who_is_not_let_in_is_told_and_how_often(path: Path, begun: list[DirectCall], direct: bool):
    tokens = [{"name": "ci", "sha256": "0" * 64}]
    async with house(
        direct, begun, answers(RESULT), audit={"file": str(path)}, auth={"tokens": tokens}
    ) as gateway:
        stranger = Client(gateway.client.http, gateway.client.url, "o1_canary-0123456789")
        for _ in range(50):
            assert (await stranger.ask("tools/list")).status == 401
        for _ in range(2):
            reply = await gateway.client.send("GET", url=gateway.client.url.replace("/mcp", "/metrics"))
            assert reply.status == 401
    told = lines(path, "refused")
    assert sum(line["count"] for line in told if line["where"] == "mcp") == 50
    assert sum(line["count"] for line in told if line["where"] == "pages") == 2
    assert all(line["code"] == 401 and line["peer"] == "127.0.0.1" for line in told)
    assert len(told) < 10 and "canary" not in path.read_text()


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_call_too_many_is_told(path: Path, begun: list[DirectCall], era: str):
    held = asyncio.Event()

    async def waits(seen: Any) -> Any:
        await held.wait()
        return await answers(RESULT)(seen)

    token = "o1_" + "x" * 40
    tokens = [{"name": "ci", "sha256": hashlib.sha256(token.encode()).hexdigest()}]
    more = {"audit": {"file": str(path)}, "limits": {"calls": 1}, "auth": {"tokens": tokens}}
    async with house(True, begun, waits, **more) as gateway:
        client = Client(gateway.client.http, gateway.client.url, token)
        if era == "legacy":
            await client.initialize()
        first = asyncio.ensure_future(call(client, "box__run", id=1))
        await until(lambda: gateway.proxy.snapshot().totals.in_flight == 1)
        assert "limit is 1" in (await call(client, "box__run", id=2))["error"]["message"]
        held.set()
        assert "result" in await first
    (line,) = lines(path, "refused")
    assert (line["principal"], line["code"], line["count"]) == ("token:ci", -32603, 1)


async def test_calls_that_find_no_place_at_a_server_are_few_lines(path: Path, begun: list[DirectCall]):
    held = asyncio.Event()

    async def waits(seen: Any) -> Any:
        await held.wait()
        return await answers(RESULT)(seen)

    more = {"audit": {"file": str(path)}, "limits": {"server_queue": 1}, "box": {"concurrency": 1}}
    async with house(True, begun, waits, **more) as gateway:
        taken = [asyncio.ensure_future(gateway.call()) for _ in range(2)]
        await until(lambda: gateway.row.queued == 1)
        refused = [(await gateway.call()).json["error"]["code"] for _ in range(30)]
        held.set()
        await asyncio.gather(*taken)
    assert refused == [-32603] * 30
    assert len(lines(path)) == 2
    told = lines(path, "refused")
    assert sum(line["count"] for line in told) == 30 and len(told) < 4
    assert (told[0]["path"], told[0]["principal"]) == ("tools/call", "anon")


@WAYS
async def test_closed_refuses_calls_while_nothing_can_be_written(
    path: Path, begun: list[DirectCall], direct: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer_module, "RETRY_S", 0.02)
    write, is_full = os.write, [False]

    def written(fd: int, data: bytes) -> int:
        if is_full[0] and threading.current_thread().name == writer_module.THREAD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr(journal_module.os, "write", written)
    audit = {"file": str(path), "on_full": "closed"}
    async with house(direct, begun, answers(RESULT), audit=audit) as gateway:
        assert (await gateway.call()).json["result"]
        is_full[0] = True
        await gateway.call()
        await until(lambda: gateway.proxy.audit.is_shut)
        reply = await gateway.call()
        error = reply.json["error"]
        assert (reply.status, error["code"]) == (200, -32603)
        assert error["data"]["dev.only1mcp"]["retryable"] is True
        assert not any(word in str(error) for word in ("audit", "space", str(path)))
        assert (await gateway.client.ask("tools/list")).json["error"]["code"] == -32603
        assert "No space left" in gateway.proxy.snapshot().notices[0].text
        ready = gateway.client.url.replace("/mcp", "/readyz")
        assert (await gateway.client.send("GET", url=ready)).status == 503
        asked = len(gateway.server.of("tools/call"))
        assert asked == 2
        is_full[0] = False
        await until(lambda: not gateway.proxy.audit.is_shut)
        assert (await gateway.call()).json["result"]
    assert len(lines(path)) == 3
    assert [(line["where"], line["count"]) for line in lines(path, "refused")] == [("gateway", 2)]


async def test_verbs_of_the_screen_are_told(path: Path, begun: list[DirectCall]):
    async with house(True, begun, answers(RESULT), audit={"file": str(path)}) as gateway:
        proxy = gateway.proxy
        await proxy.drain("box", 1)
        await proxy.undrain("box")
        await proxy.probe("box")
        await proxy.clear_cache()
        await proxy.set_log_level("info")
        await proxy.apply_reload()
        await proxy.call("box__run", {"n": "canary"})
        with pytest.raises(UnknownServer):
            await proxy.restart("nobody")
    told = [(line["act"], line.get("target"), line["outcome"]) for line in lines(path, "admin")]
    assert told == [
        ("drain", "box", "ok"),
        ("undrain", "box", "ok"),
        ("probe", "box", "ok"),
        ("clear cache", None, "ok"),
        ("log level", "info", "ok"),
        ("reload", None, "ok"),
        ("call", "box__run", "ok"),
        ("restart", "nobody", "error"),
    ]
    assert {line["principal"] for line in lines(path, "admin")} == {"screen"}
    # The call itself is one as well, by the operator's own client.
    assert [line["client"] for line in lines(path)] == ["only1mcp"]
    assert "canary" not in path.read_text()


async def test_who_listens_is_told(path: Path, begun: list[DirectCall]):
    async with house(True, begun, answers(RESULT), audit={"file": str(path)}) as gateway:
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        async with gateway.client.stream("POST", body, headers=headers) as stream:
            await stream.next()
    assert [(line["method"], line["outcome"], line["peer"]) for line in lines(path)] == [
        ("subscriptions/listen", "ok", "127.0.0.1")
    ]


async def test_without_an_audit_there_is_nothing(path: Path, begun: list[DirectCall]):
    async with house(True, begun, answers(RESULT)) as gateway:
        await gateway.call()
        assert gateway.proxy.snapshot().audit is None
        assert not any(thread.name == writer_module.THREAD for thread in threading.enumerate())
    assert not path.exists()
