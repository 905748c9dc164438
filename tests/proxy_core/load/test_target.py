"""URLs taken apart: where a load goes, and whether that is this machine."""

import pytest

from proxy_core.errors import GatewayUnreachable
from proxy_core.load.target import BadTarget, target_of


@pytest.mark.parametrize(
    ("url", "authority", "path", "port", "is_loopback"),
    [
        ("http://127.0.0.1:8080/mcp", "127.0.0.1:8080", "/mcp", 8080, True),
        ("http://127.9.9.9", "127.9.9.9", "/", 80, True),
        ("http://[::1]:9/a?b=c", "[::1]:9", "/a?b=c", 9, True),
        ("https://127.0.0.1/mcp", "127.0.0.1", "/mcp", 443, True),
        ("http://192.0.2.1/mcp", "192.0.2.1", "/mcp", 80, False),
        ("http://0.0.0.0:80/", "0.0.0.0:80", "/", 80, False),
    ],
)
async def test_a_url_is_taken_apart(url: str, authority: str, path: str, port: int, is_loopback: bool):
    target = await target_of(url)
    assert (target.authority, target.path, target.port) == (authority, path, port)
    assert target.is_loopback is is_loopback
    assert (target.tls is not None) is url.startswith("https:")


async def test_localhost_is_an_address_of_this_machine():
    target = await target_of("http://localhost:8080/mcp")
    assert target.is_loopback and target.address == "127.0.0.1"
    assert target.authority == "localhost:8080"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8080", "no http:// or https:// URL"),
        ("ftp://127.0.0.1/mcp", "no http:// or https:// URL"),
        ("http:///mcp", "no http:// or https:// URL"),
        ("http://127.0.0.1:http/mcp", "is no URL"),
        ("http://127.0.0.1:70000/mcp", "is no URL"),
        ("http://me:secret@127.0.0.1/mcp", "must hold no password"),
        ("http://127.0.0.1/m cp", "percent-encoded"),
        ("http://127.0.0.1/ü", "percent-encoded"),
    ],
)
async def test_what_is_no_target_says_what_is_wrong(url: str, words: str):
    with pytest.raises(BadTarget, match=words):
        await target_of(url)


async def test_a_host_that_nobody_knows_is_said():
    with pytest.raises(GatewayUnreachable, match=r"no host 'nobody\.invalid'"):
        await target_of("http://nobody.invalid/mcp")
