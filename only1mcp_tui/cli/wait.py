"""`only1mcp wait`: until the gateway answers, and its servers are in service; for scripts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import click

from only1mcp_tui.cli.common import json_option
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import complain, one_line, say, say_json
from only1mcp_tui.cli.reach import Address, locating, reached
from only1mcp_tui.cli.rows import IN_SERVICE, row_of, why
from proxy_core.control_client import GatewayUnreachable, RemoteControl
from proxy_core.errors import UnknownServer
from proxy_core.telemetry.snapshot import ServerState, Snapshot

PAUSE_S: Final = 0.25
LONGEST_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Missing:
    """Who is still waited for, and why."""

    target: str
    """Empty: the gateway itself."""
    state: str
    reason: str


@click.command("wait")
@click.argument("targets", nargs=-1, metavar="[SERVER[/REPLICA]]...")
@click.option("--healthy", is_flag=True, help="Until these servers, or all that are enabled, are in service.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, LONGEST_S),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long at most.",
)
@locating
@json_option
def wait_command(
    targets: tuple[str, ...], healthy: bool, timeout_s: float, locate: Callable[[], Address], as_json: bool
) -> None:
    """Wait until the gateway answers, and with --healthy until its servers are in service.

    Exit code 1 if the time is over before; then it says who is still missing, and why.
    """
    if targets and not healthy:
        raise click.UsageError("To wait for servers, say --healthy.")
    deadline_at = time.monotonic() + timeout_s
    missing = _absent(locate, deadline_at, lambda control: _settled(control, targets, healthy, deadline_at))
    if as_json:
        say_json({"ok": not missing, "missing": [asdict(each) for each in missing]})
    elif missing:
        for each in missing:
            reason = f": {one_line(each.reason, 200)}" if each.reason else ""
            complain(f"{each.target or 'the gateway'} is {each.state}{reason}")
    else:
        say("In service." if healthy else "The gateway answers.")
    click.get_current_context().exit(Exit.FAILURE if missing else Exit.OK)


def _absent(
    locate: Callable[[], Address],
    deadline_at: float,
    settled: Callable[[RemoteControl], Awaitable[list[Missing]]],
) -> list[Missing]:
    """Who is missing when all are there, or the time is over; the gateway itself may come up meanwhile."""

    async def ask(address: Address) -> list[Missing]:
        async with reached(address) as control:
            return await settled(control)

    while True:
        try:
            return asyncio.run(ask(locate()))
        except GatewayUnreachable as error:
            if time.monotonic() >= deadline_at:
                return [Missing("", "not there", error.message)]
        time.sleep(PAUSE_S)


async def _settled(
    control: RemoteControl, targets: Sequence[str], healthy: bool, deadline_at: float
) -> list[Missing]:
    has_looked = not healthy
    while True:
        snapshot = control.snapshot()
        missing = missing_from(snapshot, targets) if healthy else []
        # Its port is open before its servers are known: none at all is believed at the second look.
        if not missing and (snapshot.servers or has_looked):
            return []
        if time.monotonic() >= deadline_at:
            return missing
        has_looked = True
        await asyncio.sleep(PAUSE_S)
        await control.refresh()


def missing_from(snapshot: Snapshot, targets: Sequence[str]) -> list[Missing]:
    """Of those that are named, or else of all that are enabled, who is not in service."""
    names = targets or [row.id for row in snapshot.servers if row.state is not ServerState.DISABLED]
    missing = []
    for target in names:
        try:
            row = row_of(snapshot, target)
        except UnknownServer as error:
            missing.append(Missing(target, "unknown", error.message))
            continue
        if row.state not in IN_SERVICE:
            missing.append(Missing(target, row.state.value.replace("_", " "), why(row, snapshot.at)))
    return missing
