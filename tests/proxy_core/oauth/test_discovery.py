"""Where a login is looked for, in which order, and what of strangers' documents is believed."""

from collections.abc import Iterator
from typing import Any

import pytest
from yarl import URL

from proxy_core.config.base import is_loopback
from proxy_core.oauth import discovery, fetching
from proxy_core.oauth.discovery import NotFound, discovered
from proxy_core.oauth.fetching import MAX_BYTES, FetchFailed, Reach
from tests.support.pages import Hostile, Strangers

AT_PATH = "/.well-known/oauth-protected-resource/mcp"
AT_ROOT = "/.well-known/oauth-protected-resource"
SERVERS = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
LOCAL = Reach("box", (), "`networks`", lambda url: is_loopback(url.host or ""))
REMOTE = Reach("box", (), "`networks`", lambda url: False)


@pytest.fixture
def pages(process: Strangers) -> Iterator[Hostile]:
    with process.listening() as hostile:
        yield hostile


@pytest.fixture
def canary(process: Strangers) -> Iterator[Hostile]:
    with process.listening() as hostile:
        yield hostile
        assert hostile.asked == []


def resource(pages: Hostile, **changes: Any) -> dict[str, Any]:
    return {"resource": f"{pages.url}/mcp", "authorization_servers": [pages.url]} | changes


def server(pages: Hostile, path: str = "", **changes: Any) -> dict[str, Any]:
    endpoints = {"authorization_endpoint": f"{pages.url}/in", "token_endpoint": f"{pages.url}/token"}
    return {"issuer": pages.url + path, "code_challenge_methods_supported": ["S256"]} | endpoints | changes


async def found(pages: Hostile, named: str | None = None, wanted: str | None = None) -> str:
    _, metadata = await discovered(LOCAL, f"{pages.url}/mcp", named, wanted)
    return metadata.issuer


async def test_what_a_challenge_names_is_asked_and_nothing_else_beside_it(pages: Hostile):
    pages.says("/here", resource(pages))
    pages.says(SERVERS, server(pages))
    assert await found(pages, f"{pages.url}/here") == pages.url
    assert pages.asked == ["/here", SERVERS]
    with pytest.raises(NotFound, match="nothing where the server says"):
        await found(pages, f"{pages.url}/gone")


async def test_without_a_challenge_the_usual_places_are_asked_the_path_first(pages: Hostile):
    pages.says(AT_ROOT, resource(pages, resource=pages.url))
    pages.says(SERVERS, server(pages))
    assert await found(pages) == pages.url
    assert pages.asked == [AT_PATH, AT_ROOT, SERVERS]


async def test_metadata_of_an_issuer_with_a_path_are_looked_for_in_the_order_of_the_spec(pages: Hostile):
    pages.says(AT_PATH, resource(pages, authorization_servers=[f"{pages.url}/one"]))
    pages.says(f"/one{OPENID}", server(pages, "/one"))
    assert await found(pages) == f"{pages.url}/one"
    assert pages.asked == [AT_PATH, f"{SERVERS}/one", f"{OPENID}/one", f"/one{OPENID}"]


async def test_a_server_of_old_without_metadata_is_its_own_issuer(pages: Hostile):
    pages.says(SERVERS, server(pages))
    assert await found(pages) == pages.url


async def test_a_server_that_fails_is_not_one_without_metadata(pages: Hostile):
    pages.says(AT_PATH, {}, "503 Service Unavailable")
    with pytest.raises(FetchFailed, match="503"):
        await found(pages)
    assert pages.asked == [AT_PATH]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resource": "https://evil.example/mcp"}, "another resource"),
        ({"resource": "{}/mcpx"}, "another resource"),
        ({"resource": "{}/mcp/below"}, "another resource"),
        ({"resource": "{}/mcp#part"}, "another resource"),
        ({"resource": ["{}/mcp"]}, "another resource"),
        ({"authorization_servers": []}, "no authorization server"),
        ({"authorization_servers": [7, None]}, "no authorization server"),
        ({"authorization_servers": ["no url"]}, "no URL|not HTTPS|that is none"),
    ],
)
async def test_metadata_of_another_resource_or_without_an_issuer_lead_nowhere(
    pages: Hostile, changes: dict[str, Any], words: str
):
    filled = {
        key: value.format(pages.url) if isinstance(value, str) else value for key, value in changes.items()
    }
    pages.says(AT_PATH, resource(pages, **filled))
    pages.says(SERVERS, server(pages))
    with pytest.raises((NotFound, FetchFailed), match=words):
        await found(pages)


@pytest.mark.parametrize("issuer", ["{}/", "{}/other", "https://evil.example", None, 7])
async def test_metadata_of_another_issuer_are_refused_to_the_letter(pages: Hostile, issuer: Any):
    pages.says(AT_PATH, resource(pages))
    said = issuer.format(pages.url) if isinstance(issuer, str) else issuer
    pages.says(SERVERS, server(pages, issuer=said))
    with pytest.raises(NotFound, match="another issuer's"):
        await found(pages)


async def test_the_issuer_of_the_configuration_is_the_only_one_that_is_asked(pages: Hostile, canary: Hostile):
    pages.says(AT_PATH, resource(pages, authorization_servers=[canary.url, pages.url]))
    pages.says(SERVERS, server(pages))
    assert await found(pages, wanted=pages.url) == pages.url
    with pytest.raises(NotFound, match=r"does not name https://as\.example"):
        await found(pages, wanted="https://as.example")


@pytest.mark.requirement("A07")
@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[fe80::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://192.168.1.1/x",
        "http://intranet.example/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:secret@example.com/x",
    ],
)
async def test_addresses_of_our_own_networks_are_not_asked_whatever_document_names_them(
    pages: Hostile, place: str
):
    """In the challenge, and as the authorization server; not even by a server on this machine."""
    with pytest.raises(FetchFailed):
        await found(pages, place)
    pages.says(AT_PATH, resource(pages, authorization_servers=[place]))
    with pytest.raises((FetchFailed, NotFound)):
        await found(pages)


@pytest.mark.requirement("A07")
async def test_a_server_elsewhere_cannot_have_this_machine_asked(canary: Hostile):
    for place in (
        canary.url,
        canary.url.replace("http:", "https:"),
        canary.url.replace("127.0.0.1", "localhost"),
    ):
        with pytest.raises(FetchFailed):
            await discovered(REMOTE, "https://mcp.example/mcp", f"{place}/here", None)


@pytest.mark.requirement("A07")
async def test_no_redirect_is_followed_elsewhere(pages: Hostile, canary: Hostile):
    for place in (f"{canary.url}/here", "http://169.254.169.254/latest", "//evil.example/x"):
        pages.says(AT_PATH, {}, "307 Temporary Redirect", f"Location: {place}")
        with pytest.raises(FetchFailed, match="redirects"):
            await found(pages)


async def test_documents_that_are_large_slow_or_none_are_given_up(
    pages: Hostile, monkeypatch: pytest.MonkeyPatch
):
    pages.says(AT_PATH, b" " * (MAX_BYTES + 1))
    with pytest.raises(FetchFailed):
        await found(pages)
    pages.says(AT_PATH, b"no json")
    with pytest.raises(FetchFailed, match="no JSON"):
        await found(pages)
    pages.answers(AT_PATH, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    monkeypatch.setattr(fetching, "FETCH_S", 0.05)
    with pytest.raises(FetchFailed, match=r"longer than|broke off|closed"):
        await found(pages)
    monkeypatch.setattr(discovery, "DISCOVERY_S", 0.0)
    with pytest.raises(FetchFailed, match="longer than"):
        await found(pages)


def test_a_url_is_said_without_what_could_be_a_secret_in_it():
    assert fetching.shown(URL("https://x.example/a?token=secret#part")) == "https://x.example/a"
