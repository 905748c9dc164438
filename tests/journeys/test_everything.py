"""Real servers of every transport behind one gateway: clients get what each server answers alone."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.support import plans
from tests.support.asked_client import asked_client
from tests.support.gateway_process import GatewayProcess, remote, serving, stdio
from tests.support.node_servers import everything_command, everything_server, needs_everything
from tests.support.processes import demo_command, sdk_command, sdk_server
from tests.support.recorded import Json, talking
from tests.support.survey import Plan, survey

MODES = ("legacy", "auto", "2026-07-28")
TIME = (sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC")
node = pytest.mark.node, needs_everything
CASES = [
    pytest.param("clock", plans.DEMO_CLOCK, id="clock"),
    pytest.param("notes", plans.DEMO_NOTES, id="notes"),
    pytest.param("flaky", plans.DEMO_FLAKY, id="flaky"),
    pytest.param("time", plans.TIME, id="time"),
    pytest.param("sdk", plans.SDK, id="sdk"),
    pytest.param("sdk-http", plans.SDK, id="sdk-http"),
    pytest.param("sdk-sse", plans.SDK, id="sdk-sse"),
    pytest.param("every", plans.EVERYTHING, id="every", marks=node),
    pytest.param("every-http", plans.EVERYTHING, id="every-http", marks=node),
    pytest.param("every-sse", plans.EVERYTHING, id="every-sse", marks=node),
]


@dataclass(frozen=True)
class House:
    """The gateway, and how each of its servers is reached without it."""

    gateway: GatewayProcess
    direct: dict[str, str | tuple[str, ...]]
    answers: dict[tuple[str, str], Json] = field(default_factory=dict)

    async def alone(self, server: str, plan: Plan, mode: str) -> Json:
        """What the server answers without the gateway; asked once."""
        if (server, mode) not in self.answers:
            async with talking(self.direct[server], mode) as talk:
                self.answers[server, mode] = await survey(talk, plan)
        return self.answers[server, mode]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    direct: dict[str, str | tuple[str, ...]] = {
        name: demo_command(name) for name in ("clock", "notes", "flaky")
    }
    direct |= {"time": TIME, "sdk": sdk_command()}
    with ExitStack() as servers:
        for kind in ("http", "sse"):
            direct[f"sdk-{kind}"] = servers.enter_context(sdk_server(kind, folder / f"sdk-{kind}.log"))
        if not needs_everything.args[0]:
            direct["every"] = everything_command()
            for kind in ("http", "sse"):
                url = servers.enter_context(everything_server(kind, folder / f"every-{kind}.log"))
                direct[f"every-{kind}"] = url
        configured = [_configured(server, where) for server, where in direct.items()]
        with serving(folder, configured) as gateway:
            yield House(gateway, direct)


def _configured(server: str, where: str | tuple[str, ...]) -> Json:
    if isinstance(where, tuple):
        return stdio(server, where)
    return remote(server, where, "sse" if where.endswith("/sse") else "http")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("server", "plan"), CASES)
async def test_a_client_gets_exactly_what_the_server_answers(
    house: House, server: str, plan: Plan, mode: str
) -> None:
    """Every list, tool, resource, template, prompt and completion, by the official client in each mode."""
    async with talking(house.gateway.url, mode) as talk:
        through = await survey(talk, plan, server)
    # Pinning a server that is legacy only would get no answer from it at all.
    assert through == await house.alone(server, plan, "legacy" if mode == "legacy" else "auto")


@pytest.mark.node
@needs_everything
@pytest.mark.requirement("T05")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", ["every", "every-http"])
async def test_a_tool_that_only_runs_as_a_task_is_run_as_one(house: House, server: str, mode: str) -> None:
    async with talking(house.gateway.url, mode) as talk:
        answer = await talk.ask("tools/call", f"{server}__simulate-research-query", {"topic": "tea"})
    assert answer["result"]["content"][0]["text"].startswith("# Research Report: tea")


@pytest.mark.node
@needs_everything
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", ["every", "every-http", "every-sse"])
async def test_a_tool_that_asks_reaches_the_person_and_the_model_behind_any_client(
    house: House, server: str, mode: str
) -> None:
    async with asked_client(house.gateway.url, mode) as client:
        call = client.client.call_tool
        form = await call(f"{server}__trigger-elicitation-request", {})
        sample = await call(f"{server}__trigger-sampling-request", {"prompt": "tea", "maxTokens": 10})
    # Some while after its handshake this server asks for roots by itself, whoever calls it then.
    asked = [each for each in client.asked if each[0] != "roots/list"]
    assert [method for method, _ in asked] == ["elicitation/create", "sampling/createMessage"]
    title = f"[{server}] "
    assert asked[0][1]["message"].startswith(title)
    assert not form.is_error
    assert "Paris" in sample.content[0].text
