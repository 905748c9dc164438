"""A gateway as an OAuth resource server, over the wire: a real authorization server is a process of its own."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry
from yarl import URL

from proxy_core.config.models import AuthConfig, Config, ProxyConfig
from proxy_core.frontend.frontend import Frontend
from tests.support.authorization_server import RESOURCE, AuthorizationServer, as_base64, authorization_server
from tests.support.http_client import Client, modern, request
from tests.support.scripted_gateway import ScriptedGateway

METADATA = "https://gw.example/.well-known/oauth-protected-resource/mcp"
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
