"""Where requests go: read here as yarl reads it, which knows all of RFC 3986."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from proxy_core.backends.http_url import _PLAIN, Origin, Url


def as_yarl_reads(text: str) -> Url:
    url = URL(text)
    assert url.raw_host is not None and url.port is not None
    return Url(text, Origin(url.scheme, url.raw_host, url.port), url.raw_path_qs, url.user, url.password or "")


@given(st.from_regex(_PLAIN, fullmatch=True))
def test_what_is_read_without_yarl_is_read_as_by_it(text: str) -> None:
    assert Url.of(text) == as_yarl_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/mcp",
        "http://localhost:65535/mcp/",
        "https://api.example.com/mcp",
        "https://example.com",
        "https://example.com/v1.2/mcp?key=a-b_c.d~e&f=",
    ],
)
def test_what_most_urls_are_needs_no_yarl(text: str) -> None:
    assert _PLAIN.fullmatch(text)
    assert Url.of(text) == as_yarl_reads(text)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("http://[::1]:8080/mcp", "http://[::1]:8080", "/mcp"),
        ("http://[fe80::1%25eth0]/mcp", "http://[fe80::1%eth0]", "/mcp"),
        ("HTTPS://Example.COM:443/a/../b", "https://example.com", "/b"),
        ("http://bücher.example/ä b?q=ü", "http://xn--bcher-kva.example", "/%C3%A4%20b?q=%C3%BC"),
        ("http://my_server:99/%7Ea%2f#part", "http://my_server:99", "/~a%2F"),
        ("http://host:8080?q=1", "http://host:8080", "/?q=1"),
    ],
)
def test_every_other_url_is_read_too(text: str, origin: str, target: str) -> None:
    url = Url.of(text)
    assert (str(url.origin), url.target) == (origin, target)


@pytest.mark.parametrize(
    "text", ["", "mcp", "/mcp", "http:///mcp", "mailto:a@b", "http://host:99999/", "http://[::1"]
)
def test_what_is_no_url_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Url.of(text)


def test_a_reference_is_read_as_of_where_it_stood() -> None:
    base = Url.of("http://ada:secret@host:80/a/mcp?x=1")
    assert base.joined("sse?y=2#z") == Url.of("http://ada:secret@host/a/sse?y=2")
    assert base.joined("//other/").origin == Origin("http", "other", 80)
    assert base.joined("/b").without_user() == Url.of("http://host/b")
    with pytest.raises(ValueError):
        base.joined("mailto:ada@host")


def test_another_target_stays_at_the_origin_to_the_letter() -> None:
    moved = Url.of("https://host/mcp?key=secret").at("//other/%7e")
    assert (moved.origin, moved.target) == (Origin("https", "host", 443), "//other/%7e")


def test_nothing_that_may_be_secret_is_shown() -> None:
    url = Url.of("http://ada:secret@host/mcp?key=secret")
    assert (url.user, url.password) == ("ada", "secret")
    assert url.shown() == "http://host/mcp" and "secret" not in repr(url)
