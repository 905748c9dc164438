import pytest

from proxy_core import errors
from proxy_core.errors import (
    BackendFault,
    BackendHttpError,
    BackendTimeout,
    BackendUnavailable,
    CircuitOpen,
    ConfigError,
    ConfigProblem,
    ErrorCode,
    HttpRefusal,
    Kind,
    NotServable,
    Only1Error,
    Overloaded,
    PortInUse,
    UnknownResource,
    UnsupportedVersion,
)

FAULTS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BackendFault)]
SPECIAL = (BackendHttpError, CircuitOpen, NotServable)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *((code, 400) for code in (-32700, -32600, -32602, -32020, -32021, -32022)),
        (-32601, 404),
        *((code, 200) for code in (-32603, -32002, -1)),
    ],
)
def test_the_status_of_a_modern_error_follows_from_its_code(code: int, status: int):
    error = Only1Error("no")
    error.code = code
    assert error.http_status == status


@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in SPECIAL])
def test_a_fault_of_a_server_tells_its_kind_and_keeps_the_detail_inside(fault: type[BackendFault]):
    error = fault("box", "It is down.", "spawn /secret/path: ENOENT")
    told = error.data()["dev.only1mcp"]
    assert (error.code, error.http_status) == (ErrorCode.INTERNAL_ERROR, 200)
    assert (told["backend"], told["kind"] in list(Kind)) == ("box", True)
    assert "secret" not in f"{error.message}{error.data()}{error}"


def test_a_fault_without_detail_is_its_own_detail():
    assert BackendTimeout("box", "Too slow.").detail == "Too slow."


def test_only_what_was_not_begun_may_be_tried_again():
    assert BackendUnavailable("box", "x").data()["dev.only1mcp"]["retryable"] is True
    assert BackendTimeout("box", "x").data()["dev.only1mcp"]["retryable"] is False
    overloaded = {"kind": "overloaded", "retryable": True}
    assert Overloaded("x").data() == {"dev.only1mcp": overloaded}
    assert Overloaded("x", 0.0101).data() == {"dev.only1mcp": overloaded | {"retryAfterMs": 11}}


def test_a_handshake_that_failed_says_why_to_the_operator_alone():
    error = NotServable("box", "it exited with code 3")
    assert (error.message, error.detail) == ("The server could not be started.", "it exited with code 3")


@pytest.mark.parametrize(
    ("wait_s", "words", "after_ms"),
    [
        (12, "tried again in 12 seconds", 12_000),
        (1.2, "tried again in 2 seconds", 1200),
        (0.4, "tried again in 1 second", 400),
        (0.0004, "tried again in 1 second", 1),
        (0, "being tried again", 0),
        (-0.5, "being tried again", 0),
    ],
)
def test_a_server_that_is_spared_says_when_it_is_tried_again(wait_s: float, words: str, after_ms: int):
    error = CircuitOpen("box", wait_s)
    assert error.message == f"The server is failing; {words}."
    told = error.data()["dev.only1mcp"]
    assert told == {
        "kind": "backend_unavailable",
        "backend": "box",
        "retryable": True,
        "retryAfterMs": after_ms,
    }
    assert isinstance(told["retryAfterMs"], int)


def test_data_says_what_a_client_needs_to_go_on():
    assert UnknownResource("file:///a").data() == {"uri": "file:///a"}
    unsupported = UnsupportedVersion("no", "1999", ("2026-07-28",))
    assert unsupported.data() == {"supported": ["2026-07-28"], "requested": "1999"}


def test_a_refusal_of_the_http_layer_has_a_status_of_its_own():
    assert HttpRefusal(415, "no").http_status == 415


def test_a_config_error_has_a_line_for_each_fault():
    problems = (
        ConfigProblem("servers[0].id", "bad", 3),
        ConfigProblem("", "empty"),
        ConfigProblem("proxy", "x"),
    )
    assert str(ConfigError("/c.yaml", problems)).splitlines() == [
        "/c.yaml:3: servers[0].id: bad",
        "/c.yaml: empty",
        "/c.yaml: proxy: x",
    ]


@pytest.mark.parametrize(("holder", "by"), [(None, "in use."), ("nginx (pid 7)", "in use by nginx (pid 7).")])
def test_a_port_in_use_names_the_process_where_it_is_known(holder: str | None, by: str):
    assert by in PortInUse("127.0.0.1", 8080, holder).message
