"""`only1mcp reload` and `rollback`: what the running gateway makes of its configuration file."""

import asyncio
from collections.abc import Iterator
from typing import Final

import click
from msgspec import to_builtins

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import note, one_line, say, say_json, table
from only1mcp_tui.cli.reach import Address, reached, steering
from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import ConfigError

HEADINGS: Final = ("ACTION", "SERVER", "IN FLIGHT", "SESSIONS", "CHANGED")


@click.command("reload")
@click.option("--plan", "only_plan", is_flag=True, help="Show what would change, and change nothing.")
@steering
def reload_command(only_plan: bool, address: Address, as_json: bool) -> None:
    """Read the configuration again and put it in force. Exit code 2, with every fault, if it cannot be used."""
    try:
        plan = asyncio.run(_reloaded(address, only_plan))
    except ConfigError as error:
        if not as_json:
            raise
        problems = [{"line": one.line, "key": one.key, "message": one.message} for one in error.problems]
        say_json({"ok": False, "path": error.path, "problems": problems})
        click.get_current_context().exit(Exit.USAGE)
    nothing = "Nothing would change." if only_plan else "Nothing changed: what the file says is in force."
    _tell(plan, nothing, as_json)
    if not only_plan and not plan.is_empty and not as_json:
        note("The configuration is in force; only1mcp rollback returns to the one before.")


@click.command("rollback")
@steering
def rollback_command(address: Address, as_json: bool) -> None:
    """Put the configuration in force that was so before this one; the file is not changed."""
    plan = asyncio.run(_rolled_back(address))
    _tell(plan, "Nothing changed.", as_json)
    if not as_json:
        note("The earlier configuration is in force; the file still says something else.")


async def _reloaded(address: Address, only_plan: bool) -> ReloadPlan:
    async with reached(address) as control:
        return await (control.reload_plan() if only_plan else control.apply_reload())


async def _rolled_back(address: Address) -> ReloadPlan:
    async with reached(address) as control:
        return await control.rollback()


def _tell(plan: ReloadPlan, nothing: str, as_json: bool) -> None:
    if as_json:
        say_json({"ok": True, "changes": not plan.is_empty, **to_builtins(plan)})
        return
    if plan.is_empty:
        say(nothing)
        return
    say(table(HEADINGS, [cells for server in plan.servers for cells in _rows(server)]))
    if plan.settings:
        say(f"other keys: {one_line(', '.join(plan.settings), 500)}")
    if plan.restart:
        note(f"Applies after a restart of the gateway only: {one_line(', '.join(plan.restart), 500)}")


def _rows(server: PlannedServer) -> Iterator[tuple[str, ...]]:
    """The server, and its replicas where they do not all fare alike."""
    yield _cells(server.id, server, ", ".join(server.changed))
    if len({replica.action for replica in server.replicas}) > 1:
        for number, replica in enumerate(server.replicas, start=1):
            branch = "└" if number == len(server.replicas) else "├"
            yield _cells(f"{branch} {replica.id}", replica, "")


def _cells(name: str, planned: PlannedServer | PlannedReplica, changed: str) -> tuple[str, ...]:
    touches = planned.action is not Action.ADD
    figures = (str(planned.in_flight), str(planned.sessions)) if touches else ("", "")
    return planned.action.value, name, *figures, changed
