"""What is fetched for an issuer, and what is not: a canary listens where nothing may be asked."""

import asyncio
import json
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy_core.backends import http_pool
from proxy_core.config.auth import IssuerConfig
from proxy_core.frontend import issuer_fetch
from proxy_core.frontend.issuer_fetch import key_document
from proxy_core.oauth.fetching import MAX_BYTES, FetchFailed
from tests.support.certificates import Authority
from tests.support.pages import Hostile, Strangers

KEYS = {"keys": []}
METADATA_AT = "/.well-known/oauth-authorization-server"


@pytest.fixture
def issuer(process: Strangers) -> Iterator[Hostile]:
    with process.listening() as hostile:
        yield hostile


@pytest.fixture
def canary(process: Strangers) -> Iterator[Hostile]:
    with process.listening() as hostile:
        yield hostile
        assert hostile.asked == []


def settings(hostile: Hostile, **more: Any) -> IssuerConfig:
    return IssuerConfig(issuer=hostile.url + more.pop("path", ""), **more)


def metadata(hostile: Hostile, **changes: Any) -> dict[str, Any]:
    return {"issuer": hostile.url, "jwks_uri": hostile.url + "/jwks"} | changes


async def test_keys_are_where_the_metadata_say(issuer: Hostile):
    issuer.says(METADATA_AT, metadata(issuer))
    issuer.says("/jwks", KEYS)
    assert await key_document(settings(issuer)) == KEYS
    assert issuer.asked == [METADATA_AT, "/jwks"]


async def test_metadata_are_looked_for_at_three_places_and_keys_at_the_configured_one_alone(issuer: Hostile):
    asked = settings(issuer, path="/realms/one")
    with pytest.raises(FetchFailed, match="realms/one answered with HTTP status 404"):
        await key_document(asked)
    places = [
        "/.well-known/oauth-authorization-server/realms/one",
        "/.well-known/openid-configuration/realms/one",
        "/realms/one/.well-known/openid-configuration",
    ]
    assert issuer.asked == places
    issuer.says(places[2], metadata(issuer, issuer=asked.issuer))
    issuer.says("/jwks", KEYS)
    assert await key_document(asked) == KEYS
    issuer.forget()
    assert await key_document(settings(issuer, jwks_url=issuer.url + "/jwks")) == KEYS
    assert issuer.asked == ["/jwks"]


@pytest.mark.requirement("A07")
@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/jwks",
        "https://192.168.1.1/jwks",
        "https://[::1]:{port}/jwks",
        "https://[::ffff:127.0.0.1]:{port}/jwks",
        "https://[64:ff9b::7f00:1]:{port}/jwks",
        "https://[fe80::1]/jwks",
        "https://[fd00::1]/jwks",
        "https://0.0.0.0:{port}/jwks",
        "https://127.0.0.1:{port}/jwks",
        "https://localhost:{port}/jwks",
        "https://2130706433:{port}/jwks",
        "http://127.0.0.1:{port}/jwks",
        "http://localhost:{port}/jwks",
        "http://as.example/jwks",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/jwks",
        "//127.0.0.1:{port}/jwks",
        "https://u:p@127.0.0.1:{port}/jwks",
        "https://",
        "",
        "https://x\r\nHost: y/",
        "https://" + "a" * 5000,
    ],
)
async def test_what_points_into_our_networks_is_not_followed(issuer: Hostile, canary: Hostile, url: str):
    port = canary.url.rpartition(":")[2]
    issuer.says(METADATA_AT, metadata(issuer, jwks_uri=url.replace("{port}", port)))
    with pytest.raises(FetchFailed):
        await key_document(settings(issuer))


@pytest.mark.requirement("A07")
@pytest.mark.parametrize("path", [METADATA_AT, "/jwks"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_elsewhere_is_not_followed(
    issuer: Hostile, canary: Hostile, path: str, status: str
):
    issuer.says(METADATA_AT, metadata(issuer))
    issuer.says("/jwks", KEYS)
    issuer.says(path, b"", status, f"Location: {canary.url}{path}")
    with pytest.raises(FetchFailed):
        await key_document(settings(issuer))


async def test_a_name_is_looked_up_once_and_what_it_is_then_is_connected_to(
    issuer: Hostile, canary: Hostile, monkeypatch: pytest.MonkeyPatch
):
    """A name that stands for a good address at first and for ours later is not asked twice."""
    loop, looked_up = asyncio.get_running_loop(), []
    getaddrinfo = loop.getaddrinfo

    async def rebinding(host: str, port: int, **how: Any) -> Any:
        looked_up.append(host)
        address = "127.0.0.1" if host == "evil.example" and len(looked_up) > 1 else "10.9.9.9"
        return await getaddrinfo(address if host == "evil.example" else host, port, **how)

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    port = int(canary.url.rpartition(":")[2])
    with pytest.raises(FetchFailed, match=r"evil.example is 10\.9\.9\.9, which may not be asked.*`networks`"):
        await key_document(
            IssuerConfig(issuer=f"https://evil.example:{port}", jwks_url=f"https://evil.example:{port}/")
        )
    assert looked_up == ["evil.example"]


async def test_too_much_too_late_and_another_issuers_are_refused(
    issuer: Hostile, monkeypatch: pytest.MonkeyPatch
):
    issuer.says(METADATA_AT, metadata(issuer, issuer="https://other.example"))
    with pytest.raises(FetchFailed, match="are another issuer's"):
        await key_document(settings(issuer))
    issuer.says(METADATA_AT, metadata(issuer, jwks_uri=None))
    with pytest.raises(FetchFailed, match="no jwks_uri"):
        await key_document(settings(issuer))
    direct = settings(issuer, jwks_url=issuer.url + "/jwks")
    issuer.says("/jwks", b" " * (MAX_BYTES + 1))
    with pytest.raises(FetchFailed, match="larger than 1048576 bytes"):
        await key_document(direct)
    issuer.says("/jwks", b"[" * 5000)
    with pytest.raises(FetchFailed, match="is no JSON"):
        await key_document(direct)
    issuer.answers("/jwks", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    with pytest.raises(FetchFailed):
        await key_document(direct)
    monkeypatch.setattr(issuer_fetch, "FETCH_S", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(FetchFailed, match=r"longer than 0\.05 seconds"):
            await key_document(IssuerConfig(issuer=url, jwks_url=url))


async def test_over_https_the_name_is_what_the_certificate_must_be_for(
    tmp_path: Path, process: Strangers, monkeypatch: pytest.MonkeyPatch
):
    authority = Authority(tmp_path, "authority")
    with process.listening(authority.issue("as")) as hostile:
        port = hostile.port
        monkeypatch.setattr(http_pool, "_tls", authority.trusting)
        hostile.says("/jwks", KEYS)
        right, wrong = (f"https://{host}:{port}/jwks" for host in ("127.0.0.1", "localhost"))
        assert await key_document(IssuerConfig(issuer=right, jwks_url=right)) == KEYS
        # Both are the same place; the certificate is for one of the names.
        with pytest.raises(FetchFailed, match="certificate was not accepted"):
            await key_document(IssuerConfig(issuer=wrong, jwks_url=wrong))
        monkeypatch.setattr(http_pool, "_tls", ssl.create_default_context)
        with pytest.raises(FetchFailed, match="certificate was not accepted"):
            await key_document(IssuerConfig(issuer=right, jwks_url=right))


# --- whatever comes -------------------------------------------------------------------------------------------

MANY = [pytest.mark.long, pytest.mark.timeout(900)]
VALUES: list[Any] = [None, 0, -1, 1e400, True, "", "x" * 3000, [], {}, [[]], "\x00", "\ud800", "é"]


def fuzzed(chance: random.Random, issuer: Hostile, canary: Hostile) -> bytes:
    elsewhere = [canary.url, canary.url.replace("http", "https"), "http://localhost", "https://[::1]", "//"]
    ends = ["/jwks", "", "@x", "?a", "#b", "\r\n", ":1", "\\", "%00"]
    uri: Any = chance.choice([*elsewhere, issuer.url]) + chance.choice(ends)
    document = metadata(issuer, jwks_uri=uri if chance.random() < 0.8 else chance.choice(VALUES))
    if chance.random() < 0.2:
        document["issuer"] = chance.choice([issuer.url + "/", canary.url, *VALUES])
    text = json.dumps(document).encode()
    if chance.random() < 0.3:
        cut = chance.randrange(len(text))
        text = text[:cut] + bytes(chance.randrange(256) for _ in range(3)) + text[cut + chance.randrange(4) :]
    return text


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=MANY)])
async def test_whatever_metadata_say_no_other_place_is_asked(issuer: Hostile, canary: Hostile, count: int):
    chance = random.Random(count)
    issuer.says("/jwks", KEYS)
    good = 0
    for _ in range(count):
        issuer.says(METADATA_AT, fuzzed(chance, issuer, canary))
        try:
            document = await key_document(settings(issuer))
        except FetchFailed:
            continue
        assert document == KEYS
        good += 1
    # So that it was not refused for its form alone.
    assert good > 0
    assert canary.asked == []
