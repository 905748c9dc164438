"""Who asks, by the bearer token alone: as a table, and over a real listener."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy_core.config.models import AuthConfig, Config, LimitsConfig, ProxyConfig, TokenConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.frontend import Frontend
from proxy_core.frontend.principals import Principals
from proxy_core.frontend.wire import WireHead
from tests.support.http_client import SOON_S, Client, modern, request
from tests.support.scripted_channel import until
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.stub_backends import House, StubServer, many_tools

ANN, BOB = "o1_ann-canary-0123456789", "o1_bob-canary-0123456789"


def entry(name: str, token: str) -> TokenConfig:
    return TokenConfig(name=name, sha256=hashlib.sha256(token.encode()).hexdigest())


TOKENS = (entry("ann", ANN), entry("bob", BOB))


def head(authorization: str | None) -> WireHead:
    values = {} if authorization is None else {"authorization": authorization}
    return WireHead("POST", "/mcp", list(values.items()), "127.0.0.1", values)


def answer(principals: Principals, authorization: str | None) -> Any:
    """The principal, or the status and the challenge."""
    try:
        return principals.identify(head(authorization))
    except HttpRefusal as refusal:
        return refusal.status, refusal.headers["WWW-Authenticate"].removeprefix('Bearer realm="only1mcp"')


def test_the_token_of_a_profile_is_no_operators():
    bound = TokenConfig(name="bob", sha256=TOKENS[1].sha256, profile="review")
    principals = Principals((TOKENS[0], bound), is_open=True)
    assert principals.identify_operator(head(f"Bearer {ANN}")) == "token:ann"
    assert principals.identify(head(f"Bearer {BOB}")) == "token:bob"
    with pytest.raises(HttpRefusal, match="for one profile alone") as refused:
        principals.identify_operator(head(f"Bearer {BOB}"))
    assert refused.value.status == 403
    with pytest.raises(HttpRefusal) as unknown:
        principals.identify_operator(head(None))
    assert unknown.value.status == 401


def test_who_may_look_and_who_may_steer():
    ann, bob = TOKENS

    def given(admin: str) -> Principals:
        return Principals((ann.model_copy(update={"admin": admin}), bob), is_open=False)

    for word, may_steer in (("read", False), ("steer", True)):
        principals = given(word)
        assert principals.identify_operator(head(f"Bearer {ANN}")) == "token:ann"
        assert principals.may_steer("token:ann") is may_steer
        assert not principals.may_steer("token:bob")
        assert not principals.may_steer("anon")
    blind = given("none")
    assert blind.identify(head(f"Bearer {ANN}")) == "token:ann"
    with pytest.raises(HttpRefusal, match="may not look") as refused:
        blind.identify_operator(head(f"Bearer {ANN}"))
    assert refused.value.status == 403


def test_who_may_not_look_any_more_has_lost_that_and_not_his_sessions():
    ann, bob = TOKENS
    before = Principals(TOKENS, is_open=True)
    for change in ({"admin": "none"}, {"profile": "review"}):
        after = Principals((ann.model_copy(update=change), bob), is_open=True)
        assert before.lost_operators(after) == {"token:ann"}
        assert before.lost(after) == frozenset()
        assert after.lost_operators(before) == frozenset()
    assert before.lost_operators(Principals((bob,), is_open=True)) == {"token:ann"}
    steerer = Principals((ann.model_copy(update={"admin": "steer"}), bob), is_open=True)
    assert steerer.lost_operators(before) == frozenset()


# --- from a header to a principal -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {ANN}", "token:ann"),
        (f"bearer   {BOB}", "token:bob"),
        (None, (401, "")),
        ("", (401, "")),
        ("Basic YTpi", (401, "")),
        ("Negotiate", (401, "")),
        ("Bearer wrong", (401, ', error="invalid_token"')),
        (f"Bearer {ANN}x", (401, ', error="invalid_token"')),
        (f"Bearer {TOKENS[0].sha256}", (401, ', error="invalid_token"')),
        ("Bearer", (400, ', error="invalid_request"')),
        ("Bearer ", (400, ', error="invalid_request"')),
        (f"Bearer {ANN} {BOB}", (400, ', error="invalid_request"')),
        (f"Bearer {ANN}, Bearer {BOB}", (400, ', error="invalid_request"')),
        (f'Bearer "{ANN}"', (400, ', error="invalid_request"')),
        ("Bearer t\u00f6ken", (400, ', error="invalid_request"')),
        (ANN, (401, "")),
    ],
)
def test_the_token_alone_says_who_asks(authorization: str | None, expected: Any):
    assert answer(Principals(TOKENS, is_open=True), authorization) == expected


@given(st.text())
def test_whatever_stands_in_the_header_nobody_gets_in_by_it(authorization: str):
    status, _ = answer(Principals(TOKENS, is_open=True), authorization)
    assert status in (400, 401)


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Bearer", "nonsense\x00"])
def test_without_tokens_everyone_is_one_principal_where_that_is_allowed(authorization: str | None):
    assert answer(Principals((), is_open=True), authorization) == "anon"
    assert answer(Principals((), is_open=False), authorization)[0] in (400, 401)


def test_no_name_of_a_token_is_anybody_elses():
    assert answer(Principals([entry("anon", ANN)], is_open=True), f"Bearer {ANN}") == "token:anon"


@pytest.mark.parametrize("token", [ANN, BOB, "wrong"])
def test_every_configured_token_is_compared_whichever_it_was(token: str, monkeypatch: pytest.MonkeyPatch):
    compared: list[bytes] = []
    compare_digest = hmac.compare_digest

    def compare(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return compare_digest(given, known)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    answer(Principals(TOKENS, is_open=True), f"Bearer {token}")
    assert [each.hex() for each in compared] == [each.sha256 for each in TOKENS]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (TOKENS, TOKENS, set()),
        (TOKENS, TOKENS[1:], {"token:ann"}),
        (TOKENS, (entry("ann", "renewed"), TOKENS[1]), {"token:ann"}),
        (TOKENS, (), {"token:ann", "token:bob"}),
        ((), TOKENS, {"anon"}),
        ((), (), set()),
    ],
)
def test_who_loses_a_token_or_gets_another_is_known(before: Any, after: Any, lost: set[str]):
    assert Principals(before, is_open=True).lost(Principals(after, is_open=True)) == lost


# --- over the listener ----------------------------------------------------------------------------------------


def get(client: Client) -> Any:
    """The session's own stream."""
    return client.stream("GET", headers=client.legacy_headers(Accept="text/event-stream", Content_Type=None))


def with_tokens(*tokens: TokenConfig, **limits: Any) -> Config:
    return Config(proxy=ProxyConfig(), auth=AuthConfig(tokens=tokens), limits=LimitsConfig(**limits))


@pytest.fixture
async def guarded(serving: Any) -> Any:
    async with serving(tokens=TOKENS) as frontend:
        yield frontend


@pytest.fixture
def ann(http: aiohttp.ClientSession, guarded: Frontend) -> Client:
    return Client(http, guarded.url, ANN)


@pytest.fixture
def bob(http: aiohttp.ClientSession, guarded: Frontend) -> Client:
    return Client(http, guarded.url, BOB)


@pytest.fixture
def stranger(http: aiohttp.ClientSession, guarded: Frontend) -> Client:
    return Client(http, guarded.url, None)


async def test_with_tokens_nothing_is_served_to_who_has_none(
    stranger: Client, gateway: ScriptedGateway, guarded: Frontend
):
    body, headers = modern("tools/list")
    refused = [
        await stranger.ask("tools/list"),
        await stranger.initialize(),
        await stranger.send("GET", headers={"Accept": "text/event-stream", "Mcp-Session-Id": "x"}),
        await stranger.send("DELETE", headers={"Mcp-Session-Id": "x"}),
        await stranger.send("POST", b"not even JSON", headers=headers),
        await stranger.send("POST", body, headers=headers, url=f"{guarded.url}?access_token={ANN}"),
        await stranger.send("POST", body, headers=headers | {"X-Api-Key": ANN, "Cookie": f"token={ANN}"}),
    ]
    for reply in refused:
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="only1mcp"'
        assert "Authorization: Bearer" in reply.json["error"]["message"]
    assert gateway.exchanges == []


async def test_a_wrong_token_and_a_malformed_header_are_told_apart(stranger: Client):
    stranger.token = "wrong"
    wrong = await stranger.ask("tools/list")
    assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (
        401,
        'Bearer realm="only1mcp", error="invalid_token"',
    )
    stranger.token = "two words"
    assert (await stranger.ask("tools/list")).status == 400


@asynccontextmanager
async def raw_post(url: str, headers: dict[str, str]) -> AsyncIterator[tuple[asyncio.StreamReader, Any]]:
    """A POST of which only the head has been sent."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST {address.path} HTTP/1.1\r\nHost: {address.authority}\r\n{lines}\r\n".encode())
    try:
        async with asyncio.timeout(SOON_S):
            yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_stranger_is_refused_before_his_body_is_read(guarded: Frontend):
    _, headers = modern("tools/list")
    async with raw_post(guarded.url, headers | {"Content-Length": "1000000"}) as (reader, _):
        assert b" 401 " in await reader.readline()


async def test_the_token_says_who_calls_in_both_eras(ann: Client, bob: Client, gateway: ScriptedGateway):
    for guest in (ann, bob):
        assert (await guest.ask("tools/list")).status == 200
        await guest.initialize()
        assert (await guest.post(request("tools/list"))).status == 200
    callers = [exchange.caller.principal for exchange in gateway.exchanges]
    assert callers == ["token:ann", "token:ann", "token:bob", "token:bob"]


async def test_a_page_may_ask_what_it_may_send_without_a_token_and_reads_the_challenge(stranger: Client):
    page = {"Origin": "http://localhost:6274"}
    asked = page | {"Access-Control-Request-Headers": "authorization"}
    reply = await stranger.send("OPTIONS", headers=asked)
    assert (reply.status, reply.headers["Access-Control-Allow-Headers"]) == (204, "authorization")
    body, headers = modern("tools/list")
    refused = await stranger.send("POST", body, headers=headers | page)
    assert refused.status == 401
    assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]
    assert (await stranger.send("OPTIONS", headers=asked | {"Origin": "http://evil.example"})).status == 403


@pytest.mark.requirement("L04")
async def test_anothers_session_and_one_that_never_was_are_answered_in_the_same_words(ann: Client, bob: Client):
    await ann.initialize()
    ping = request("ping")
    assert (await ann.post(ping)).status == 200

    async def answers() -> list[Any]:
        listening = bob.legacy_headers(Accept="text/event-stream", Content_Type=None)
        return [
            await bob.post(ping),
            await bob.send("GET", headers=listening),
            await bob.send("DELETE", headers=bob.legacy_headers()),
        ]

    bob.session_id = ann.session_id
    foreign = await answers()
    bob.session_id = "x" * len(ann.session_id or "")
    unknown = await answers()
    assert [reply.status for reply in foreign] == [404, 404, 404]
    for one, other in zip(foreign, unknown, strict=True):
        assert (one.status, one.body, one.headers["Content-Type"]) == (
            other.status,
            other.body,
            other.headers["Content-Type"],
        )
    assert (await ann.post(ping)).status == 200


# --- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("A11")
async def test_who_has_a_token_is_held_to_its_share_on_loopback_too(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    async with serving(tokens=TOKENS, limits=LimitsConfig(calls=2, listens=1)) as frontend:
        ann, bob = Client(http, frontend.url, ANN), Client(http, frontend.url, BOB)
        await ann.initialize()
        running = [asyncio.ensure_future(ann.ask("tools/call", {"name": "a__b"}))]
        calls = [await gateway.next_call()]
        running.append(asyncio.ensure_future(ann.post(request("tools/call", {"name": "a__b"}))))
        calls.append(await gateway.next_call())
        for refused in (await ann.ask("tools/list"), await ann.post(request("ping", id=2))):
            assert refused.json["error"]["data"]["dev.only1mcp"]["kind"] == "overloaded"
        assert "result" in (await bob.ask("tools/list")).json
        for call in calls:
            call.answer(b"{}")
        await asyncio.gather(*running)
        assert "result" in (await ann.ask("tools/list")).json
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        async with ann.stream(body=body, headers=headers) as listen:
            await listen.next()
            refused = await ann.send("POST", body, headers=headers)
            assert refused.json["error"]["data"]["dev.only1mcp"]["kind"] == "overloaded"
            async with bob.stream(body=body, headers=headers) as other:
                await other.next()


# --- a reload -------------------------------------------------------------------------------------------------


async def test_who_loses_the_token_loses_session_calls_and_streams_at_once_and_nobody_else_does(
    ann: Client, bob: Client, guarded: Frontend, gateway: ScriptedGateway
):
    gateway.held = {"tools/call"}
    body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=7)
    for guest in (ann, bob):
        await guest.initialize()
    async with (
        get(ann) as lost_stream,
        ann.stream(body=body, headers=headers) as lost_listen,
        get(bob),
        bob.stream(body=body, headers=headers) as kept_listen,
    ):
        await lost_listen.next()
        await kept_listen.next()
        call = asyncio.ensure_future(ann.post(request("tools/call", {"name": "a__b"})))
        held = await gateway.next_call()
        guarded.use(with_tokens(TOKENS[1]))
        assert (guarded.session_count, guarded.stream_count) == (1, 3)
        await asyncio.wait_for(held.cancelled.wait(), SOON_S)
        await asyncio.wait_for(call, SOON_S)
        assert (await ann.post(request("ping"))).status == 401
        assert (await ann.ask("tools/list")).status == 401
        # A listen ends as the protocol says, a GET stream has no last word.
        ended = await lost_listen.next()
        assert ended["id"] == 7
        assert await lost_listen.rest() == b""
        assert b"jsonrpc" not in await lost_stream.rest()
        gateway.hub.changed("tools")
        assert (await kept_listen.next())["method"] == "notifications/tools/list_changed"
        assert (await bob.post(request("ping"))).status == 200
        await until(lambda: guarded.stream_count == 2)


async def test_a_stream_of_the_old_transport_ends_with_its_token_too(serving: Any, http: aiohttp.ClientSession):
    async with serving(legacy_sse=True, tokens=TOKENS) as frontend:
        ann = Client(http, str(URL(frontend.url).with_path("/sse")), ANN)
        async with ann.stream("GET", headers={"Accept": "text/event-stream"}) as stream:
            frontend.use(Config(proxy=ProxyConfig(legacy_sse=True), auth=AuthConfig(tokens=TOKENS[1:])))
            assert b"jsonrpc" not in await stream.rest()
        assert (await ann.send("GET", headers={"Accept": "text/event-stream"})).status == 401
        assert frontend.session_count == 0


async def test_a_renewed_token_ends_what_the_old_one_opened(ann: Client, guarded: Frontend):
    await ann.initialize()
    guarded.use(with_tokens(entry("ann", "renewed"), TOKENS[1]))
    assert (await ann.post(request("ping"))).status == 401
    ann.token = "renewed"
    assert (await ann.post(request("ping"))).status == 404
    await ann.initialize()
    assert (await ann.post(request("ping"))).status == 200


async def test_a_token_that_is_taken_back_while_a_body_comes_opens_nothing(
    ann: Client, guarded: Frontend, gateway: ScriptedGateway
):
    body, headers = modern("subscriptions/listen", {"notifications": {}})
    raw = json.dumps(body).encode()
    asked = {"Authorization": f"Bearer {ANN}", "Content-Length": str(len(raw)), "Expect": "100-continue"}
    async with raw_post(guarded.url, headers | asked) as (reader, writer):
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        guarded.use(with_tokens(TOKENS[1]))
        writer.write(raw)
        assert b" 401 " in await reader.readline()
    assert guarded.stream_count == 0


async def test_tokens_that_come_and_go_close_and_open_the_door(serving: Any, http: aiohttp.ClientSession):
    async with serving() as frontend:
        anyone, ann = Client(http, frontend.url, None), Client(http, frontend.url, ANN)
        await anyone.initialize()
        frontend.use(with_tokens(*TOKENS))
        assert frontend.session_count == 0
        assert (await anyone.post(request("ping"))).status == 401
        await ann.initialize()
        frontend.use(with_tokens())
        assert (await ann.post(request("ping"))).status == 404
        await anyone.initialize()
        assert (await anyone.post(request("ping"))).status == 200


@pytest.mark.requirement("A06")
async def test_an_address_that_strangers_reach_stays_shut_when_the_last_token_goes(
    serving: Any, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
):
    async with serving(host="0.0.0.0", tokens=TOKENS) as frontend:
        ann = Client(http, frontend.url, ANN)
        assert (await ann.ask("tools/list")).status == 200
        frontend.use(with_tokens())
        assert (await ann.ask("tools/list")).status == 401
        assert "no token is left" in caplog.text


# --- what is told of it ---------------------------------------------------------------------------------------


@pytest.mark.requirement("A12")
async def test_no_token_is_logged_or_published_at_any_level(
    ann: Client, stranger: Client, gateway: ScriptedGateway, facts: list[Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    gateway.scripts["tools/call"] = RuntimeError("unforeseen")
    await ann.ask("tools/list")
    await ann.ask("tools/call", {"name": "a__b"})
    await ann.initialize()
    await ann.post(request("tools/call"))
    for token in (f"{ANN}-canary", f"{ANN} canary"):
        stranger.token = token
        refused = await stranger.ask("tools/list")
        assert "canary" not in f"{refused.body!r} {refused.headers}"
    assert "a request failed" in caplog.text
    assert "canary" not in f"{caplog.text} {facts} {gateway.exchanges}"


# --- with a whole gateway behind it ---------------------------------------------------------------------------


@pytest.mark.requirement("N15")
async def test_a_cursor_is_good_for_the_token_that_it_was_given_to(http: aiohttp.ClientSession):
    async with House({"one": StubServer(tools=many_tools(1001))}).open() as house:
        config = Config(proxy=ProxyConfig(port=0), auth=AuthConfig(tokens=TOKENS))
        frontend = Frontend(config, house.gateway, house.clock, house.facts.append)
        try:
            await frontend.start()
            ann, bob = Client(http, frontend.url, ANN), Client(http, frontend.url, BOB)
            cursor = (await ann.ask("tools/list")).json["result"]["nextCursor"]
            refused = await bob.ask("tools/list", {"cursor": cursor})
            assert (refused.status, refused.error_code) == (400, -32602)
            await bob.initialize()
            assert (await bob.post(request("tools/list", {"cursor": cursor}))).error_code == -32602
            assert len((await ann.ask("tools/list", {"cursor": cursor})).json["result"]["tools"]) == 1
        finally:
            await frontend.aclose()
