"""The ways to reach the everything server, each judged as a column: alone, and through the gateway."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.answers import Answers, counts, equal, everything
from tests.conformance.judge import SUITES, Judge
from tests.conformance.verdicts import Column
from tests.support.gateway_process import remote, serving, stdio
from tests.support.processes import ROOT, free_port, running

SERVER_ID = "everything"
COMMAND = (sys.executable, "-m", "tests.support.everything_server")
ENV = {"PYTHONPATH": str(ROOT)}
DIRECT = "direct"


@dataclass(frozen=True)
class Way:
    """Through the gateway, to a server of this kind."""

    title: str
    over: str
    flags: tuple[str, ...] = ()


WAYS = (
    Way("HTTP", "http"),
    Way("stdio", "stdio"),
    Way("HTTP, legacy only", "http", ("--legacy-only",)),
    Way("HTTP, modern only", "http", ("--modern-only",)),
)


def judge_all(judge: Judge, folder: Path) -> list[Column]:
    """The direct column first; each suite run has its files below `folder`."""
    folder.mkdir(parents=True)
    with everything_server(folder / "direct.log") as url:
        # Asked first: the suite changes the lists.
        alone = asyncio.run(everything(url))
        columns = [_column(DIRECT, judge, url, folder, alone, alone)]
    for way in WAYS:
        with through_gateway(way, folder / way.title) as url:
            answers = asyncio.run(everything(url))
            columns.append(_column(way.title, judge, url, folder, answers, alone))
    return columns


def _column(
    title: str,
    judge: Judge,
    url: str,
    folder: Path,
    answers: Mapping[str, Answers],
    alone: Mapping[str, Answers],
) -> Column:
    print(f"Judging: {title} ...", flush=True)
    return Column(
        title,
        {suite.title: judge.run(suite, url, folder / title / suite.title) for suite in SUITES},
        {era: counts(given) for era, given in answers.items()},
        {era: equal(given, alone[era]) for era, given in answers.items()},
    )


@contextmanager
def everything_server(log: Path, flags: tuple[str, ...] = ()) -> Iterator[str]:
    port = free_port()
    with running((*COMMAND, "--port", str(port), *flags), port, log, ENV):
        yield local(f"http://127.0.0.1:{port}/mcp")


@contextmanager
def through_gateway(way: Way, folder: Path) -> Iterator[str]:
    folder.mkdir(parents=True)
    if way.over == "stdio":
        with _gateway(folder, stdio(SERVER_ID, (*COMMAND, "--stdio", *way.flags), env=ENV)) as url:
            yield url
    else:
        with everything_server(folder / "server.log", way.flags) as server:
            with _gateway(folder, remote(SERVER_ID, server)) as url:
                yield url


@contextmanager
def _gateway(folder: Path, server: Mapping[str, object]) -> Iterator[str]:
    with serving(folder, [server], routing={"prefix": "none"}) as gateway:
        yield local(gateway.url)


def local(url: str) -> str:
    """The suite tests protection against rebinding only where the host says localhost."""
    return url.replace("127.0.0.1", "localhost")
