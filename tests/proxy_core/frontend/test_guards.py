"""Who may speak to us and in what form, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.errors import HttpRefusal
from proxy_core.frontend.guards import Guard, accepts, guard_for, media_type
from proxy_core.frontend.wire import WireHead

GOOD = [
    ("host", "127.0.0.1:8080"),
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
]


def anyone(_: WireHead) -> None:
    """Nobody has to say who they are."""


def guard(host: str = "127.0.0.1", port: int = 8080, **allowed: tuple[str, ...]) -> Guard:
    return guard_for("/mcp", host, port, max_body_bytes=1000, **allowed)


def head(*changes: tuple[str, str], method: str = "POST", path: str = "/mcp", drop: str = "") -> WireHead:
    changed = {name for name, _ in changes} | {drop}
    headers = [pair for pair in GOOD if pair[0] not in changed] + list(changes)
    return WireHead(method, path, headers, "127.0.0.1", dict(headers))


def status(refusal: object) -> int | None:
    return None if refusal is None else refusal.status  # type: ignore[attr-defined]


@pytest.mark.requirement("A05")
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8080", None),
        ("localhost:8080", None),
        ("LocalHost:8080", None),
        ("[::1]:8080", None),
        ("localhost", 421),
        ("localhost:8081", 421),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("localhost.evil.example:8080", 421),
        ("127.0.0.1:8080@evil.example", 421),
        ("::1:8080", 421),
        ("", 421),
    ],
)
def test_only_the_names_of_this_machine_reach_us(host: str, expected: int | None):
    assert status(guard().refusal(head(("host", host)), anyone)) == expected


@pytest.mark.requirement("A05")
def test_a_request_that_names_no_host_is_refused():
    assert status(guard().refusal(head(drop="host"), anyone)) == 421


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        ("mcp.example", "mcp.example", None),
        ("mcp.example", "mcp.example:443", None),
        ("MCP.example", "mcp.EXAMPLE", None),
        ("mcp.example:443", "mcp.example:443", None),
        ("mcp.example:443", "mcp.example", 421),
        ("mcp.example:443", "mcp.example:80", 421),
        ("mcp.example", "a.mcp.example", 421),
    ],
)
def test_an_operator_may_allow_more_hosts(allowed: str, host: str, expected: int | None):
    assert status(guard(allowed_hosts=(allowed,)).refusal(head(("host", host)), anyone)) == expected


def test_the_bound_host_is_allowed_where_it_is_no_loopback():
    assert guard("192.0.2.7").refusal(head(("host", "192.0.2.7:8080")), anyone) is None
    assert guard("2001:db8::7").refusal(head(("host", "[2001:db8::7]:8080")), anyone) is None


def test_the_port_may_be_left_out_where_http_implies_it():
    assert guard(port=80).refusal(head(("host", "localhost")), anyone) is None
    assert status(guard(port=80).refusal(head(("host", "localhost:81")), anyone)) == 421


@pytest.mark.requirement("A05")
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:6274", None),
        ("http://127.0.0.1", None),
        ("https://[::1]:1", None),
        ("https://app.example", None),
        ("https://APP.example", None),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://evil.example/http://localhost", 403),
        ("http://localhost:80 ", 403),
        ("http://localhost:80\n", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_pages_of_allowed_origins_reach_us(origin: str, expected: int | None):
    rules = guard(allowed_origins=("https://app.example/",))
    for method in ("POST", "GET", "DELETE", "OPTIONS"):
        assert status(rules.refusal(head(("origin", origin), method=method), anyone)) == expected


@pytest.mark.requirement("A05")
def test_a_strange_host_or_origin_is_refused_before_anything_else_is_told():
    for change, expected in ((("host", "evil.example"), 421), (("origin", "https://evil.example"), 403)):
        for method, path in (("POST", "/mcp"), ("GET", "/other"), ("PUT", "/mcp")):
            assert status(guard().refusal(head(change, method=method, path=path), anyone)) == expected


@pytest.mark.parametrize("name", ["host", "origin", "authorization", "content-type", "mcp-session-id"])
def test_a_header_that_two_readers_would_read_differently_may_not_come_twice(name: str):
    value = dict(GOOD).get(name, "http://localhost")
    assert status(guard().refusal(head((name, value), (name, value)), anyone)) == 400


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/", 404),
        ("POST", "/mcp/", 404),
        ("POST", "/%6dcp", 404),
        ("PUT", "/mcp", 405),
        ("HEAD", "/mcp", 405),
        ("get", "/mcp", 405),
        ("GET", "/mcp", None),
        ("DELETE", "/mcp", None),
        ("OPTIONS", "/mcp", None),
    ],
)
def test_one_path_and_three_methods_are_served(method: str, path: str, expected: int | None):
    refusal = guard().refusal(head(method=method, path=path), anyone)
    assert status(refusal) == expected
    if expected == 405:
        assert refusal is not None
        assert refusal.headers["Allow"] == "POST, GET, DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("content-length", "1000"), None),
        (("content-length", "1001"), 413),
        (("content-length", "9" * 400), 413),
        (("content-type", "APPLICATION/JSON; charset=utf-8"), None),
        (("content-type", "text/json"), 415),
        (("content-type", "application/jsonx"), 415),
        (("content-type", ""), 415),
        (("content-encoding", "identity"), None),
        (("content-encoding", "gzip"), 415),
        (("accept", "application/json"), 406),
    ],
)
def test_the_form_of_a_post_is_checked_before_its_body(change: tuple[str, str], expected: int | None):
    assert status(guard().refusal(head(change), anyone)) == expected


@pytest.mark.requirement("W21")
@pytest.mark.parametrize(
    ("accept", "is_taken"),
    [
        ("application/json", True),
        ("Application/JSON ; q=0.1", True),
        ("text/html, application/json", True),
        ("*/*", True),
        ("application/*", True),
        ("", False),
        ("text/*", False),
        ("application/jsonp", False),
        ("application/json;q=0", False),
        ("application/json; q=0.000, */*", False),
        ("*/*;q=0, application/json", True),
        ("application/json;q=0.01", True),
    ],
)
def test_an_accept_header_is_read_by_its_most_precise_range(accept: str, is_taken: bool):
    assert accepts(accept, "application/json") is is_taken


def test_accept_may_come_in_several_lines():
    split = head(("accept", "application/json"), ("accept", "text/event-stream"))
    assert guard().refusal(split, anyone) is None


@given(st.text(), st.text(), st.text(), st.text())
def test_whatever_a_head_holds_there_is_an_answer(host: str, origin: str, kind: str, accept: str):
    strange = head(("host", host), ("origin", origin), ("content-type", kind), ("accept", accept))
    assert status(guard().refusal(strange, anyone)) in (421, 403, 415, 406, None)
    assert guard().body_refusal(strange) is None or status(guard().body_refusal(strange)) in (415, 406)
    assert isinstance(media_type(kind), str)


def test_who_asks_is_looked_at_after_where_from_and_before_what():
    def stranger(_: WireHead) -> HttpRefusal:
        return HttpRefusal(401, "Who?")

    assert status(guard().refusal(head(("host", "evil.example")), stranger)) == 421
    assert status(guard().refusal(head(("content-type", "text/plain")), stranger)) == 401
    assert status(guard().refusal(head(path="/nowhere"), stranger)) == 401
