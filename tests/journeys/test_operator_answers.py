"""A real gateway, real servers of both eras, clients that cannot be asked: an operator answers for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from proxy_core.control_client import RemoteControl
from proxy_core.errors import UnknownQuestion
from proxy_core.telemetry.snapshot import OpenQuestion
from tests.journeys.test_combinations import configured, everything
from tests.only1mcp_tui.test_cli_asking import Person
from tests.support.gateway_process import COMMAND, GatewayProcess, serving, write_config
from tests.support.processes import free_port, quiet_env
from tests.support.recorded import transport_to
from tests.support.terminal import Terminal

LONG = pytest.mark.long
PAIRS = pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("http", "auto"),
        ("http-legacy", "auto"),
        ("stdio-legacy", "legacy"),
        pytest.param("http", "legacy", marks=LONG),
        pytest.param("http-legacy", "legacy", marks=LONG),
        pytest.param("stdio-legacy", "auto", marks=LONG),
    ],
)
"""Of the server, modern, told once, or sharing a pipe; and of the client."""
ON: dict[str, Any] = {"elicitation": {"answer_in_terminal": True}}
WHO = ("test_elicitation", {"message": "Who are you?"})


@contextmanager
def gateway_to(kind: str, folder: Path, **sections: Any) -> Iterator[GatewayProcess]:
    with everything(kind, folder) as where:
        server = configured(kind, where) | {"prefix": "none"} | sections.pop("server", {})
        admin = {"admin": {"socket": str(folder / "admin.sock")}}
        with serving(folder, [server], **admin, **sections) as gateway:
            assert gateway.url
            yield gateway


@asynccontextmanager
async def operator(folder: Path) -> AsyncIterator[RemoteControl]:
    async with RemoteControl(folder / "admin.sock") as control:
        yield control


@asynccontextmanager
async def silent_client(url: str, mode: str) -> AsyncIterator[Client]:
    """It declares nothing that it could be asked."""
    async with Client(transport_to(url), mode=mode) as client:  # type: ignore[arg-type]
        yield client


async def question_of(control: RemoteControl) -> OpenQuestion:
    async with asyncio.timeout(20):
        while not (await control.refresh()).questions:
            await asyncio.sleep(0.02)
    return control.snapshot().questions[0]


async def gone(control: RemoteControl) -> None:
    async with asyncio.timeout(20):
        while (await control.refresh()).questions:
            await asyncio.sleep(0.02)


@PAIRS
async def test_the_call_goes_on_with_what_an_operator_says(kind: str, mode: str, tmp_path: Path):
    with gateway_to(kind, tmp_path, **ON) as gateway:
        async with silent_client(gateway.url, mode) as client, operator(tmp_path) as control:
            await client.list_tools()
            call = asyncio.ensure_future(client.call_tool(*WHO))
            question = await question_of(control)
            assert (question.server, question.target, question.message) == ("every", WHO[0], "Who are you?")
            await control.answer(question.id, "accept", {"username": "Ann", "email": "a@b.c"})
            result: Any = await call
            assert "Ann" in result.content[0].text
            with pytest.raises(UnknownQuestion, match="accepted by"):
                await control.answer(question.id, "decline")
        assert "a@b.c" not in gateway.log
        assert "fields: username, email" in gateway.log


async def test_a_no_and_a_client_that_leaves(tmp_path: Path):
    with gateway_to("http-legacy", tmp_path, **ON) as gateway:
        async with operator(tmp_path) as control:
            async with silent_client(gateway.url, "legacy") as client:
                await client.list_tools()
                call = asyncio.ensure_future(client.call_tool(*WHO))
                await control.answer((await question_of(control)).id, "decline")
                result: Any = await call
                assert "decline" in result.content[0].text
                call = asyncio.ensure_future(client.call_tool(*WHO))
                question = await question_of(control)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
            await gone(control)
            with pytest.raises(UnknownQuestion, match="its call ended"):
                await control.answer(question.id, "decline")


async def test_a_question_that_nobody_answers_is_cancelled(tmp_path: Path):
    patience = {"server": {"timeouts": {"call_idle_s": 0.3}}}
    with gateway_to("http", tmp_path, **ON, **patience) as gateway:
        async with silent_client(gateway.url, "auto") as client:
            await client.list_tools()
            result: Any = await client.call_tool(*WHO)
            assert "cancel" in result.content[0].text
        assert "nobody answered in time" in gateway.log


async def test_with_the_option_off_the_call_fails_as_it_would(tmp_path: Path):
    with gateway_to("http-legacy", tmp_path) as gateway:
        async with silent_client(gateway.url, "auto") as client, operator(tmp_path) as control:
            await client.list_tools()
            try:
                result: Any = await client.call_tool(*WHO)
                assert result.is_error
            except MCPError:
                pass
            assert (await control.refresh()).questions == ()


async def test_the_command_line_lists_it_and_answers(tmp_path: Path):
    with gateway_to("http", tmp_path, **ON) as gateway:
        person = Person(tmp_path, "--socket", str(tmp_path / "admin.sock"))
        async with silent_client(gateway.url, "auto") as client, operator(tmp_path) as control:
            await client.list_tools()
            call = asyncio.ensure_future(client.call_tool(*WHO))
            id = (await question_of(control)).id
            assert "1 question waits" in (await asyncio.to_thread(person.run, "status")).stdout
            given = ("--accept", "username=Ann", "--accept", "email=a@b.c")
            said = await asyncio.to_thread(person.run, "answer", id, *given)
            assert said.returncode == 0, said.stderr
            result: Any = await call
            assert "Ann" in result.content[0].text


async def test_the_screen_shows_what_is_asked_until_it_is_answered(tmp_path: Path):
    with everything("http", tmp_path) as where:
        server, port = configured("http", where) | {"prefix": "none"}, free_port()
        admin = {"socket": str(tmp_path / "admin.sock")}
        config = write_config(tmp_path, [server], admin=admin, **ON)
        command = [*COMMAND, "--config", str(config), "--port", str(port)]
        terminal = Terminal(command, tmp_path, quiet_env(tmp_path))
        try:
            await asyncio.to_thread(terminal.shows, "1/1 healthy")
            url = f"http://127.0.0.1:{port}/mcp"
            async with silent_client(url, "auto") as client, operator(tmp_path) as control:
                await client.list_tools()
                call = asyncio.ensure_future(client.call_tool(*WHO))
                await asyncio.to_thread(terminal.shows, "1 question: press a")
                terminal.press("a")
                await asyncio.to_thread(terminal.shows, "Who are you?", "username *", "Accept")
                given = {"username": "Ann", "email": "a@b.c"}
                await control.answer((await question_of(control)).id, "accept", given)
                await asyncio.to_thread(terminal.shows, "not open any more", without="press a")
                result: Any = await call
                assert "Ann" in result.content[0].text
        finally:
            terminal.close()
