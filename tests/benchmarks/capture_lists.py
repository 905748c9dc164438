"""The lists of real servers, installed by name and started alone: what context economy is measured on.

`python -m tests.benchmarks.capture_lists OUT_DIR [--only ID ...]` writes `OUT_DIR/<server>.json` with the
fields server, package, version, registry, instructions and tools, each tool as it came over the wire to a
client that has roots and cannot be asked anything else. It prints a table of what it got and what could not
start, and why. Credentials are dummies: servers that ask for one want to see it before they list, and none of
them is called. Keep OUT_DIR outside of the repository: the texts are their authors'.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import ListRootsResult

from tests.support.processes import ROOT
from tests.support.real_servers import REFERENCE, CannotInstall, RealServer, install
from tests.support.recorded import Recorder, Talk

START_S: Final = 60.0
DUMMY: Final = "not-a-real-credential"
SERVERS: Final = (
    *REFERENCE,
    RealServer(
        "github",
        "npm",
        "@modelcontextprotocol/server-github",
        "2025.4.8",
        "MIT",
        "mcp-server-github",
        env={"GITHUB_PERSONAL_ACCESS_TOKEN": DUMMY},
    ),
    RealServer(
        "slack",
        "npm",
        "@modelcontextprotocol/server-slack",
        "2025.4.25",
        "MIT",
        "mcp-server-slack",
        env={"SLACK_BOT_TOKEN": DUMMY, "SLACK_TEAM_ID": "T0"},
    ),
    RealServer(
        "google-maps",
        "npm",
        "@modelcontextprotocol/server-google-maps",
        "0.6.2",
        "MIT",
        "mcp-server-google-maps",
        env={"GOOGLE_MAPS_API_KEY": DUMMY},
    ),
    RealServer(
        "brave-search",
        "npm",
        "@modelcontextprotocol/server-brave-search",
        "0.6.2",
        "MIT",
        "mcp-server-brave-search",
        env={"BRAVE_API_KEY": DUMMY},
    ),
    RealServer(
        "gitlab",
        "npm",
        "@zereight/mcp-gitlab",
        "2.1.64",
        "MIT",
        "mcp-gitlab",
        env={"GITLAB_PERSONAL_ACCESS_TOKEN": DUMMY},
    ),
    RealServer(
        "notion",
        "npm",
        "@notionhq/notion-mcp-server",
        "2.5.2",
        "MIT",
        "notion-mcp-server",
        env={"NOTION_TOKEN": DUMMY},
    ),
    RealServer("chart", "npm", "@antv/mcp-server-chart", "0.9.10", "MIT", "mcp-server-chart"),
    RealServer(
        "playwright", "npm", "@playwright/mcp", "0.0.83", "Apache-2.0", "playwright-mcp", ("--headless",)
    ),
    RealServer("excel", "pypi", "excel-mcp-server", "2.2.2", "MIT", "excel-mcp-server", ("stdio",)),
    RealServer("redis", "pypi", "redis-mcp-server", "0.5.1", "MIT", "redis-mcp-server"),
)


@dataclass(frozen=True)
class Captured:
    """One file of the output."""

    server: str
    package: str
    version: str
    registry: str
    instructions: str | None
    tools: list[dict[str, Any]]


class CannotStart(Exception):
    """It was installed and did not list; the message is its last words."""


async def capture(server: RealServer) -> Captured:
    """Install it, start it, list it. Raises: CannotInstall, CannotStart."""
    await asyncio.to_thread(install, server)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as stderr:
        await _make_repository(folder)
        try:
            async with asyncio.timeout(START_S):
                return await _listed(server, Path(folder), stderr)
        # The SDK's client fails in as many ways as servers do, several at once.
        except Exception as error:
            raise CannotStart(_last_words(stderr) or repr(error)[:200]) from error


async def _make_repository(folder: str) -> None:
    """`mcp-server-git` starts in one only."""
    process = await asyncio.create_subprocess_exec("git", "init", "--quiet", folder)
    assert await process.wait() == 0


async def _listed(server: RealServer, folder: Path, stderr: TextIO) -> Captured:
    command, *arguments = server.command(folder)
    parameters = StdioServerParameters(
        command=command, args=arguments, env=server.environment(folder), cwd=folder
    )
    recorder = Recorder(stdio_client(parameters, errlog=stderr))
    client_with_roots = Client(recorder, mode="auto", cache=None, list_roots_callback=_roots)
    async with client_with_roots as client:
        tools = await Talk(client, recorder).pages("tools/list", "tools")
    hello = [
        answer["result"] for method, answer in recorder.answers if method in _HELLOS and "result" in answer
    ]
    instructions = hello[-1].get("instructions") if hello else None
    return Captured(server.id, server.package, server.version, server.registry, instructions, tools)


async def _roots(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[])


def _last_words(stderr: TextIO) -> str:
    stderr.seek(0)
    lines = [line.strip() for line in stderr.read().splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


async def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--only", nargs="+", metavar="ID", choices=[server.id for server in SERVERS])
    options = parser.parse_args(arguments)
    if options.out.resolve().is_relative_to(ROOT):
        parser.error("OUT_DIR must be outside of the repository: the texts are their authors'")
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [server for server in SERVERS if options.only is None or server.id in options.only]
    print("| server | package | version | tools | |\n|---|---|---|---|---|")
    got = 0
    for server in wanted:
        count, reason = "-", ""
        try:
            captured = await capture(server)
        except (CannotInstall, CannotStart) as error:
            reason = f"{'not installed' if isinstance(error, CannotInstall) else 'did not list'}: {error}"
        else:
            (options.out / f"{server.id}.json").write_text(json.dumps(asdict(captured), indent=1) + "\n")
            count, got = str(len(captured.tools)), got + 1
        print(f"| {server.id} | {server.package} | {server.version} | {count} | {reason} |", flush=True)
    print(f"\n{got} of {len(wanted)} servers listed.")
    return 0 if got else 1


_HELLOS: Final = ("initialize", "server/discover")

if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
