"""Health, readiness and numbers on the port: who gets them, what they say, and what they keep to themselves."""

import aiohttp
import pytest

from proxy_core.config.models import AdminConfig
from proxy_core.config.tokens import new_token
from proxy_core.frontend.pages import unreadiness
from proxy_core.telemetry.prometheus import CONTENT_TYPE
from proxy_core.telemetry.snapshot import AuditStatus
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.admin_house import config_of, house
from tests.support.fake_control import FakeControl, row_of, snapshot_of

STARTING = "some servers are still starting"
NONE = "no server is in service"


@pytest.mark.parametrize(
    ("states", "before", "after"),
    [
        ([], "", ""),
        ([S.DISABLED], "", ""),
        ([S.HEALTHY], "", ""),
        ([S.DEGRADED, S.FAILED], "", ""),
        ([S.STARTING], STARTING, NONE),
        ([S.HEALTHY, S.STARTING], STARTING, ""),
        ([S.HEALTHY, S.RESTARTING, S.DRAINED, S.AUTH_REQUIRED], "", ""),
        ([S.UNHEALTHY], NONE, NONE),
        ([S.FAILED, S.DISABLED], NONE, NONE),
        ([S.DRAINED], NONE, NONE),
        ([S.DRAINING], NONE, NONE),
    ],
)
def test_a_gateway_is_ready_when_all_have_settled_and_one_serves(states: list[S], before: str, after: str):
    """`after`: of one that has been ready, which one more server that starts does not make unready."""
    snapshot = snapshot_of(row_of(f"s{number}", state) for number, state in enumerate(states))
    assert unreadiness(snapshot) == before
    assert unreadiness(snapshot, has_been_ready=True) == after


async def test_readiness_follows_the_servers_and_names_none():
    control = FakeControl(snapshot_of([row_of("secret-name", S.STARTING)]))
    async with house(control) as served:
        assert ((said := await served.ask_port("GET", "/readyz")).status, said.body) == (503, STARTING.encode())
        control.use(row_of("secret-name"))
        assert ((said := await served.ask_port("GET", "/readyz")).status, said.body) == (200, b"ok")
        control.use(row_of("secret-name"), row_of("new", S.STARTING))
        assert (await served.ask_port("GET", "/readyz")).status == 200
        control.use(row_of("secret-name", S.FAILED, reason="secret reason"))
        said = await served.ask_port("GET", "/readyz")
        assert (said.status, said.body) == (503, NONE.encode())
        assert (await served.ask_port("GET", "/healthz")).body == b"ok"


async def test_health_needs_no_token_and_numbers_do():
    token, entry = new_token("ci")
    bearer = {"Authorization": f"Bearer {token}"}
    async with house(config=config_of(tokens=(entry,))) as served:
        for path in ("/healthz", "/readyz"):
            assert (await served.ask_port("GET", path)).status == 200
        refused = await served.ask_port("GET", "/metrics")
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="only1mcp"')
        assert b"only1mcp_" not in refused.body
        answered = await served.ask_port("GET", "/metrics", headers=bearer)
        assert (answered.status, answered.headers["Content-Type"]) == (200, CONTENT_TYPE)
        assert b"\nonly1mcp_build_info{" in answered.body


async def test_without_tokens_numbers_are_for_everybody_here():
    control = FakeControl(snapshot_of([row_of("search", in_flight=3)]))
    async with house(control) as served:
        assert b'only1mcp_in_flight{server="search"} 3\n' in (await served.ask_port("GET", "/metrics")).body


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_they_are_guarded_as_all_else_is(path: str):
    async with house() as served:
        assert (await served.ask_port("GET", path, headers={"Host": "evil.example"})).status == 421
        assert (await served.ask_port("GET", path, headers={"Origin": "https://evil.example"})).status == 403
        for method in ("POST", "HEAD", "OPTIONS", "DELETE"):
            refused = await served.ask_port(method, path)
            assert (refused.status, refused.headers["Allow"]) == (405, "GET")
        assert (await served.ask_port("GET", path + "/")).status == 404
        assert (await served.ask_port("GET", path.upper())).status == 404


async def test_a_body_with_them_is_not_read():
    async with house() as served:
        assert (await served.ask_port("GET", "/healthz", b"x" * 100)).status == 413


@pytest.mark.parametrize("path", ["/", "/x/y", "/healthz", "/metrics", "/admin/v1/snapshot"])
async def test_whatever_the_mcp_path_is_its_clients_come_first(path: str):
    config = config_of(path=path, admin=AdminConfig(on_port=True))
    async with house(config=config) as served:
        pages = {"/healthz", "/readyz", "/metrics"} - {path}
        for page in pages:
            assert (await served.ask_port("GET", page)).status == 200
        # 400 is what MCP says to a GET without a session.
        assert (await served.ask_port("GET", path)).status != 200


async def test_a_gateway_that_stops_is_alive_and_not_ready():
    async with house() as served:
        async with aiohttp.ClientSession() as session:
            # Only a connection that is open already still reaches it.
            async with session.get(served.origin + "/readyz") as before:
                assert before.status == 200
            await served.frontend.stop_listening()
            async with session.get(served.origin + "/readyz") as ready:
                assert (ready.status, await ready.text()) == (503, "the gateway is stopping")
            async with session.get(served.origin + "/healthz") as alive:
                assert alive.status == 200


def test_a_gateway_that_takes_no_calls_is_not_ready():
    rows = [row_of("files")]
    assert unreadiness(snapshot_of(rows, audit=AuditStatus(failing="no space"))) == ""
    shut = snapshot_of(rows, audit=AuditStatus(failing="no space", is_shut=True))
    assert unreadiness(shut, has_been_ready=True) == "no call is taken at the moment"
