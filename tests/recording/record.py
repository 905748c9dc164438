"""Record the day: real servers, installed by name, behind a real gateway, and the script's clients before it.

What is of this machine is replaced while it is written down: the folder of the work, the address of the page
that is fetched, where servers are installed. The gateway runs without cache and batching, so that every
request reaches its server.
"""

import asyncio
import getpass
import json
import platform
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from proxy_core.config.models import Config
from tests.recording import pipe, script, workspace
from tests.recording.backends import Overheard, listening
from tests.recording.clients import clients_of
from tests.recording.day import Day
from tests.recording.session import Answered, Server, Session, save
from tests.support.gateway_process import serving, stdio
from tests.support.real_servers import CACHE, REFERENCE, install
from tests.support.wire import comes_true, connected, tool_names

FOLDER, SITE, INSTALLED = "/workspace/demo", "http://docs.example", "/opt/servers"
ABOUT: Final = (
    "One scripted day of five AI clients with real reference servers of the MCP project, through Only1MCP. "
    "Made by `python -m tests.recording record`; tests/recording/script.py says what is known, what assumed. "
    "Answers and texts of the servers are theirs: package, version and licence stand with each."
)


class CarriesTraces(Exception):
    """Something of this machine is in what was recorded."""


async def record(path: Path) -> Session:
    """Raises: CannotInstall, CarriesTraces."""
    for server in REFERENCE:
        await asyncio.to_thread(install, server)
    async with AsyncExitStack() as house:
        top = Path(house.enter_context(tempfile.TemporaryDirectory(prefix="o1-")))
        folder, sockets = top / "demo", top / "s"
        folder.mkdir()
        sockets.mkdir()
        workspace.make(folder)
        site = await house.enter_async_context(workspace.documentation())
        clean = cleaner({str(folder): FOLDER, site: SITE, str(CACHE): INSTALLED})
        day: list[Day] = []
        overheard = {
            server.id: Overheard(
                server.command(folder),
                server.environment(folder) | workspace.AUTHOR,
                folder,
                lambda: day[0].now_ms if day else -1,
                clean,
            )
            for server in REFERENCE
        }
        paths = await house.enter_async_context(listening(sockets, dict(overheard)))
        servers = [stdio(server, pipe.command(path)) for server, path in paths.items()]
        opening = serving(top, servers, **_without_savings())
        gateway = await asyncio.to_thread(opening.__enter__)
        house.push_async_callback(asyncio.to_thread, opening.__exit__, None, None, None)
        await _all_listed(gateway.url)
        clients = await house.enter_async_context(clients_of(gateway.url))
        day.append(Day(clients, clean))
        await day[0].run(script.everyone(script.Office(day[0], str(folder), site)))
        session = Session(ABOUT, tuple(_server(each, overheard) for each in REFERENCE), tuple(day[0].asked))
    save(session, path)
    check(path.read_text(encoding="utf-8"))
    return session


def cleaner(replaced: dict[str, str]) -> Callable[[Any], Any]:
    """The same value with each of these texts replaced, wherever it stands."""

    def clean(value: Any) -> Any:
        text = json.dumps(value)
        for of_this_machine, public in replaced.items():
            text = text.replace(of_this_machine, public)
        return json.loads(text)

    return clean


def check(text: str) -> None:
    """Raises: CarriesTraces."""
    traces = [tempfile.gettempdir() + "/", str(Path.home()) + "/", "127.0.0.1:", platform.node()]
    traces += [f"/{getpass.getuser()}/", f'"{getpass.getuser()}"']
    if found := [trace for trace in traces if trace in text]:
        raise CarriesTraces(", ".join(found))


def _without_savings() -> dict[str, Any]:
    off = {name: {"enabled": False} for name in ("cache", "batching") if name in Config.model_fields}
    return {"limits": {"session_idle_s": 86_400}, "proxy": {"grace_s": 1}} | off


async def _all_listed(url: str) -> None:
    async with connected(url) as client:

        async def are_there() -> bool:
            owners = {name.partition("__")[0] for name in await tool_names(client)}
            return owners == {server.id for server in REFERENCE}

        await comes_true(are_there, "every server is listed")


def _server(server: Any, overheard: dict[str, Overheard]) -> Server:
    heard = overheard[server.id]
    return Server(
        server.id,
        server.package,
        server.version,
        server.registry,
        server.licence,
        _first_of_equals([*heard.answers, *heard.left_open]),
        tuple(heard.said),
    )


def _first_of_equals(answers: list[Answered]) -> tuple[Answered, ...]:
    """Without what says again what the newest answer to the same request has said: it changes nothing."""
    kept: list[Answered] = []
    newest: dict[str, Answered] = {}
    for answer in sorted(answers, key=lambda each: each.at_ms):
        key = json.dumps([answer.method, answer.params], sort_keys=True)
        before = newest.get(key)
        if before is None or (before.outcome, before.told) != (answer.outcome, answer.told) or answer.told:
            kept.append(answer)
            newest[key] = answer
    return tuple(kept)
