"""Verbs over the running gateway: drain, undrain, probe, restart, enable, disable.

Several targets go side by side; each says how it ended. Where the gateway is, is the matter of `reach`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import click

from only1mcp_tui.cli.exits import Exit, exit_code_of
from only1mcp_tui.cli.output import complain, counted, note, one_line, say, say_json
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.cli.rows import found, row_of, state_words, why
from only1mcp_tui.view.numbers import latency
from proxy_core.control import DrainOutcome
from proxy_core.control_client import GatewayUnreachable, RemoteControl
from proxy_core.errors import Only1Error
from proxy_core.telemetry.snapshot import ServerRow, ServerState

LOOK_S: Final = 0.25
"""Between two pictures while a drain is watched."""
OFF: Final = (ServerState.DRAINED, ServerState.DISABLED)
CALLS_LISTED: Final = 50

targets_argument = click.argument("targets", nargs=-1, required=True, metavar="SERVER[/REPLICA]...")
all_argument = click.argument("targets", nargs=-1, metavar="[SERVER[/REPLICA]]...")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a verb ended for one target."""

    text: str
    plain: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    """What a person should know beside it."""
    is_good: bool = True


Deed = Callable[[RemoteControl, str], Awaitable[Ended]]


@click.command("drain")
@all_argument
@click.option("--all", "every", is_flag=True, help="Every server.")
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="How long to wait for calls in flight, instead of proxy.grace_s.",
)
@steering
def drain_command(
    targets: tuple[str, ...],
    every: bool,
    grace: float | None,
    address: Address,
    as_json: bool,
) -> None:
    """Take servers or replicas out: no new calls, wait for those in flight, then close.

    Calls that the wait was too short for are listed with id and tool. Interrupting the command does not
    interrupt the drain; undrain does.
    """
    chosen = _chosen(targets, every, lambda row: row.state not in OFF)

    async def drain(control: RemoteControl, target: str) -> Ended:
        return _drained(await control.drain(target, grace), "drained")

    _run(_all_ended(address, chosen, drain, as_json, watches=not as_json))


@click.command("undrain")
@all_argument
@click.option("--all", "every", is_flag=True, help="Every server that is drained, in whole or in part.")
@steering
def undrain_command(
    targets: tuple[str, ...],
    every: bool,
    address: Address,
    as_json: bool,
) -> None:
    """Put drained servers or replicas back to work."""
    chosen = _chosen(targets, every, _is_drained)
    _run(_all_ended(address, chosen, _resuming(lambda control, target: control.undrain(target)), as_json))


@click.command("probe")
@all_argument
@click.option("--all", "every", is_flag=True, help="Every server that is not switched off.")
@steering
def probe_command(
    targets: tuple[str, ...],
    every: bool,
    address: Address,
    as_json: bool,
) -> None:
    """Ask servers or replicas now whether they answer. Exit code 1 if one does not."""
    chosen = _chosen(targets, every, lambda row: row.state not in OFF)
    _run(_all_ended(address, chosen, _probe, as_json))


@click.command("restart")
@targets_argument
@steering
def restart_command(
    targets: tuple[str, ...],
    address: Address,
    as_json: bool,
) -> None:
    """Drain servers or replicas, then start them again; also ends a wait for the next start."""
    _run(_all_ended(address, targets, _resuming(lambda control, target: control.restart(target)), as_json))


@click.command("enable")
@targets_argument
@steering
def enable_command(
    targets: tuple[str, ...],
    address: Address,
    as_json: bool,
) -> None:
    """Switch servers or replicas on; the configuration file is not changed."""
    _run(_all_ended(address, targets, _resuming(lambda control, target: control.enable(target)), as_json))


@click.command("disable")
@targets_argument
@steering
def disable_command(
    targets: tuple[str, ...],
    address: Address,
    as_json: bool,
) -> None:
    """Drain servers or replicas, then keep them off until they are enabled; the file is not changed."""

    async def disable(control: RemoteControl, target: str) -> Ended:
        return _drained(await control.disable(target), "disabled")

    _run(_all_ended(address, targets, disable, as_json, watches=not as_json))


# --- which ----------------------------------------------------------------------------------------------------

Chosen = Sequence[str] | Callable[[ServerRow], bool]


def _chosen(targets: tuple[str, ...], every: bool, which: Callable[[ServerRow], bool]) -> Chosen:
    if every == bool(targets):
        raise click.UsageError("Name the servers, or say --all.")
    return which if every else targets


def _is_drained(row: ServerRow) -> bool:
    drained = (ServerState.DRAINING, ServerState.DRAINED)
    return row.state in drained or any(replica.state in drained for replica in row.replicas)


# --- doing ----------------------------------------------------------------------------------------------------


def _run(work: Coroutine[Any, Any, int]) -> None:
    click.get_current_context().exit(asyncio.run(work))


async def _all_ended(
    address: Address, chosen: Chosen, deed: Deed, as_json: bool, *, watches: bool = False
) -> int:
    """Do it for every target and tell how each ended; the exit code."""
    async with reached(address) as control:
        named, which = ((), chosen) if callable(chosen) else (chosen, None)
        targets = found(control.snapshot(), named, which)
        if not targets and not as_json:
            note("There is no server to do that to.")
        work = asyncio.gather(*(_ended(deed(control, target)) for target in targets))
        if watches and _is_watched():
            ends = await _watched(control, targets, work)
        else:
            ends = await work
        return _told(targets, ends, as_json)


async def _ended(deed: Awaitable[Ended]) -> Ended | Only1Error:
    """That one failed is no reason to give up the others."""
    try:
        return await deed
    except Only1Error as error:
        return error


def _told(targets: Sequence[str], ends: Sequence[Ended | Only1Error], as_json: bool) -> int:
    code = Exit.OK
    told = []
    for target, end in zip(targets, ends, strict=True):
        if isinstance(end, Only1Error):
            code = code or exit_code_of(end)
            told.append({"target": target, "ok": False, "error": end.message})
            if not as_json:
                complain(f"{target}: {end.message}")
            continue
        code = code or (Exit.OK if end.is_good else Exit.FAILURE)
        told.append({"target": target, "ok": end.is_good, **end.plain})
        if not as_json:
            say(f"{target}: {end.text}")
        if end.remark and not as_json:
            note(end.remark)
    if as_json:
        say_json(told)
    return code


def _is_watched() -> bool:
    return sys.stderr.isatty()


async def _watched(
    control: RemoteControl,
    targets: Sequence[str],
    work: "asyncio.Future[list[Ended | Only1Error]]",
) -> list[Ended | Only1Error]:
    """One line, written again and again, that says what is still in flight; gone when it is over."""
    try:
        while not (await asyncio.wait((work,), timeout=LOOK_S))[0]:
            with suppress(GatewayUnreachable):
                await control.refresh()
            _rewrite(_in_flight(control, targets))
    finally:
        _rewrite("")
    return work.result()


def _in_flight(control: RemoteControl, targets: Sequence[str]) -> str:
    snapshot = control.snapshot()
    parts = []
    for target in targets:
        with suppress(Only1Error):
            row = row_of(snapshot, target)
            if row.state is ServerState.DRAINING:
                parts.append(f"{target}: {why(row, snapshot.at)}")
    return "; ".join(parts) or "waiting"


def _rewrite(text: str) -> None:
    """Put `text` in the place of the line before it, in what a narrow terminal holds."""
    click.echo(f"\r\x1b[K{one_line(text, 78)}", nl=False, err=True, color=True)


# --- how it ended ---------------------------------------------------------------------------------------------


def _drained(outcome: DrainOutcome, word: str) -> Ended:
    calls = [{"id": call.id, "method": call.method, "target": call.target} for call in outcome.calls]
    plain = {"finished": outcome.finished, "abandoned": outcome.abandoned, "calls": calls}
    finished = f"; {counted(outcome.finished, 'call')} finished" if outcome.finished else ""
    if not outcome.abandoned:
        return Ended(f"{word}{finished}", plain)
    text = f"{word}{finished}; {counted(outcome.abandoned, 'call')} cut off"
    lines = [
        f"  {one_line(call.id, 40)}  {one_line(call.method, 40)}  {one_line(call.target)}"
        for call in outcome.calls[:CALLS_LISTED]
    ]
    more = outcome.abandoned - len(lines)
    return Ended(text, plain, "\n".join((*lines, *([f"  and {more} more"] if more > 0 else []))))


def _resuming(verb: Callable[[RemoteControl, str], Coroutine[Any, Any, None]]) -> Deed:
    """Do it, then tell how the target is."""

    async def resume(control: RemoteControl, target: str) -> Ended:
        await verb(control, target)
        await control.refresh()
        row = row_of(control.snapshot(), target)
        plain = {"state": row.state.value, "reason": row.reason}
        reason = why(row, control.snapshot().at)
        text = f"{state_words(row)}{f': {one_line(reason, 200)}' if reason else ''}"
        # A variable that is not set keeps a server off, whoever wants it.
        return Ended(text, plain, is_good=row.state not in OFF)

    return resume


async def _probe(control: RemoteControl, target: str) -> Ended:
    probe = await control.probe(target)
    plain = {"latency_ms": probe.latency_ms, "error": probe.error, "code": probe.code}
    took = "" if probe.latency_ms is None else f" in {latency(probe.latency_ms)}"
    if probe.error is None:
        return Ended(f"answered{took}", plain)
    code = "" if probe.code is None else f" ({probe.code})"
    return Ended(f"failed{took}{code}: {one_line(probe.error, 200)}", plain, is_good=False)
