"""`only1mcp approve`: tools that are not what they were, what is different, and a person's approval."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Final

import click
from msgspec import to_builtins

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import complain, counted, note, one_line, say, say_json, table
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.view.targets import suspect_words
from only1mcp_tui.view.text import safe
from only1mcp_tui.view.tool_diff import diff_of, stands_words, what_words, whose_words
from proxy_core.errors import UnknownChange
from proxy_core.telemetry.snapshot import Snapshot
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff

HEADINGS: Final = ("SERVER", "TOOL", "WHAT", "CLIENTS", "WHOSE LIST")


@click.command("approve")
@click.argument("target", required=False, metavar="[SERVER[/TOOL]]")
@click.option("--all", "every", is_flag=True, help="Everything that waits, at every server.")
@click.option(
    "--list", "lists", is_flag=True, help="Only show it: with a target what is different, else a table."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@steering
def approve_command(
    target: str | None, every: bool, lists: bool, yes: bool, address: Address, as_json: bool
) -> None:
    """Show tools that changed since they were first seen, what is different, and approve them.

    Without a target it lists them. With `on_change: quarantine` clients do without them until then.
    """
    if target is not None and every:
        raise click.UsageError("Name a server or tool, or say --all; not both.")
    if target is None and (lists or not every):
        _list(asyncio.run(_changes(address, None)), as_json)
        return
    diffs = asyncio.run(_diffs(address, target))
    if lists:
        _show(diffs, as_json)
        return
    if not yes and (as_json or not _can_ask()):
        raise click.UsageError("Nobody can be asked here: look with --list, then say --yes.")
    if not as_json:
        _show(diffs, as_json)
    question = f"Approve {counted(len(diffs), 'change')}?"
    if not yes and not click.confirm(question, default=False, err=True):
        note("Nothing was approved.")
        return
    _approve(address, [diff.change for diff in diffs], as_json)


def _can_ask() -> bool:
    return sys.stdin.isatty()


def changes_line(snapshot: Snapshot) -> str:
    """For the status; empty while nothing waits."""
    changed, withheld = (
        sum(getattr(row, name) for row in snapshot.servers) for name in ("changed", "withheld")
    )
    words = suspect_words(changed, withheld)
    return f"{words} (only1mcp approve)" if words else ""


async def _changes(address: Address, server: str | None) -> tuple[ToolChange, ...]:
    async with reached(address) as control:
        return await control.tool_changes(server)


async def _diffs(address: Address, target: str | None) -> list[ToolDiff]:
    """Raises: UnknownServer, UnknownChange."""
    server, slash, tool = (target or "").partition("/")
    async with reached(address) as control:
        changes = await control.tool_changes(server or None)
        meant = [change for change in changes if not slash or _is_meant(change, tool)]
        if not meant:
            what = "" if target is None else f" of {target}"
            raise UnknownChange(f"Nothing{what} waits for an approval.")
        return [await control.tool_diff(each.server, each.tool, each.digest) for each in meant]


def _is_meant(change: ToolChange, tool: str) -> bool:
    """By the server's own name, or as clients call it."""
    return tool in (change.tool, f"{change.server}__{change.tool}")


def _approve(address: Address, changes: list[ToolChange], as_json: bool) -> None:
    approved, refused = asyncio.run(_approved(address, changes))
    if as_json:
        say_json(
            {
                "ok": not refused,
                "approved": [f"{each.server}/{each.tool}" for each in approved],
                "refused": refused,
            }
        )
    else:
        for each in approved:
            say(f"{safe(each.server, 40)}/{safe(each.tool, 200)}: approved")
        for message in refused:
            complain(message)
    if refused:
        sys.exit(Exit.FAILURE)


async def _approved(address: Address, changes: Iterable[ToolChange]) -> tuple[list[ToolChange], list[str]]:
    """Each by what was shown of it, so that nothing is approved that nobody saw."""
    async with reached(address) as control:
        approved, refused = list[ToolChange](), list[str]()
        for change in changes:
            try:
                await control.approve(change.server, change.tool, change.digest)
                approved.append(change)
            except UnknownChange as error:
                refused.append(error.message)
        return approved, refused


def _list(changes: tuple[ToolChange, ...], as_json: bool) -> None:
    if as_json:
        say_json([to_builtins(change) for change in changes])
        return
    if not changes:
        say("Every tool is what it was first seen as, or was approved.")
        return
    rows = [
        (
            change.server,
            change.tool,
            what_words(change),
            "withheld" if change.is_withheld else "have it",
            ", ".join(change.principals) or "everybody's",
        )
        for change in changes
    ]
    say(table(HEADINGS, rows))
    note("only1mcp approve SERVER/TOOL shows what is different, and asks.")


def _show(diffs: list[ToolDiff], as_json: bool) -> None:
    if as_json:
        say_json([to_builtins(diff) for diff in diffs])
        return
    for number, diff in enumerate(diffs):
        change = diff.change
        if number:
            say("")
        say(one_line(f"{change.server}/{change.tool} {what_words(change)}", 400))
        say(f"{stands_words(change)} {whose_words(change)}".rstrip())
        for line in diff_of(diff):
            say(f"{line.text}:" if line.mark == "#" else f"{line.mark} {line.text}".rstrip())
