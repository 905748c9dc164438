"""The ways to reach the everything server, each judged as a column: alone, and through the gateway."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.answers import SERVER_ID, Answers, counts, equal, everything
from tests.conformance.judge import SUITES, Judge
from tests.conformance.verdicts import LEGACY, MODERN, Column
from tests.support.gateway_process import remote, serving, stdio
from tests.support.processes import (
    MODULE_ENV,
    demo_command,
    eventually,
    free_port,
    module_command,
    running,
)

EVERYTHING = "tests.support.everything_server"
DIRECT = "direct"
NEIGHBOURS = ("clock", "notes")
LONGEST_NAME = 128
"""Prefixed names are not to be shortened: the shim could not tell what they were."""
Alone = Mapping[str, Answers]
"""Who asks -> what the everything server answers when asked directly."""


@dataclass(frozen=True)
class Way:
    """Through the gateway, to a server of this kind."""

    title: str
    over: str = "http"
    era: str | None = None
    """The server is held to it."""
    neighbours: tuple[str, ...] = ()
    """Demo servers beside it."""
    prefix: str = "none"
    """Of the server's names in the gateway; if it has one, a shim takes it away for the suite."""
    module: str = EVERYTHING
    """The server: takes --port or --stdio, and --legacy-only or --modern-only."""


WAYS = (
    Way("HTTP"),
    Way("stdio", over="stdio"),
    Way("HTTP, legacy only", era=LEGACY),
    Way("stdio, legacy only", over="stdio", era=LEGACY),
    Way("HTTP, modern only", era=MODERN),
    Way("stdio, modern only", over="stdio", era=MODERN),
    Way("HTTP, one of three", neighbours=NEIGHBOURS),
    Way("HTTP, prefixed", prefix="always"),
)


def judge_direct(judge: Judge, folder: Path) -> tuple[Column, Alone]:
    """The everything server without a gateway: what all the others are measured by."""
    with served(folder / "direct.log") as url:
        # Asked first: the suite changes the lists.
        alone = asyncio.run(everything(url))
        return _column(Way(DIRECT, over=""), judge, url, folder, alone, alone), alone


def judge_way(way: Way, judge: Judge, folder: Path, alone: Alone) -> Column:
    with through_gateway(way, folder / way.title) as url:
        return _column(way, judge, url, folder, asyncio.run(everything(url)), alone)


def _column(way: Way, judge: Judge, url: str, folder: Path, answers: Alone, alone: Alone) -> Column:
    return Column(
        way.title,
        {suite.title: judge.run(suite, url, folder / way.title / suite.title) for suite in SUITES},
        way.over,
        way.era,
        {who: counts(given) for who, given in answers.items()},
        {who: equal(given, alone[who]) for who, given in answers.items()},
    )


@contextmanager
def through_gateway(way: Way, folder: Path) -> Iterator[str]:
    """The URL at which the suite finds the everything server behind a gateway."""
    folder.mkdir(parents=True)
    with ExitStack() as house:
        servers = [_behind(house, way, folder), *(stdio(name, demo_command(name)) for name in way.neighbours)]
        gateway = house.enter_context(serving(folder, servers, routing={"name_budget": LONGEST_NAME}))
        healthy = {(str(server["id"]), "healthy") for server in servers}
        eventually(
            lambda: healthy <= {(line["source"], line["message"]) for line in gateway.lines},
            f"all servers are healthy; the gateway said: {gateway.log}",
        )
        if way.prefix == "none":
            yield local(gateway.url)
        else:
            yield house.enter_context(_renamed(gateway.url, f"{SERVER_ID}__", folder / "shim.log"))


def _behind(house: ExitStack, way: Way, folder: Path) -> Mapping[str, object]:
    """The server of the configuration; started, if the gateway does not start it."""
    flags = () if way.era is None else (f"--{way.era}-only",)
    if way.over == "stdio":
        command = module_command(way.module, "--stdio", *flags)
        return stdio(SERVER_ID, command, env=MODULE_ENV, prefix=way.prefix)
    url = house.enter_context(served(folder / "server.log", way.module, flags))
    return remote(SERVER_ID, url, prefix=way.prefix)


@contextmanager
def served(log: Path, module: str = EVERYTHING, flags: tuple[str, ...] = ()) -> Iterator[str]:
    """The URL of a server that no gateway stands before."""
    port = free_port()
    with running(module_command(module, "--port", str(port), *flags), port, log, MODULE_ENV):
        yield local(f"http://127.0.0.1:{port}/mcp")


@contextmanager
def _renamed(url: str, prefix: str, log: Path) -> Iterator[str]:
    port, origin = free_port(), url.removesuffix("/mcp")
    arguments = ("--port", str(port), "--to", origin, "--prefix", prefix)
    with running(module_command("tests.support.renaming_shim", *arguments), port, log, MODULE_ENV):
        yield local(f"http://127.0.0.1:{port}/mcp")


def local(url: str) -> str:
    """The suite tests protection against rebinding only where the host says localhost."""
    return url.replace("127.0.0.1", "localhost")
