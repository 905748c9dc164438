"""The end of a gateway, asked for or not: what was begun is finished, and nothing of it is left running."""

import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.support.faults.plain import on_stdio
from tests.support.gateway_process import GatewayProcess, serving, stdio
from tests.support.processes import ROOT, bad_command, demo_command, eventually
from tests.support.wire import Json, call_text, connected, once_listed, open_call

REPLICAS = 3
GUARD_S = 2.0
"""How long anything may outlive a gateway that was killed."""


def _servers() -> list[Json]:
    return [
        stdio("flaky", demo_command("flaky")),
        # As npx does: the command stays, the server is its child.
        stdio("wrapped", ("sh", "-c", f"{shlex.join(demo_command('clock'))}; exit $?")),
        stdio("detach", bad_command("detach")),
    ]


async def _all_at_work(gateway: GatewayProcess) -> None:
    """Until every server has shown that it serves, and has its children."""
    async with connected(gateway.url) as client:
        for name in ("flaky__echo", "wrapped__now", "detach__pid"):
            await once_listed(client, name)
        assert await call_text(client, "flaky__echo", {"text": "ready"}) == "ready"
    # The guard, three commands, the server under the shell, the detached sleeper.
    eventually(lambda: len(gateway.children()) >= 6, f"all children run: {gateway.children()}")


@pytest.mark.parametrize(("number", "era"), [(signal.SIGTERM, "legacy"), (signal.SIGINT, "modern")])
async def test_a_signal_lets_the_call_in_flight_finish_and_leaves_nobody(
    tmp_path: Path, number: signal.Signals, era: str
) -> None:
    """The answer still arrives, then every child is gone, and the exit code says that all went well."""
    with serving(tmp_path, _servers()) as gateway:
        await _all_at_work(gateway)
        async with (
            connected(gateway.url, era) as client,
            open_call(client, "flaky__delay", {"seconds": 1}) as answer,
        ):
            assert (await answer.next())["method"] == "notifications/progress"
            gateway.signal(number)
            message = await answer.next()
            while "method" in message:
                message = await answer.next()
        assert message["result"]["content"][0]["text"] == "Waited 1 s."
        assert gateway.wait() == 0
        assert gateway.leftovers() == []
        assert gateway.lines[-1]["message"] == "stopped"


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Whoever presses ctrl+c twice means it; still nobody is left."""
    with serving(tmp_path, [stdio("flaky", demo_command("flaky"))]) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "flaky__delay")
            async with open_call(client, "flaky__delay", {"seconds": 600}) as answer:
                await answer.next()
                gateway.signal(signal.SIGINT)
                eventually(lambda: "waiting up to" in gateway.log, "it says that it waits")
                started_at = time.monotonic()
                gateway.signal(signal.SIGINT)
                assert gateway.wait() == 0
        assert time.monotonic() - started_at < 25
        assert "1 call cut off: " in gateway.log and "delay" in gateway.log.rpartition("cut off: ")[2]


async def test_nothing_outlives_a_gateway_that_is_killed(tmp_path: Path) -> None:
    """Not the servers nor their replicas, not what runs below a wrapper or left its group, not the guard."""
    with serving(tmp_path, [*_servers(), on_stdio(tmp_path, "box", REPLICAS)]) as gateway:
        await _all_at_work(gateway)
        eventually(lambda: len(gateway.children()) >= 6 + REPLICAS, "the replicas run too")
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        eventually(lambda: not gateway.leftovers(), f"all are gone; left: {gateway.leftovers()}", GUARD_S)


@pytest.mark.requirement("B09")
async def test_a_child_that_heeds_nothing_is_ended_all_the_same(tmp_path: Path) -> None:
    """It ignores the end of its stdin and SIGTERM; a stop takes a few seconds more, not for ever."""
    with serving(tmp_path, [stdio("stubborn", bad_command("stubborn"))]) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "stubborn__pid")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert gateway.leftovers() == []


@pytest.mark.requirement("B09")
async def test_children_see_nothing_of_the_gateways_environment(tmp_path: Path) -> None:
    """A secret in our environment stays ours, unless the configuration passes it on."""
    script = "import os, sys; sys.stderr.write('ENV ' + ' '.join(sorted(os.environ)) + '\\n'); sys.stdin.read()"
    servers = [stdio("nosy", (sys.executable, "-c", script), env={"GIVEN": "1"}, era="legacy")]
    env = {"CLOUD_TOKEN": "hush-hush-hush", "PYTHONPATH": str(ROOT)}
    with serving(tmp_path, servers, env=env) as gateway:
        said = eventually(
            lambda: [line for line in gateway.lines if "ENV " in line["message"]], "it has looked"
        )
    seen = set(said[0]["message"].split())
    assert "GIVEN" in seen and "ONLY1MCP_RUN" in seen
    assert not seen & {"CLOUD_TOKEN", "PYTHONPATH"}
