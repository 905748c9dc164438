"""`only1mcp doctor`: looks at everything that keeps a gateway from running well, and says what to do.

Order and wording of the report, and the question before processes are ended; the looks themselves are the
matter of proxy_core.doctor.
"""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from only1mcp_tui.cli.common import config_option, found_config, gateway_token, gateway_url, json_option
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import counted, note, one_line, say, say_json
from only1mcp_tui.cli.reach import running_with, socket_of
from only1mcp_tui.view.numbers import duration, size
from proxy_core import doctor
from proxy_core.config.demo import demo_config
from proxy_core.config.load import LoadedConfig, load
from proxy_core.control_client import GatewayClient, GatewayUnreachable, RemoteControl, TokenRefused
from proxy_core.doctor import Finding, Level, Orphan
from proxy_core.errors import ConfigError, Only1Error, UnknownServer
from proxy_core.telemetry.snapshot import ServerDetail

GLYPHS: Final = {Level.OK: "●", Level.WARN: "▲", Level.BAD: "✖"}
MOST: Final = 300
"""Characters of a line."""


@click.command("doctor")
@click.option("--end", is_flag=True, help="End processes that an earlier gateway has left behind.")
@click.option("--yes", is_flag=True, help="With --end: do not ask first.")
@click.option("--run", metavar="ID", help="Only what this run of a gateway left behind; --json names them.")
@config_option
@json_option
@click.pass_context
def doctor_command(
    ctx: click.Context, end: bool, yes: bool, run: str | None, config: Path | None, as_json: bool
) -> None:
    """Look for what keeps the gateway from running well, and say what to do.

    Checks the configuration, the variables and commands it names, the port, the admin socket, what an earlier
    gateway has left running, and the names that clients see. Exit code 1 if anything is bad.
    """
    if yes and not end:
        raise click.UsageError("--yes goes with --end.")
    if end and as_json and not yes:
        raise click.UsageError("--json does not ask; add --yes.")
    if end and not yes and not _has_terminal():
        raise click.UsageError("--end asks first, and there is no terminal to ask on; add --yes.")
    report = _Report(as_json)
    _look(ctx, config, report)
    orphans = [orphan for orphan in doctor.find_orphans() if run in (None, orphan.run_id)]
    report.told.extend(_plain(orphan) for orphan in orphans)
    if orphans and (end or (_has_terminal() and not as_json)) and (yes or _wants_them_ended(orphans)):
        report.add(_ended(orphans, doctor.end_orphans(orphans)))
    else:
        report.add(_left(orphans))
    report.finish()
    ctx.exit(Exit.FAILURE if report.is_bad else Exit.OK)


@dataclass
class _Report:
    """Prints each finding as it comes, or all at the end."""

    as_json: bool
    found: list[Finding] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_bad(self) -> bool:
        return any(finding.level is Level.BAD for finding in self.found)

    def add(self, *findings: Finding) -> None:
        for finding in findings:
            self.found.append(finding)
            if not self.as_json:
                say(one_line(f"{GLYPHS[finding.level]} {finding.level:<4}  {_words(finding)}", MOST))
                if finding.advice and finding.level is not Level.OK:
                    say(f"{'':22} {finding.advice}")

    def finish(self) -> None:
        if self.as_json:
            findings = [
                {
                    "level": each.level.value,
                    "subject": each.subject,
                    "text": each.text,
                    "advice": each.advice,
                }
                for each in self.found
            ]
            say_json({"ok": not self.is_bad, "findings": findings, "orphans": self.told})


def _words(finding: Finding) -> str:
    return f"{finding.subject:<13} {finding.text}"


def _look(ctx: click.Context, config: Path | None, report: _Report) -> None:
    """Everything but the orphans, in the order in which one would put it right."""
    try:
        path = found_config(ctx, config)
        loaded = load(path, os.environ) if path is not None else demo_config()
    except ConfigError as error:
        report.add(*doctor.faults(error))
        return
    report.add(
        _configuration(loaded),
        *doctor.unset(loaded),
        *doctor.profiles(loaded),
        *doctor.https(loaded, datetime.now(UTC)),
        *doctor.programs(loaded, os.environ),
    )
    socket_file = socket_of(loaded.config.proxy, loaded.config.admin)
    if socket_file is not None and not socket_file.is_socket() and loaded.path is not None:
        # It may have been started with another --port.
        socket_file = running_with(loaded.path) or socket_file
    report.add(*asyncio.run(_running(loaded, socket_file)))


def _configuration(loaded: LoadedConfig) -> Finding:
    if loaded.path is None:
        text = "there is none yet; only1mcp would run its demo servers"
        return Finding(Level.OK, "configuration", text, "only1mcp init makes one.")
    servers = counted(len(loaded.config.servers), "server")
    return Finding(Level.OK, "configuration", f"{loaded.path}: good, {servers}")


async def _running(loaded: LoadedConfig, socket_file: Path | None) -> list[Finding]:
    """Port and socket, and what a gateway that runs says of itself."""
    names: list[Finding] | None = None
    if socket_file is not None:
        try:
            async with RemoteControl(socket_file) as control:
                names = await _names(control)
        except (GatewayUnreachable, TokenRefused):
            names = None
    is_ours = names is not None or (loaded.config.proxy.port != 0 and await _serves(loaded))
    found = [
        doctor.port(loaded.config.proxy, is_ours),
        doctor.socket_file(socket_file, answers=names is not None),
    ]
    return found + (names or [])


async def _serves(loaded: LoadedConfig) -> bool:
    """Whether what listens on the port is a gateway like us."""
    try:
        async with GatewayClient(gateway_url(loaded.config.proxy), gateway_token()) as client:
            await client.check()
    except GatewayUnreachable:
        return False
    except Only1Error:
        # Only a gateway asks for a token as ours does.
        return True
    return True


async def _names(control: RemoteControl) -> list[Finding]:
    """Names that clients do not see, and what replicas of one server do not have in common."""
    found = []
    for row in control.snapshot().servers:
        detail = ServerDetail(row)
        with suppress(UnknownServer):
            # It may have left the configuration this very moment.
            detail = await control.fetch_detail(row.id)
        for name, reason in detail.hidden:
            text = f"{row.id}: {one_line(name)} is hidden: {one_line(reason)}"
            found.append(Finding(Level.WARN, "names", text, "See tools.allow, tools.deny and routing."))
        for sentence in row.differences:
            advice = "A tool goes only to the replicas that have it; give them the same."
            found.append(Finding(Level.WARN, "names", f"{row.id}: {one_line(sentence)}", advice))
    return found or [Finding(Level.OK, "names", "every name is seen by clients")]


# --- orphans --------------------------------------------------------------------------------------------------


def _left(orphans: Sequence[Orphan]) -> Finding:
    if not orphans:
        return Finding(Level.OK, "orphans", "no process of an earlier gateway is left")
    text = f"{_processes(orphans)} of an earlier gateway still running: {_pids(orphans)}"
    return Finding(Level.BAD, "orphans", text, "only1mcp doctor --end ends them.")


def _ended(orphans: Sequence[Orphan], left: Sequence[Orphan]) -> Finding:
    if left:
        text = f"{_processes(left)} of an earlier gateway could not be ended: {_pids(left)}"
        return Finding(
            Level.BAD, "orphans", text, "Look at them with ps; one that waits for a disk cannot end."
        )
    return Finding(Level.OK, "orphans", f"{_processes(orphans)} of an earlier gateway ended: {_pids(orphans)}")


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _wants_them_ended(orphans: Sequence[Orphan]) -> bool:
    now = time.time()
    note(f"{_processes(orphans)} of an earlier gateway still running:")
    for orphan in orphans:
        age = duration(now - orphan.created_at)
        note(f"  {orphan.pid}  {one_line(orphan.name, 30)}  {age} old  {size(orphan.rss_bytes)}")
    return click.confirm("End them?", default=False, err=True)


def _plain(orphan: Orphan) -> dict[str, Any]:
    return {
        "pid": orphan.pid,
        "name": orphan.name,
        "age_s": round(time.time() - orphan.created_at),
        "rss_bytes": orphan.rss_bytes,
        "run": orphan.run_id,
    }


def _processes(orphans: Sequence[Orphan]) -> str:
    return f"{len(orphans)} process" if len(orphans) == 1 else f"{len(orphans)} processes"


def _pids(orphans: Sequence[Orphan]) -> str:
    return ", ".join(f"{one_line(orphan.name, 30)} ({orphan.pid})" for orphan in orphans[:10]) + (
        ", ..." if len(orphans) > 10 else ""
    )
