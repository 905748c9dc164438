"""A gateway as an OAuth resource server, over the wire: a real authorization server is a process of its own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry
from yarl import URL

from proxy_core.clock import SystemClock
from proxy_core.config.models import AuthConfig, Config, LimitsConfig, ProfileConfig, ProxyConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.frontend import Frontend
from proxy_core.frontend.jwks import FRESH_S, INTERVAL_S, KEPT_S
from proxy_core.frontend.wire import WireHead
from tests.proxy_core.frontend.test_principals import raw_post
from tests.support.authorization_server import RESOURCE, AuthorizationServer, as_base64, authorization_server
from tests.support.http_client import Client, Stream, modern, request
from tests.support.pages import strangers
from tests.support.scripted_channel import until
from tests.support.scripted_gateway import ScriptedGateway


class MovableClock(SystemClock):
    """The machine's, some time ahead."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def wall(self) -> float:
        return time.time() + self.ahead_s


METADATA = "https://gw.example/.well-known/oauth-protected-resource/mcp"
AT = "/.well-known/oauth-authorization-server"
NO_TOKEN = f'Bearer resource_metadata="{METADATA}", scope="mcp:use"'
BAD_TOKEN = f'{NO_TOKEN}, error="invalid_token"'


@pytest.fixture(scope="module")
def a_server() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


@pytest.fixture
def issuer(a_server: AuthorizationServer) -> Iterator[AuthorizationServer]:
    yield a_server
    a_server.publish()


def auth_of(issuer: AuthorizationServer, **settings: Any) -> AuthConfig:
    return AuthConfig.model_validate(issuer.config(**settings))


def config_of(auth: AuthConfig, **sections: Any) -> Config:
    return Config(proxy=ProxyConfig(), auth=auth, **sections)


@pytest.fixture
async def guarded(serving: Any, issuer: AuthorizationServer) -> AsyncIterator[Frontend]:
    async with serving(auth=auth_of(issuer)) as frontend:
        yield frontend


@pytest.fixture
def stranger(http: aiohttp.ClientSession, guarded: Frontend) -> Client:
    return Client(http, guarded.url)


@pytest.fixture
def ann(http: aiohttp.ClientSession, guarded: Frontend, issuer: AuthorizationServer) -> Client:
    return Client(http, guarded.url, issuer.token())


async def asked_with(client: Client, token: str | None) -> Any:
    client.token = token
    return await client.ask("tools/list")


@asynccontextmanager
async def listening(client: Client) -> AsyncIterator[Stream]:
    """A listen that is acknowledged."""
    body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with client.stream(body=body, headers=headers) as stream:
        await stream.next()
        yield stream


# --- who gets in ----------------------------------------------------------------------------------------------


async def test_a_token_of_the_server_gets_in_and_says_who_asks(
    stranger: Client, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    assert (await asked_with(stranger, issuer.granted())).status == 200
    assert (await asked_with(stranger, issuer.token(sub="ann/ü", client_id=None, azp="ed"))).status == 200
    await stranger.initialize()
    assert (await stranger.post(request("tools/list"))).status == 200
    callers = [exchange.caller.principal for exchange in gateway.exchanges]
    assert callers[0] == f"jwt:robot/robot@{issuer.issuer}"
    assert callers[1:] == [f"jwt:ann%2F%C3%BC/ed@{issuer.issuer}"] * 2


@pytest.mark.requirement("A01")
async def test_without_a_token_the_challenge_says_where_the_metadata_are_which_are_for_everybody(
    stranger: Client, guarded: Frontend, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    refused = await stranger.ask("tools/list")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, NO_TOKEN)
    assert gateway.exchanges == []
    for path in ("", "/mcp", "/mcp/review"):
        url = URL(guarded.url).with_path(f"/.well-known/oauth-protected-resource{path}")
        told = await stranger.send("GET", url=url)
        assert told.status == 200
        assert told.headers["Content-Type"] == "application/json"
        assert told.json == {
            "resource": RESOURCE,
            "authorization_servers": [issuer.issuer],
            "scopes_supported": ["mcp:use"],
            "bearer_methods_supported": ["header"],
        }


def forged(issuer: AuthorizationServer, header: dict[str, Any], key: Any, **claims: Any) -> str:
    """What a stranger could make, who has some key."""
    signed = ".".join(as_base64(json.dumps(part).encode()) for part in (header, issuer.claims(**claims)))
    return f"{signed}.{as_base64(JWSRegistry.algorithms[header['alg']].sign(signed.encode(), key))}"


@pytest.mark.requirement("A02")
async def test_whatever_is_wrong_with_a_token_it_lets_nobody_in(
    stranger: Client, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    now = issuer.claims()["iat"]
    public = issuer.public_keys()[0]
    kid = public["kid"]
    good = issuer.token()
    head, body, signature = good.split(".")
    other_body = issuer.token(sub="root").split(".")[1]
    own = ECKey.generate_key("P-256", {"kid": kid})
    wrong = {
        "another audience": issuer.token(aud="https://other.example/mcp"),
        "an audience that ours begins": issuer.token(aud=RESOURCE + "/review"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://evil.example"),
        "an issuer with a slash more": issuer.token(iss=issuer.issuer + "/"),
        "no issuer": issuer.token(iss=None),
        "over": issuer.token(exp=now - 31),
        "no end": issuer.token(exp=None),
        "an end that is no number": issuer.token(exp=str(now + 60)),
        "an end without end": issuer.token(exp=1e300),
        "not yet": issuer.token(nbf=now + 60),
        "of the future": issuer.token(iat=now + 60),
        "no subject": issuer.token(sub=None),
        "a subject that is none": issuer.token(sub=["ann"]),
        "an id token of something else": issuer.token({"typ": "logout+jwt"}),
        "crit": issuer.token({"crit": ["exp"]}),
        "alg none": forged(issuer, {"alg": "none", "kid": kid}, None),
        "its public key as a secret": forged(
            issuer, {"alg": "HS256", "kid": kid}, OctKey.import_key(json.dumps(public).encode())
        ),
        "another key of this name": forged(issuer, {"alg": "ES256", "kid": kid}, own),
        "another key with a name of its own": forged(issuer, {"alg": "ES256", "kid": "mine"}, own),
        "another kind of key": forged(issuer, {"alg": "RS256", "kid": kid}, RSAKey.generate_key(2048)),
        "its own key in its header": forged(issuer, {"alg": "ES256", "jwk": own.as_dict(private=False)}, own),
        "another's claims": f"{head}.{other_body}.{signature}",
        "no signature": f"{head}.{body}.",
        "nothing but dots": "..",
        "four parts": good + ".x",
    }
    for why, token in wrong.items():
        refused = await asked_with(stranger, token)
        assert refused.status == 401, why
        assert refused.headers["WWW-Authenticate"] == BAD_TOKEN, why
    asked, headers = modern("tools/list")
    url = f"{stranger.url}?access_token={good}"
    stranger.token = None
    in_query = await stranger.send("POST", asked, headers=headers, url=url)
    assert (in_query.status, in_query.headers["WWW-Authenticate"]) == (401, NO_TOKEN)
    assert gateway.exchanges == []
    assert (await asked_with(stranger, good)).status == 200
    for same in ("HTTPS://GW.example/mcp", RESOURCE + "/"):
        assert (await asked_with(stranger, issuer.token(aud=["https://x.example", same]))).status == 200


# --- scopes and profiles --------------------------------------------------------------------------------------

PROFILES = {"review": ProfileConfig(), "ops": ProfileConfig(), "dev": ProfileConfig()}
GRANTS = [
    {"profile": "review", "scopes": ["mcp:review"]},
    {"profile": "dev", "claims": {"groups": "dev"}},
    {"profile": "ops", "scopes": ["mcp:ops", "mcp:write"], "claims": {"groups": "ops"}},
]


def scope_challenge(scopes: str) -> str:
    return f'Bearer error="insufficient_scope", scope="{scopes}", resource_metadata="{METADATA}"'


@pytest.mark.requirement("A03")
async def test_a_scope_that_is_missing_is_asked_for_with_all_that_are_needed(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    auth = auth_of(issuer, scopes=["mcp:use", "mcp:read"], grants=GRANTS)
    async with serving(auth=auth, profiles=PROFILES) as frontend:
        client = Client(http, frontend.url)

        async def refusal(path: str = "", **claims: Any) -> Any:
            client.url, client.token = frontend.url + path, issuer.token(**claims)
            reply = await client.ask("tools/list")
            return reply.status, reply.headers.get("WWW-Authenticate")

        both = "mcp:use mcp:read"
        assert await refusal() == (403, scope_challenge(both))
        assert await refusal(scope=None) == (403, scope_challenge(both))
        assert await refusal(scope="mcp:readmcp:use") == (403, scope_challenge(both))
        assert await refusal(scope=both) == (403, scope_challenge(f"{both} mcp:review"))
        ops = {"groups": ["x", "ops"], "scope": f"{both} mcp:review"}
        assert await refusal("/ops", **ops) == (403, scope_challenge(f"{both} mcp:ops mcp:write"))
        # No scope would open these to this bearer, so none is named.
        assert await refusal("/dev", **ops) == (403, None)
        assert await refusal("/nowhere", **ops) == (403, None)
        assert gateway.exchanges == []
        metadata = URL(frontend.url).with_path("/.well-known/oauth-protected-resource")
        told = (await client.send("GET", url=metadata)).json
        assert told["scopes_supported"] == ["mcp:use", "mcp:read", "mcp:review", "mcp:ops", "mcp:write"]


async def test_scopes_and_claims_say_under_which_profiles_a_token_is_served(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    async with serving(
        auth=auth_of(issuer, grants=[*GRANTS, {"claims": {"root": True}}]), profiles=PROFILES
    ) as one:
        client = Client(http, one.url)

        async def served(path: str, **claims: Any) -> Any:
            client.url, client.token = one.url + path, issuer.token(**claims)
            reply = await client.ask("tools/list")
            return gateway.exchanges[-1].caller.profile if reply.status == 200 else reply.status

        assert await served("", scope="mcp:use mcp:review") == "review"
        assert await served("/review", scope="mcp:use mcp:review") == "review"
        assert await served("", groups="dev") == "dev"
        several = {"groups": ["dev", "ops"], "scope": None, "scp": ["mcp:use", "mcp:ops", "mcp:write"]}
        assert await served("", **several) == "dev"
        assert await served("/ops", **several) == "ops"
        assert await served("/review", **several) == 403
        assert await served("", groups="devs") == 403
        assert await served("", root=True) == ""
        assert await served("/ops", root=True) == "ops"
        assert await served("/nowhere", root=True) == 404
        # True is no 1, nor its name.
        assert await served("", root=1) == 403
        assert await served("", root="true") == 403


async def test_a_token_that_no_grant_and_no_scope_could_fit_is_refused(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    auth = auth_of(
        issuer, grants=[{"claims": {"tenant": "ours"}}], deny=[{"sub": "eve", "client_id": "editor"}]
    )
    async with serving(auth=auth) as frontend:
        client = Client(http, frontend.url)
        for claims, status in (
            ({"tenant": "ours"}, 200),
            ({"tenant": "theirs"}, 401),
            ({"tenant": "ours", "sub": "eve"}, 401),
            ({"tenant": "ours", "sub": "eve", "client_id": "other"}, 200),
        ):
            assert (await asked_with(client, issuer.token(**claims))).status == status


async def test_a_token_of_an_issuer_is_not_for_what_shows_the_whole_gateway(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    async with serving(auth=auth_of(issuer)) as frontend:
        ann = Client(http, frontend.url, issuer.token())
        assert (await ann.ask("tools/list")).status == 200
        head = WireHead("GET", "/metrics", [], "", {"authorization": f"Bearer {ann.token}"})
        with pytest.raises(HttpRefusal, match="may not look") as refused:
            frontend._endpoint.principals.identify_operator(head)
        assert refused.value.status == 403


async def test_two_bearers_have_nothing_of_each_other(
    ann: Client, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    await ann.initialize()
    others = [
        issuer.token(sub="bob"),
        issuer.token(client_id="other"),
        issuer.token(sub="ann/editor", client_id=""),
    ]
    for token in others:
        bob = Client(http, ann.url, token)
        bob.session_id = ann.session_id
        assert (await bob.post(request("ping"))).status == 404
    # The same bearer with another token is the same.
    ann.token = issuer.token(jti="renewed")
    assert (await ann.post(request("ping"))).status == 200


async def statuses(clients: list[Client]) -> set[int]:
    """Of one request of each, all at once."""
    return {reply.status for reply in await asyncio.gather(*(each.ask("tools/list") for each in clients))}


# --- keys that change -----------------------------------------------------------------------------------------


async def test_a_new_key_is_fetched_once_for_all_who_wait_and_an_unknown_one_not_again_at_once(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    clock = MovableClock()
    async with serving(auth=auth_of(issuer), clock=clock) as frontend:
        client = Client(http, frontend.url)
        assert (await asked_with(client, issuer.token())).status == 200
        clock.ahead_s += INTERVAL_S
        issuer.rotate(keeps_old=True)
        issuer.publish(delay_s=0.2)
        before, tokens = issuer.asked("/jwks"), [issuer.token(sub=f"s{number}") for number in range(20)]
        clients = [Client(http, frontend.url, token) for token in tokens]
        assert {
            reply.status for reply in await asyncio.gather(*(each.ask("tools/list") for each in clients))
        } == {200}
        assert issuer.asked("/jwks") == before + 1
        for number in range(50):
            assert (await asked_with(client, issuer.token({"kid": f"no-{number}"}))).status == 401
        assert issuer.asked("/jwks") == before + 1
        clock.ahead_s += INTERVAL_S
        flood = [Client(http, frontend.url, issuer.token({"kid": f"no-{number}"})) for number in range(20)]
        assert {
            reply.status for reply in await asyncio.gather(*(each.ask("tools/list") for each in flood))
        } == {401}
        assert issuer.asked("/jwks") == before + 2


async def test_a_key_that_is_taken_back_ends_what_its_tokens_opened_and_nobody_elses(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    clock = MovableClock()
    async with serving(auth=auth_of(issuer), clock=clock) as frontend:
        ann, bob = Client(http, frontend.url, issuer.token()), Client(http, frontend.url)
        async with listening(ann) as lost:
            await ann.initialize()
            issuer.rotate(keeps_old=True)
            clock.ahead_s += INTERVAL_S
            bob.token = issuer.token(sub="bob")
            async with listening(bob) as kept:
                issuer.publish(jwks={"keys": issuer.public_keys()[-1:]})
                # A reload looks at them at once: nobody waits until they are old.
                frontend.use(config_of(auth_of(issuer)))
                assert (await lost.next())["id"] == 1
                assert await lost.rest() == b""
                assert (await ann.ask("tools/list")).status == 401
                assert (await ann.post(request("ping"))).status == 401
                assert frontend.session_count == 0
                assert (await bob.ask("tools/list")).status == 200
                frontend._listens.end_of({f"jwt:bob/editor@{issuer.issuer}"})
                assert (await kept.next())["id"] == 1


@pytest.mark.usefixtures("hurried")
async def test_keys_are_looked_at_anew_while_somebody_uses_them_and_do_not_count_for_ever(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer, caplog: pytest.LogCaptureFixture
):
    clock = MovableClock()
    async with serving(auth=auth_of(issuer), clock=clock) as frontend:
        ann = Client(http, frontend.url, issuer.token(exp=int(time.time() + 10 * KEPT_S)))
        async with listening(ann) as stream:
            before = issuer.asked(AT)
            clock.ahead_s += FRESH_S
            await until(lambda: issuer.asked(AT) == before + 1)
            issuer.publish(status=503)
            clock.ahead_s += FRESH_S
            await until(lambda: issuer.asked(AT) == before + 2)
            # An issuer that is away for a while takes nobody with it.
            assert (await ann.ask("tools/list")).status == 200
            clock.ahead_s += KEPT_S
            assert (await stream.next())["id"] == 1
            refused = await ann.ask("tools/list")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        issuer.publish()
        clock.ahead_s += INTERVAL_S
        assert (await ann.ask("tools/list")).status == 200


async def test_an_issuer_that_is_away_at_the_start_is_asked_again(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer, caplog: pytest.LogCaptureFixture
):
    issuer.publish(status=500)
    clock = MovableClock()
    async with serving(auth=auth_of(issuer), clock=clock) as frontend:
        ann = Client(http, frontend.url, issuer.token())
        refused = await ann.ask("tools/list")
        assert refused.status == 503
        assert "WWW-Authenticate" not in refused.headers
        assert "answered with HTTP status 500" in caplog.text
        issuer.publish()
        clock.ahead_s += INTERVAL_S
        assert (await ann.ask("tools/list")).status == 200


async def test_who_must_be_waited_for_sends_no_large_body(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    issuer.publish(delay_s=1)
    async with serving(auth=auth_of(issuer)) as frontend:
        ann = Client(http, frontend.url, issuer.token())
        body, headers = modern("tools/list", {"padding": "x" * 100_000})
        assert (await ann.send("POST", body, headers=headers)).status == 503
        assert (await ann.ask("tools/list")).status == 200


# --- time and reloads -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
async def test_a_token_that_expires_ends_its_streams_and_lets_its_session_go_on_with_the_next(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    clock = MovableClock()
    gateway.held = {"tools/call"}
    async with serving(auth=auth_of(issuer), clock=clock, legacy_sse=True) as frontend:
        ann, old = Client(http, frontend.url, issuer.token()), Client(http, frontend.url, issuer.token())
        old.url = str(URL(frontend.url).with_path("/sse"))
        await ann.initialize()
        listen_headers = ann.legacy_headers(Accept="text/event-stream", Content_Type=None)
        async with (
            ann.stream("GET", headers=listen_headers) as own,
            old.stream("GET", headers={"Accept": "text/event-stream"}) as sse,
            listening(ann) as listen,
        ):
            call = asyncio.ensure_future(ann.post(request("tools/call", {"name": "a__b"}, id=2)))
            held = await gateway.next_call()
            assert (await ann.ask("tools/list")).status == 200
            clock.ahead_s += 631
            refused = await ann.ask("tools/list")
            assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, BAD_TOKEN)
            assert (await listen.next())["id"] == 1
            assert b"jsonrpc" not in await own.rest() + await sse.rest()
            # It was admitted.
            held.answer(b"{}")
            assert (await call).status == 200
        ann.token = issuer.token(exp=int(clock.wall()) + 60, iat=None)
        assert (await ann.post(request("ping"))).status == 200


async def test_what_a_reload_takes_back_is_in_force_at_once_for_open_streams_too(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    grants = [{"profile": "review", "scopes": ["mcp:review"]}, {"profile": "ops"}]
    async with serving(auth=auth_of(issuer, grants=grants), profiles=PROFILES) as frontend:

        def use(**settings: Any) -> None:
            frontend.use(config_of(auth_of(issuer, **{"grants": grants} | settings), profiles=PROFILES))

        async def changed(client: Client, **settings: Any) -> int:
            """The status of the next request; what was open must have ended."""
            async with listening(client) as stream:
                await client.initialize()
                use(**settings)
                assert (await stream.next())["id"] == 1
                assert (await client.post(request("ping"))).status in (401, 403, 404)
            return int((await client.ask("tools/list")).status)

        ann = Client(http, frontend.url, issuer.token(scope="mcp:use mcp:review", jti="stolen"))
        bob = Client(http, frontend.url, issuer.token(sub="bob"))
        async with listening(bob) as kept:
            assert await changed(ann, deny=[{"jti": "stolen"}]) == 401
            use()
            assert await changed(ann, grants=[{"profile": "ops"}]) == 200
            use()
            assert await changed(ann, algorithms=["RS256"], grants=[{"profile": "ops"}]) == 401
            assert (await kept.next())["id"] == 1
        use()
        assert await changed(bob, scopes=["mcp:use", "mcp:more"]) == 403
        use()
        async with listening(ann) as stream:
            use(leeway_s=0)
            frontend.use(config_of(AuthConfig()))
            assert (await stream.next())["id"] == 1
        # Nobody has to say who he is any more.
        assert (await Client(http, frontend.url).ask("tools/list")).status == 200


async def test_a_token_that_is_taken_back_while_a_body_comes_opens_nothing(
    ann: Client, guarded: Frontend, issuer: AuthorizationServer
):
    assert (await ann.ask("tools/list")).status == 200
    body, headers = modern("subscriptions/listen", {"notifications": {}})
    raw = json.dumps(body).encode()
    asked = {"Authorization": f"Bearer {ann.token}", "Content-Length": str(len(raw)), "Expect": "100-continue"}
    async with raw_post(guarded.url, headers | asked) as (reader, writer):
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        guarded.use(config_of(auth_of(issuer, deny=[{"sub": "ann"}])))
        writer.write(raw)
        assert b" 401 " in await reader.readline()
    assert guarded.stream_count == 0


@pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)
async def test_a_head_that_comes_again_is_judged_again(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer, fast_path: bool
):
    clock = MovableClock()
    async with serving(auth=auth_of(issuer), clock=clock) as frontend:
        ann = Client(http, frontend.url, issuer.token())
        for _ in range(3):
            assert (await ann.ask("tools/list")).status == 200
        clock.ahead_s += 631
        for _ in range(3):
            assert (await ann.ask("tools/list")).status == 401
        clock.ahead_s = 0
        assert (await ann.ask("tools/list")).status == 200
        frontend.use(config_of(auth_of(issuer, deny=[{"sub": "ann"}])))
        for _ in range(3):
            assert (await ann.ask("tools/list")).status == 401


@pytest.mark.requirement("A12")
async def test_no_token_and_no_claim_is_logged(
    ann: Client, issuer: AuthorizationServer, facts: list[Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG", "proxy_core")
    tokens = [
        issuer.token(canary="canary"),
        issuer.token(aud="https://canary.example"),
        issuer.token({"kid": "canary"}),
    ]
    for token in tokens:
        refused = await asked_with(ann, token)
        assert "canary" not in f"{refused.body!r} {refused.headers}"
    assert "a token was refused: its aud is not auth.resource" in caplog.text
    assert not any(token in f"{caplog.text} {facts}" for token in tokens)
    assert "canary" not in f"{caplog.text} {facts}"


# --- the rest of the listener ---------------------------------------------------------------------------------


@pytest.mark.requirement("A05")
async def test_metadata_are_for_everybody_who_comes_by_the_right_name(
    stranger: Client, guarded: Frontend, gateway: ScriptedGateway
):
    stranger.url = str(URL(guarded.url).with_path("/.well-known/oauth-protected-resource/mcp"))
    page = {"Origin": "http://localhost:6274"}
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Host": "gw.example"}, 200),
        ({"Host": "gw.example", "Origin": "https://evil.example"}, 403),
        (page, 200),
        ({"Authorization": "Bearer nonsense"}, 200),
    ):
        assert (await stranger.send("GET", headers=headers)).status == status
    told = await stranger.send("GET", headers=page)
    assert told.headers["Access-Control-Allow-Origin"] == page["Origin"]
    asked = page | {"Access-Control-Request-Headers": "mcp-protocol-version"}
    assert (await stranger.send("OPTIONS", headers=asked)).headers["Access-Control-Allow-Headers"] == (
        "mcp-protocol-version"
    )
    assert (await stranger.send("POST", b"{}")).status == 405
    assert (await stranger.send("GET", b"{}")).status == 413
    stranger.url += "/no/profile"
    assert (await stranger.send("GET")).status == 401


@pytest.mark.requirement("A06")
async def test_an_address_that_strangers_reach_is_open_to_those_with_a_token_alone(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer
):
    async with serving(host="0.0.0.0", auth=auth_of(issuer)) as frontend:
        ann = Client(http, frontend.url, issuer.token())
        assert (await ann.ask("tools/list")).status == 200
        frontend.use(config_of(AuthConfig()))
        assert (await ann.ask("tools/list")).status == 401
        metadata = URL(frontend.url).with_path("/.well-known/oauth-protected-resource")
        assert (await ann.send("GET", url=metadata)).status == 401


@pytest.mark.requirement("A07")
async def test_metadata_that_lead_elsewhere_let_nobody_in_and_nobody_is_asked_there(
    serving: Any, http: aiohttp.ClientSession, issuer: AuthorizationServer, caplog: pytest.LogCaptureFixture
):
    with strangers() as process, process.listening() as canary:
        port = canary.port
        places = ["http://169.254.169.254/jwks", "https://10.0.0.1/jwks", "https://[::1]/jwks"]
        for place in (*places, f"http://127.0.0.1:{port}/jwks", f"https://localhost:{port}/jwks"):
            issuer.publish(metadata={"issuer": issuer.issuer, "jwks_uri": place})
            async with serving(auth=auth_of(issuer)) as frontend:
                assert (await asked_with(Client(http, frontend.url), issuer.token())).status == 503
        issuer.publish(status=307, location=f"http://127.0.0.1:{port}/jwks")
        async with serving(auth=auth_of(issuer)) as frontend:
            assert (await asked_with(Client(http, frontend.url), issuer.token())).status == 503
        assert canary.asked == []
    assert caplog.text.count("could not be had") == 6


@pytest.mark.requirement("A11")
async def test_a_bearer_is_held_to_its_share(
    serving: Any, http: aiohttp.ClientSession, gateway: ScriptedGateway, issuer: AuthorizationServer
):
    gateway.held = {"tools/call"}
    async with serving(auth=auth_of(issuer), limits=LimitsConfig(calls=1)) as frontend:
        ann, again = (Client(http, frontend.url, issuer.token(jti=name)) for name in "ab")
        bob = Client(http, frontend.url, issuer.token(sub="bob"))
        running = asyncio.ensure_future(ann.ask("tools/call", {"name": "a__b"}))
        held = await gateway.next_call()
        refused = await again.ask("tools/list")
        assert refused.json["error"]["data"]["dev.only1mcp"]["kind"] == "overloaded"
        assert "result" in (await bob.ask("tools/list")).json
        held.answer(b"{}")
        await running
