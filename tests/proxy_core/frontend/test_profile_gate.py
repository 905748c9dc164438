"""Under which profile a request is served: by its URL, by its token, and for as long as both hold."""

import asyncio
import hashlib
from typing import Any

import aiohttp
import pytest
from yarl import URL

from proxy_core.config.across import TAKEN_AT_THE_ROOT
from proxy_core.config.models import AuthConfig, Config, ProfileConfig, ProxyConfig, TokenConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.frontend import Frontend
from proxy_core.frontend.guards import MESSAGES_PATH, SSE_PATH, guard_for
from proxy_core.frontend.pages import PATHS
from proxy_core.frontend.profile_gate import ProfileGate
from tests.support.http_client import SOON_S, Client, modern, request
from tests.support.scripted_channel import until
from tests.support.scripted_gateway import ScriptedGateway

PROFILES = {"review": ProfileConfig(), "ops": ProfileConfig()}


def token(name: str, profile: str | None = None) -> TokenConfig:
    return TokenConfig(name=name, sha256=hashlib.sha256(name.encode()).hexdigest(), profile=profile)


TOKENS = (token("ann"), token("bob", "review"))


def gate(**profiles: str | None) -> ProfileGate:
    """`profiles`: of tokens, by their names."""
    tokens = tuple(token(name, profile) for name, profile in profiles.items())
    return ProfileGate.of(Config(auth=AuthConfig(tokens=tokens), profiles=PROFILES))


# --- by a head alone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "named", "served"),
    [
        ("anon", "", ""),
        ("anon", "review", "review"),
        ("token:ann", "ops", "ops"),
        ("token:bob", "", "review"),
        ("token:bob", "review", "review"),
        ("anon", "nope", "404: This gateway has no profile nope."),
        ("token:bob", "ops", "403: This token is for the profile review alone; the URL names another."),
        ("token:bob", "nope", "403: This token is for the profile review alone; the URL names another."),
    ],
)
def test_the_url_chooses_unless_the_token_has(principal: str, named: str, served: str):
    try:
        found = gate(ann=None, bob="review").profile_for(principal, named)
    except HttpRefusal as refusal:
        found = f"{refusal.status}: {refusal.message}"
    assert found == served


def test_a_new_configuration_tells_whose_profile_is_another_and_which_are_gone():
    before = gate(ann=None, bob="review", eve="ops", kept="ops")
    after = ProfileGate.of(
        Config(
            auth=AuthConfig(tokens=(token("ann", "ops"), token("eve"), token("kept", "ops"))),
            profiles={"ops": ProfileConfig()},
        )
    )
    moved, gone = before.lost(after)
    assert (set(moved), set(gone)) == ({"token:ann", "token:bob", "token:eve"}, {"review"})
    assert before.lost(before) == (set(), frozenset())


@pytest.mark.parametrize(
    ("base", "path", "named"),
    [
        ("/mcp", "/mcp", ""),
        ("/mcp", "/mcp/review", "review"),
        ("/mcp", "/mcp/", None),
        ("/mcp", "/mcp/Review", None),
        ("/mcp", "/mcp/review/", None),
        ("/mcp", "/mcp/a%20b", None),
        ("/mcp", "/mcpreview", None),
        ("/mcp", "/mcp/review\n", None),
        ("/mcp", "/sse", None),
        ("/", "/", ""),
        ("/", "/review", "review"),
        ("/", "/sse", None),
        ("/mcp/", "/mcp/review", "review"),
    ],
)
def test_a_path_below_ours_names_a_profile(base: str, path: str, named: str | None):
    guard = guard_for(base, "127.0.0.1", 80, max_body_bytes=1, has_sse=True)
    assert guard.profile_in(path) == named


def test_no_profile_may_be_called_as_a_page_of_the_listener():
    assert {f"/{name}" for name in TAKEN_AT_THE_ROOT} == {*PATHS, SSE_PATH, MESSAGES_PATH}


# --- on the wire ----------------------------------------------------------------------------------------------


def at(frontend: Frontend, profile: str = "") -> str:
    return f"{frontend.url}/{profile}" if profile else frontend.url


async def test_both_eras_are_served_under_the_profile_of_their_url(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    async with serving(profiles=PROFILES) as frontend:
        for profile in ("", "review"):
            client = Client(http, at(frontend, profile))
            assert (await client.ask("tools/list")).status == 200
            await client.initialize()
            assert (await client.post(request("tools/list"))).status == 200
        assert [each.caller.profile for each in gateway.exchanges] == ["", "", "review", "review"]


async def test_an_unknown_profile_is_not_found_in_either_era(serving: Any, http: aiohttp.ClientSession):
    async with serving(profiles=PROFILES) as frontend:
        client = Client(http, at(frontend, "nope"))
        for reply in (await client.ask("tools/list"), await client.initialize()):
            assert reply.status == 404
            assert reply.json["error"]["message"] == "This gateway has no profile nope."
        assert (await client.send("GET", headers={"Accept": "text/event-stream"})).status == 404


async def test_a_page_learns_nothing_of_profiles_before_it_has_said_who_it_is(
    serving: Any, http: aiohttp.ClientSession
):
    headers = {"Origin": "http://localhost:1", "Access-Control-Request-Method": "POST"}
    async with serving(profiles=PROFILES, tokens=TOKENS) as frontend:
        statuses = []
        for profile in ("review", "nope"):
            client = Client(http, at(frontend, profile))
            statuses.append((await client.send("OPTIONS", headers=headers)).status)
            assert (await client.ask("tools/list")).status == 401
        assert len(set(statuses)) == 1


async def test_a_session_is_known_under_its_own_profile_alone(serving: Any, http: aiohttp.ClientSession):
    async with serving(profiles=PROFILES) as frontend:
        client = Client(http, at(frontend, "review"))
        await client.initialize()
        for profile in ("", "ops"):
            client.url = at(frontend, profile)
            for reply in (
                await client.post(request("ping")),
                await client.send("GET", headers=client.legacy_headers()),
                await client.send("DELETE", headers=client.legacy_headers()),
            ):
                assert reply.status == 404
                assert reply.json["error"]["message"] == "Session not found; open a new one with initialize."
        client.url = at(frontend, "review")
        assert (await client.post(request("ping"))).status == 200


async def test_a_token_of_a_profile_is_served_under_it_at_the_plain_url_and_refused_elsewhere(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    async with serving(profiles=PROFILES, tokens=TOKENS) as frontend:
        for profile in ("", "review"):
            bob = Client(http, at(frontend, profile), "bob")
            assert (await bob.ask("tools/list")).status == 200
        # One session, whichever of the two URLs it is asked at: it is the same profile.
        await bob.initialize()
        bob.url = at(frontend)
        assert (await bob.post(request("ping"))).status == 200
        assert {each.caller.profile for each in gateway.exchanges} == {"review"}
        bob.url = at(frontend, "ops")
        refused = await bob.ask("tools/list")
        assert refused.status == 403
        assert "profile review alone" in refused.json["error"]["message"]
        ann = Client(http, at(frontend, "ops"), "ann")
        assert (await ann.ask("tools/list")).status == 200


async def test_the_old_transport_serves_the_profile_of_the_token(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    async with serving(profiles=PROFILES, tokens=TOKENS, legacy_sse=True) as frontend:
        bob = Client(http, str(URL(frontend.url).with_path("/sse")), "bob")
        async with bob.stream("GET", headers={"Accept": "text/event-stream"}):
            (line,) = frontend._sse._lines.values()
            assert line.session.caller.viewer == ("token:bob", "review")


async def test_what_was_open_ends_with_its_profile_and_the_rest_goes_on(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    async with serving(profiles=PROFILES) as frontend:
        review, ops = Client(http, at(frontend, "review")), Client(http, at(frontend, "ops"))
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=7)
        for client in (review, ops):
            await client.initialize()
        async with (
            review.stream(body=body, headers=headers) as lost,
            ops.stream(body=body, headers=headers) as kept,
        ):
            await lost.next()
            await kept.next()
            frontend.use(Config(proxy=ProxyConfig(port=0), profiles={"ops": ProfileConfig()}))
            assert (await asyncio.wait_for(lost.next(), SOON_S))["id"] == 7
            assert await lost.rest() == b""
            assert (await review.post(request("ping"))).status == 404
            assert (await ops.post(request("ping"))).status == 200
            gateway.hub.changed("tools")
            assert (await kept.next())["method"] == "notifications/tools/list_changed"


async def test_whoever_listens_hears_of_the_lists_of_its_own_profile(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway
):
    tokens = (TOKENS[0], token("bob", "ops"))
    async with serving(profiles=PROFILES, tokens=tokens, legacy_sse=True) as frontend:
        ann = Client(http, at(frontend, "review"), "ann")
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        async with ann.stream(body=body, headers=headers) as listen:
            await listen.next()
            assert gateway.hub.profiles == {"review"}
        await until(lambda: not gateway.hub.profiles)
        await ann.initialize()
        async with ann.stream("GET", headers=ann.legacy_headers() | {"Accept": "text/event-stream"}):
            assert gateway.hub.profiles == {"review"}
            old = Client(http, str(URL(frontend.url).with_path("/sse")), "bob")
            async with old.stream("GET", headers={"Accept": "text/event-stream"}):
                assert gateway.hub.profiles == {"review", "ops"}


async def test_a_token_that_is_bound_otherwise_loses_what_it_had_open(
    serving: Any, http: aiohttp.ClientSession
):
    async with serving(profiles=PROFILES, tokens=TOKENS) as frontend:
        ann, bob = Client(http, at(frontend), "ann"), Client(http, at(frontend), "bob")
        for client in (ann, bob):
            await client.initialize()
        tokens = (TOKENS[0], token("bob", "ops"))
        frontend.use(
            Config(proxy=ProxyConfig(port=0), auth=AuthConfig(tokens=tokens), profiles=PROFILES),
        )
        assert frontend.session_count == 1
        assert (await bob.post(request("ping"))).status == 404
        assert (await ann.post(request("ping"))).status == 200
