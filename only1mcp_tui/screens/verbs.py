"""What an operator may do to a server or a replica: what is asked first, what is called, what is said after."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from only1mcp_tui import messages
from only1mcp_tui.screens.confirm import Question
from only1mcp_tui.view.numbers import latency, plural
from only1mcp_tui.view.targets import DRAINED, Target
from only1mcp_tui.view.text import first_line, safe
from proxy_core.control import AbandonedCall, Control, DrainOutcome
from proxy_core.telemetry.snapshot import ServerRow, ServerState

ABANDONED_SHOWN = 3
"""Calls that a toast names; it is read in passing."""
NAMED_SIBLINGS = 3


@dataclass(frozen=True, slots=True)
class Verb:
    word: str
    """For the palette: `Drain github`."""
    act: Callable[[Control, str], Awaitable[str]]
    """Do it to the server or replica of this name; the sentence to show when it is done."""
    question: Callable[[Target], Question | None] = lambda target: None


async def _drain(control: Control, target: str) -> str:
    return f"{safe(target, 80)} is drained. {_ended(await control.drain(target))}"


async def _disable(control: Control, target: str) -> str:
    return f"{safe(target, 80)} is off until you enable it. {_ended(await control.disable(target))}"


async def _undrain(control: Control, target: str) -> str:
    await control.undrain(target)
    return f"{safe(target, 80)} takes calls again."


async def _enable(control: Control, target: str) -> str:
    await control.enable(target)
    return f"{safe(target, 80)} is on."


async def _restart(control: Control, target: str) -> str:
    await control.restart(target)
    return f"{safe(target, 80)} was started again."


async def _probe(control: Control, target: str) -> str:
    probe = await control.probe(target)
    if probe.error is not None:
        return f"{safe(target, 80)} did not answer: {first_line(probe.error, 200)}"
    return f"{safe(target, 80)} answered in {latency(probe.latency_ms)}."


async def _clear_cache(control: Control, target: str) -> str:
    if target == "*":
        return f"{plural(await control.clear_cache(), 'kept answer')} dropped."
    server = target.partition("/")[0]
    return f"{plural(await control.clear_cache(server), 'kept answer')} of {safe(server, 80)} dropped."


def _ended(*outcomes: DrainOutcome) -> str:
    finished = sum(outcome.finished for outcome in outcomes)
    abandoned = sum(outcome.abandoned for outcome in outcomes)
    if not finished and not abandoned:
        return "No call was in flight."
    cut = [call for outcome in outcomes for call in outcome.calls]
    named = f", {abandoned} cut off{_calls(cut, abandoned)}" if abandoned else ""
    return f"{plural(finished, 'call')} finished{named}."


def _calls(cut: Sequence[AbandonedCall], abandoned: int) -> str:
    """Those that were abandoned, by our id and the server's name of the tool."""
    if not cut:
        return ""
    shown = [f"{safe(call.target or call.method, 60)} ({safe(call.id, 24)})" for call in cut[:ABANDONED_SHOWN]]
    more = max(abandoned, len(cut)) - len(shown)
    return f": {', '.join(shown)}{f' and {more} more' if more else ''}"


def _in_flight(number: int, then: str) -> str:
    return f"{plural(number, 'call')} in flight may finish{then}. " if number else ""


def _what_leaves(target: Target) -> str:
    """Who still serves when this one does not, and what clients lose."""
    flying = _in_flight(target.row.in_flight, "")
    if siblings := target.siblings:
        ids = [safe(each.id, 40) for each in siblings]
        shown = ", ".join(ids[:NAMED_SIBLINGS])
        if len(ids) > NAMED_SIBLINGS:
            shown += f" and {len(ids) - NAMED_SIBLINGS} more"
        return f"{flying}{shown} still {'serves' if len(ids) == 1 else 'serve'} {safe(target.server.id, 80)}."
    alone = "No other replica serves. " if target.replica is not None else ""
    return f"{flying}{alone}Its {plural(target.row.tools, 'tool')} leave the lists, and clients are told."


def _ask_drain(target: Target) -> Question:
    return Question(f"Drain {target.label}?", f"No new calls. {_what_leaves(target)}", "Drain")


def _ask_disable(target: Target) -> Question:
    body = f"It stays off until you enable it or the gateway starts again. {_what_leaves(target)}"
    return Question(f"Disable {target.label}?", body, "Disable")


def _ask_restart(target: Target) -> Question | None:
    if not target.row.in_flight:
        return None
    where = "its other replicas take new ones" if target.siblings else "new ones are refused"
    body = f"{plural(target.row.in_flight, 'call')} in flight may finish first; {where} meanwhile."
    return Question(f"Restart {target.label}?", body, "Restart")


VERBS: dict[type[messages.ServerIntent], Verb] = {
    messages.DrainRequested: Verb("Drain", _drain, _ask_drain),
    messages.UndrainRequested: Verb("Undrain", _undrain),
    messages.DisableRequested: Verb("Disable", _disable, _ask_disable),
    messages.EnableRequested: Verb("Enable", _enable),
    messages.RestartRequested: Verb("Restart", _restart, _ask_restart),
    messages.ProbeRequested: Verb("Probe", _probe),
    messages.ClearCacheRequested: Verb("Clear the cache of", _clear_cache),
}


# --- all of them at once ------------------------------------------------------------------------------------


def switched_on(servers: Sequence[ServerRow]) -> list[ServerRow]:
    return [row for row in servers if row.state is not ServerState.DISABLED]


def are_drained(servers: Sequence[ServerRow]) -> bool:
    """Whether there is nothing left to drain, so that the same key puts them back."""
    on = switched_on(servers)
    return bool(on) and all(row.state in DRAINED for row in on)


def ask_all(servers: Sequence[ServerRow]) -> Question:
    on = switched_on(servers)
    if are_drained(servers):
        return Question("Undrain all servers?", f"{plural(len(on), 'server')} take calls again.", "Undrain all")
    flying = _in_flight(sum(row.in_flight for row in on), "")
    body = f"No new calls to any server. {flying}Every tool leaves the lists, and clients are told."
    return Question("Drain all servers?", body, "Drain all")


async def turn_all(control: Control, servers: Sequence[ServerRow]) -> str:
    """Drain all that are switched on, or put them all back; what came of it.

    A server that fails keeps none of the others from it. Raises: what the first one failed with, after all.
    """
    on = [row.id for row in switched_on(servers)]
    if are_drained(servers):
        _raise_first(await asyncio.gather(*map(control.undrain, on), return_exceptions=True))
        return f"{plural(len(on), 'server')} take calls again."
    ends = await asyncio.gather(*map(control.drain, on), return_exceptions=True)
    _raise_first(ends)
    outcomes = [end for end in ends if isinstance(end, DrainOutcome)]
    return f"{plural(len(outcomes), 'server')} drained. {_ended(*outcomes)}"


def _raise_first(ends: Sequence[object]) -> None:
    for end in ends:
        if isinstance(end, BaseException):
            raise end


# --- the whole gateway --------------------------------------------------------------------------------------


def ask_quit(in_flight: int) -> Question:
    body = f"{plural(in_flight, 'call')} in flight may finish first. Clients lose the gateway."
    return Question("Quit only1mcp?", body, "Quit")


def ask_rollback(version: int) -> Question:
    body = f"The configuration before this one (cfg {version}) comes in force again. The file is not changed."
    return Question("Roll back the configuration?", body, "Roll back")
