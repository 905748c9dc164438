"""A request waits at its server when a reload takes back what it was let in by: its answer is given to nobody.

Tokens of the configuration and JWTs alike, in both eras and at every door; who lost nothing gets his answer.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.frontend import event_stream
from proxy_core.frontend.frontend import Frontend
from proxy_core.proxy import Proxy
from tests.journeys.test_policy import raw
from tests.journeys.test_stdio import started
from tests.proxy_core.frontend.test_sse_front import SseClient
from tests.support import backend_server
from tests.support.authorization_server import RESOURCE, AuthorizationServer, authorization_server
from tests.support.backend_server import DISCOVERED, Seen, answers
from tests.support.gateway_process import remote, write_config
from tests.support.http_client import SOON_S, Client, Reply, modern, request
from tests.support.pipe_client import is_answer
from tests.support.pipe_client import modern as modern_line
from tests.support.wire import comes_true, connected, open_call

AT_ONCE_S = 5.0
SECRET = "SECRET-ANSWER"
Json = dict[str, Any]
both_eras = pytest.mark.parametrize("era", ["modern", "legacy"])
both_paths = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "slow"])
both_tokens = pytest.mark.parametrize("kind", ["static", "jwt"])


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


class SlowServer:
    """Whatever is called, got or read at it waits until the test lets it go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting: list[Seen] = []
        self.url = ""
        resources = [{"uri": "doc://slow", "name": "slow"}, {"uri": "doc://other", "name": "other"}]
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("slow", "other")]
        capabilities: Json = {"tools": {}, "prompts": {}, "resources": {}, "completions": {}}
        self.table: dict[str, backend_server.Handler | list[backend_server.Handler]] = {
            "server/discover": answers(DISCOVERED | {"capabilities": capabilities}),
            "tools/list": answers({"tools": tools, "resultType": "complete"}),
            "prompts/list": answers({"prompts": [{"name": "slow"}], "resultType": "complete"}),
            "resources/list": answers({"resources": resources, "resultType": "complete"}),
            "resources/templates/list": answers({"resourceTemplates": [], "resultType": "complete"}),
            "tools/call": self._held({"content": [{"type": "text", "text": SECRET}]}),
            "prompts/get": self._held({"messages": [], "description": SECRET}),
            "resources/read": self._held({"contents": [{"uri": "doc://slow", "text": SECRET}]}),
            "completion/complete": self._held({"completion": {"values": [SECRET]}}),
        }

    def _held(self, result: Json) -> backend_server.Handler:
        async def handle(seen: Seen) -> web.StreamResponse:
            self.waiting.append(seen)
            await self.gate.wait()
            return await answers(result | {"resultType": "complete"})(seen)

        return handle

    async def asked(self, times: int = 1) -> None:
        await comes_true(lambda: len(self.waiting) >= times, f"{times} requests wait at the server")

    async def was_left(self) -> None:
        """Who asked it has hung up, which is how a modern client cancels."""
        first = self.waiting[0].request
        await comes_true(lambda: first.transport is None, "the server is told that nobody waits")


@dataclass
class House:
    server: SlowServer
    proxy: Proxy
    issuer: AuthorizationServer
    sections: Json = field(default_factory=dict)
    url: str = ""

    async def reload(self, **sections: Json) -> float:
        """When it was in force, in monotonic seconds."""
        self.sections |= sections
        await self.proxy.apply_reload()
        return time.monotonic()

    @property
    def has_quiet(self) -> bool:
        """Whether a call waits that took no task."""
        assert isinstance(self.proxy._frontend, Frontend)
        return any(self.proxy._frontend._open.quiet())

    def bearer(self, kind: str, who: str) -> str:
        return f"o1_token-of-{who}" if kind == "static" else self.issuer.token(sub=who)

    def auth(self, kind: str, **profiles: str | None) -> Json:
        """Who has a token, and for which profile; None: for every one. Of JWTs all others are denied."""
        if kind == "static":
            digests = {who: hashlib.sha256(self.bearer(kind, who).encode()).hexdigest() for who in profiles}
            named = profiles.items()
            tokens = [{"name": who, "sha256": digests[who], "profile": profile} for who, profile in named]
            return {"tokens": tokens}
        grants = [{"profile": profile, "claims": {"sub": who}} for who, profile in profiles.items()]
        return {"resource": RESOURCE, "issuers": [{"issuer": self.issuer.issuer, "grants": grants}]}


@asynccontextmanager
async def opened(issuer: AuthorizationServer, fast_path: bool = True, **sections: Json) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        server = SlowServer()
        serving = await stack.enter_async_context(backend_server.serving(server.table))
        server.url = serving.url
        # Nothing is recorded, so that calls may go without a task.
        more = {"profiles": {"wide": {}, "other": {}}, "inspect": {"exchanges": 0}} | sections

        def loaded() -> LoadedConfig:
            given = {"proxy": {"port": 0, "legacy_sse": True}, "servers": [remote("box", serving.url)]}
            return LoadedConfig(Config.model_validate(given | more))

        proxy = Proxy(loaded(), loaded, fast_path=fast_path)
        house = House(server, proxy, issuer, more)
        await stack.enter_async_context(proxy.started())
        assert await proxy.wait_ready(60)
        house.url = proxy.snapshot().url
        # Nobody waits for it once the test is over.
        stack.callback(server.gate.set)
        yield house


def calling(client: Client, name: str = "box__slow") -> "asyncio.Future[Reply]":
    return asyncio.ensure_future(raw(client, "tools/call", {"name": name, "arguments": {}}))


async def at_once(reply: "asyncio.Future[Reply]", in_force_at: float) -> Reply:
    got = await asyncio.wait_for(reply, SOON_S)
    assert time.monotonic() - in_force_at < AT_ONCE_S
    assert SECRET.encode() not in got.body
    return got


async def is_let_in(client: Client) -> bool:
    return (await client.ask("tools/list")).status == 200


async def warmed(house: House, client: Client) -> None:
    """As far as a client is that has called before: the next one takes no task where none is needed."""
    house.server.gate.set()
    await comes_true(lambda: is_let_in(client), "it is let in")
    for _ in range(2):
        assert SECRET.encode() in (await calling(client)).body
    house.server.gate.clear()
    house.server.waiting.clear()


@both_tokens
@both_eras
@both_paths
@pytest.mark.parametrize("what", ["revoked", "moved"])
async def test_who_loses_a_token_or_is_moved_gets_no_answer_and_others_do(
    issuer: AuthorizationServer, what: str, fast_path: bool, era: str, kind: str
):
    async with opened(issuer, fast_path) as house:
        await house.reload(auth=house.auth(kind, ann="wide", bob="wide"))
        async with (
            connected(house.url, "modern", house.bearer(kind, "ann")) as door,
            connected(house.url, "modern", house.bearer(kind, "bob")) as bob,
        ):
            await comes_true(lambda: is_let_in(door), "the keys are here")
            async with connected(house.url, era, house.bearer(kind, "ann")) as ann:
                await warmed(house, ann)
                await warmed(house, bob)
                lost, kept = calling(ann), calling(bob)
                await house.server.asked(2)
                assert house.has_quiet is fast_path
                now = {"bob": "wide"} | ({"ann": "other"} if what == "moved" else {})
                in_force_at = await house.reload(auth=house.auth(kind, **now))
                told = await at_once(lost, in_force_at)
                if era == "modern":
                    assert told.status == 401
                    assert 'error="invalid_token"' in told.headers["WWW-Authenticate"]
                    assert told.json["id"] == 1
                else:
                    # With its session, as before.
                    assert told.events == []
                house.server.gate.set()
                assert SECRET.encode() in (await kept).body
                assert (await door.ask("tools/list")).status == (200 if what == "moved" else 401)


@both_tokens
@pytest.mark.parametrize("takes_task", [False, True])
async def test_a_call_that_became_a_stream_ends_with_the_refusal(
    issuer: AuthorizationServer, takes_task: bool, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.0)
    async with opened(issuer) as house:
        await house.reload(auth=house.auth(kind, ann="wide"))
        async with connected(house.url, "modern", house.bearer(kind, "ann")) as ann:
            await comes_true(lambda: is_let_in(ann), "the keys are here")
            await warmed(house, ann)
            body, headers = modern("tools/call", {"name": "box__slow", "arguments": {}})
            async with (
                open_call(ann, "box__slow", {}) if takes_task else ann.stream("POST", body, headers=headers)
            ) as stream:
                await house.server.asked()
                await house.reload(auth=house.auth(kind, bob="wide"))
                ended = await stream.next()
                assert (ended["id"], ended["error"]["code"]) == (1, -32600)
                assert SECRET.encode() not in await stream.rest()


@both_eras
@both_paths
async def test_what_a_profile_denies_meanwhile_is_answered_as_what_never_was(
    issuer: AuthorizationServer, fast_path: bool, era: str
):
    async with opened(issuer, fast_path) as house:
        async with (
            connected(f"{house.url}/wide", era) as ann,
            connected(f"{house.url}/other", era) as bob,
        ):
            await warmed(house, ann)
            denied, allowed, elsewhere = calling(ann), calling(ann, "box__other"), calling(bob)
            if era == "legacy":
                # Two requests of one session may not have one id.
                allowed.cancel()
            await house.server.asked(2)
            assert house.has_quiet is fast_path
            narrow = {"wide": {"tools": {"deny": ["*slow"]}}, "other": {}}
            in_force_at = await house.reload(profiles=narrow)
            told = await at_once(denied, in_force_at)
            unknown = await raw(ann, "tools/call", {"name": "box__slaw", "arguments": {}})
            assert told.body.replace(b"slow", b"slaw") == unknown.body
            assert told.status == unknown.status
            await house.server.was_left()
            house.server.gate.set()
            for kept in (elsewhere, *(() if era == "legacy" else (allowed,))):
                assert SECRET.encode() in (await kept).body


async def test_a_request_that_waits_behind_it_on_the_connection_is_judged_by_the_new_rules(
    issuer: AuthorizationServer,
):
    async with opened(issuer) as house:
        url = URL(f"{house.url}/wide")
        async with connected(str(url), "modern") as ann:
            await warmed(house, ann)
        body, headers = modern("tools/call", {"name": "box__slow", "arguments": {}})
        raw_body = json.dumps(body).encode()
        lines = headers | {"Host": url.authority, "Content-Length": str(len(raw_body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        post = f"POST {url.path} HTTP/1.1\r\n{head}\r\n".encode() + raw_body
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(post * 2)
            await house.server.asked()
            assert house.has_quiet
            await house.reload(profiles={"wide": {"tools": {"deny": ["*slow"]}}})
            async with asyncio.timeout(AT_ONCE_S):
                for _ in range(2):
                    assert b" 400 " in await reader.readline()
                    assert b"Unknown tool: box__slow" in await reader.readuntil(b"}}")
        finally:
            writer.close()
            await writer.wait_closed()
        assert len(house.server.waiting) == 1


NAMED = [
    ("prompts/get", {"name": "box__slow"}, "prompts"),
    ("resources/read", {"uri": "doc://slow"}, "resources"),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "box__slow"}}, "prompts"),
]


@both_eras
@pytest.mark.parametrize(("method", "params", "shelf"), NAMED)
async def test_so_is_a_prompt_a_resource_and_what_is_completed(
    issuer: AuthorizationServer, method: str, params: Json, shelf: str, era: str
):
    params = params | ({"argument": {"name": "x", "value": ""}} if "ref" in params else {})
    async with opened(issuer) as house, connected(f"{house.url}/wide", era) as ann:
        await comes_true(lambda: is_let_in(ann), "it is let in")
        denied = asyncio.ensure_future(raw(ann, method, params))
        await house.server.asked()
        in_force_at = await house.reload(profiles={"wide": {shelf: {"deny": ["*slow*"]}}})
        told = await at_once(denied, in_force_at)
        again = await raw(ann, method, params)
        assert (told.status, told.body) == (again.status, again.body)
        assert b"error" in told.body


@both_eras
async def test_a_profile_that_goes_takes_its_calls_with_it(issuer: AuthorizationServer, era: str):
    async with opened(issuer) as house, connected(f"{house.url}/wide", era) as ann:
        await warmed(house, ann)
        lost = calling(ann)
        await house.server.asked()
        in_force_at = await house.reload(profiles={"other": {}})
        told = await at_once(lost, in_force_at)
        assert (told.status, told.body) == (200, b"") if era == "legacy" else told.status == 404


@both_eras
async def test_a_server_that_a_profile_shows_no_more_answers_it_no_more(issuer: AuthorizationServer, era: str):
    async with opened(issuer) as house, connected(f"{house.url}/wide", era) as ann:
        await warmed(house, ann)
        lost = calling(ann)
        await house.server.asked()
        in_force_at = await house.reload(profiles={"wide": {"servers": ["none"]}})
        assert b"Unknown tool: box__slow" in (await at_once(lost, in_force_at)).body


async def test_at_a_pipe_and_by_http_sse_it_is_unknown_as_well(issuer: AuthorizationServer, tmp_path: Path):
    async with opened(issuer) as house, aiohttp.ClientSession() as http:
        await house.reload(auth=house.auth("static", ann="wide"))
        sse = SseClient(http, house.url, Authorization=f"Bearer {house.bearer('static', 'ann')}")
        servers = [remote("box", house.server.url)]
        profiles: Json = {"wide": {}}
        config = write_config(tmp_path, servers, profiles=profiles)
        arguments = ("stdio", "--config", str(config), "--profile", "wide")
        call = {"name": "box__slow", "arguments": {}}
        async with sse.stream() as stream, started(tmp_path, arguments) as stage:
            await sse.initialize(stream)
            await stage.client.initialize()
            await sse.post(request("tools/call", call, 7))
            stage.client.send(request("tools/call", call, 7), modern_line("tools/call", call, 8))
            await house.server.asked(3)
            profiles["wide"] = {"tools": {"deny": ["*slow"]}}
            write_config(tmp_path, servers, profiles=profiles)
            in_force_at = await house.reload(profiles=profiles)
            while (told := await stream.next()).get("id") != 7:
                pass
            # In whichever order they come.
            at_pipe = [await stage.client.until(is_answer) for _ in range(2)]
            assert {each["id"] for each in at_pipe} == {7, 8}
            for each in (told, *at_pipe):
                assert each["error"] == {"code": -32602, "message": "Unknown tool: box__slow"}
            assert time.monotonic() - in_force_at < AT_ONCE_S


@both_tokens
async def test_a_list_that_waits_for_a_server_is_not_answered_under_the_profile_of_before(
    issuer: AuthorizationServer, kind: str
):
    async with opened(issuer) as house:
        await house.reload(auth=house.auth(kind, ann="wide"))
        async with connected(house.url, "modern", house.bearer(kind, "ann")) as ann:
            await comes_true(lambda: is_let_in(ann), "the keys are here")
            house.server.table["tools/list"] = house.server._held({"tools": []})
            await house.proxy.clear_cache()
            listed = asyncio.ensure_future(ann.ask("tools/list"))
            await house.server.asked()
            in_force_at = await house.reload(auth=house.auth(kind, ann="other"))
            assert (await at_once(listed, in_force_at)).status == 401


async def test_a_reload_that_takes_nothing_away_ends_nothing(issuer: AuthorizationServer):
    async with opened(issuer) as house:
        await house.reload(auth=house.auth("static", ann="wide"))
        async with connected(house.url, "modern", house.bearer("static", "ann")) as ann:
            await warmed(house, ann)
            kept = calling(ann)
            await house.server.asked()
            await house.reload(profiles={"wide": {"tools": {"deny": ["*other"]}}, "other": {}})
            await house.reload(auth=house.auth("static", ann="wide", bob=None))
            assert not kept.done()
            house.server.gate.set()
            assert SECRET.encode() in (await kept).body
