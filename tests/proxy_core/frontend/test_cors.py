from proxy_core.frontend.cors import answer_headers, preflight
from proxy_core.frontend.wire import WireHead


def head(**values: str) -> WireHead:
    headers = [(name.replace("_", "-"), value) for name, value in values.items()]
    return WireHead("OPTIONS", "/mcp", headers, "", dict(headers))


def test_a_page_may_read_the_answer_and_the_session_id_and_no_other_page_may():
    headers = dict(answer_headers(head(origin="http://localhost:6274")))
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:6274"
    assert headers["Access-Control-Expose-Headers"] == "Mcp-Session-Id, Retry-After, WWW-Authenticate"
    assert headers["Vary"] == "Origin"


def test_a_client_that_is_no_page_gets_no_cors_headers():
    assert answer_headers(head()) == []


def test_a_preflight_grants_the_headers_of_mcp_and_no_others():
    asked = "Content-Type, mcp-session-id,Mcp-Param-Region , x-evil, mcp-param-, cookie"
    reply = preflight(head(origin="http://localhost", access_control_request_headers=asked))
    headers = dict(reply.headers)
    assert reply.status == 204
    assert headers["Access-Control-Allow-Headers"] == "content-type, mcp-session-id, mcp-param-region"
    assert headers["Access-Control-Allow-Methods"] == "POST, GET, DELETE"
