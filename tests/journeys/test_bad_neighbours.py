"""Dead, slow, crashing and mad servers beside a healthy one: they cost it nothing, and say what is wrong."""

import time
from collections.abc import Iterator

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import ServerState
from tests.support.bad_server import SECRET_PATH
from tests.support.gateway_process import GatewayProcess, remote, serving, stdio
from tests.support.processes import ROOT, bad_command, demo_command, free_port
from tests.support.wire import Json, ask, call, call_text, comes_true, connected, once_listed, tool_names

BAD = ("dead", "missing", "hang", "crash", "garbage", "flood", "nonsense")
LIST_BOUND_S = 5.0
SLACK_S = 5.0
"""What a busy machine may add to a bound of ours."""


def _servers() -> list[Json]:
    soon = {"timeouts": {"connect_s": 2}}
    return [
        remote("dead", f"http://127.0.0.1:{free_port()}/mcp", **soon),
        stdio("missing", ("/no/such/program", "--token=hush")),
        *(
            stdio(fault, bad_command(fault), **soon)
            for fault in ("hang", "crash", "garbage", "flood", "nonsense")
        ),
        stdio("clock", demo_command("clock")),
        stdio("flaky", demo_command("flaky")),
    ]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(tmp_path_factory.mktemp("bad"), _servers()) as gateway:
        yield gateway


@pytest.mark.requirement("L19")
async def test_the_endpoint_is_up_at_once_and_lists_do_not_wait_for_the_slow(gateway: GatewayProcess) -> None:
    """A client that comes first is greeted while servers start, and gets what is there within the bound."""
    started_at = time.monotonic()
    async with connected(gateway.url, "legacy") as client:
        assert client.session_id
        greeted_s = time.monotonic() - started_at
        answer = await ask(client, "tools/list")
        listed_s = time.monotonic() - started_at
    assert greeted_s < 1 + SLACK_S / 2
    assert listed_s < LIST_BOUND_S + SLACK_S
    assert {"clock__now", "flaky__echo"} <= {tool["name"] for tool in answer["result"]["tools"]}
    assert "hang" in answer["result"]["_meta"]["dev.only1mcp/partial"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("server", BAD)
async def test_a_call_to_a_bad_server_fails_with_a_kind_and_no_internals(
    gateway: GatewayProcess, server: str, era: str
) -> None:
    """-32603, which server, whether to try again; no command, path, address or exception."""
    async with connected(gateway.url, era) as client:
        error = (await call(client, f"{server}__anything"))["error"]
    ours = error["data"]["dev.only1mcp"]
    assert error["code"] == -32603
    assert (ours["kind"], ours["backend"]) == ("backend_unavailable", server)
    said = str(error)
    internals = (SECRET_PATH, str(ROOT), "python", "/no/such", "127.0.0.1", "Error", "Traceback", "hush")
    assert not [word for word in internals if word in said], said


async def test_the_healthy_ones_are_served_meanwhile(gateway: GatewayProcess) -> None:
    async with connected(gateway.url) as client:
        await once_listed(client, "flaky__echo")
        started_at = time.monotonic()
        assert await call_text(client, "flaky__echo", {"text": "still here"}) == "still here"
        assert time.monotonic() - started_at < SLACK_S


@pytest.mark.requirement("B08")
async def test_a_crash_in_mid_call_fails_that_call_and_the_server_comes_back(gateway: GatewayProcess) -> None:
    """The others notice nothing; the next call to it waits for the new start, or finds it done."""
    async with connected(gateway.url) as client:
        await once_listed(client, "flaky__crash")
        error = (await call(client, "flaky__crash"))["error"]
        assert (error["code"], error["data"]["dev.only1mcp"]["kind"]) == (-32603, "backend_exited")
        assert "clock__now" in await tool_names(client)

        async def answers() -> bool:
            return "result" in await call(client, "flaky__echo", {"text": "back"})

        await comes_true(answers, "flaky answers again")


@pytest.mark.requirement("B10")
async def test_every_row_says_in_words_what_is_wrong() -> None:
    """What a person reads on the Servers screen; the healthy rows have nothing to say."""
    config = Config.model_validate({"proxy": {"port": 0, "grace_s": 0}, "servers": _servers()})
    proxy = Proxy(LoadedConfig(config))
    async with proxy.started():

        def settled() -> bool:
            rows = {row.id: row for row in proxy.snapshot().servers}
            return all(rows[name].reason for name in BAD) and rows["clock"].state is ServerState.HEALTHY

        await comes_true(settled, "all servers have settled")
        rows = {row.id: row for row in proxy.snapshot().servers}
        stderr = proxy.detail("crash").stderr
    wanted = {
        "dead": "Connection refused",
        "missing": "command not found: /no/such/program",
        "hang": "did not answer initialize in time",
        "crash": "exited with code 3",
        "garbage": "did not answer initialize in time",
        "flood": "a line longer than 16 MiB",
        "nonsense": "something that is not MCP",
    }
    assert {name: words for name, words in wanted.items() if words not in rows[name].reason} == {}
    assert any(SECRET_PATH in line for line in stderr), "the last stderr lines stand on the row's detail"
    assert rows["clock"].reason == ""
    assert "hush" not in rows["missing"].address
