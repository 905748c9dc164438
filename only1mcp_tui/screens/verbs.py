"""What an operator may do to a server: what is asked first, what is called, what is said after."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from only1mcp_tui import messages
from only1mcp_tui.screens.confirm import Question
from only1mcp_tui.view.numbers import millis, plural
from only1mcp_tui.view.text import safe
from proxy_core.control import Control, DrainOutcome
from proxy_core.telemetry.snapshot import ServerRow


@dataclass(frozen=True, slots=True)
class Verb:
    word: str
    """For the palette: `Drain github`."""
    act: Callable[[Control, str], Awaitable[str]]
    """Do it; the sentence to show when it is done."""
    question: Callable[[ServerRow], Question | None] = lambda row: None


async def _drain(control: Control, server: str) -> str:
    return f"{server} is drained. {_ended(await control.drain(server))}"


async def _disable(control: Control, server: str) -> str:
    return f"{server} is off until you enable it. {_ended(await control.disable(server))}"


async def _undrain(control: Control, server: str) -> str:
    await control.undrain(server)
    return f"{server} takes calls again."


async def _enable(control: Control, server: str) -> str:
    await control.enable(server)
    return f"{server} is on."


async def _restart(control: Control, server: str) -> str:
    await control.restart(server)
    return f"{server} was started again."


async def _probe(control: Control, server: str) -> str:
    probe = await control.probe(server)
    if probe.error is not None:
        return f"{server} did not answer: {safe(probe.error, 200)}"
    return f"{server} answered in {millis(probe.latency_ms)} ms."


def _ended(outcome: DrainOutcome) -> str:
    if not outcome.finished and not outcome.abandoned:
        return "No call was in flight."
    cut = f", {outcome.abandoned} cut off" if outcome.abandoned else ""
    return f"{plural(outcome.finished, 'call')} finished{cut}."


def _leaves_the_lists(row: ServerRow) -> str:
    flying = f"{plural(row.in_flight, 'call')} in flight may finish. " if row.in_flight else ""
    return f"{flying}Its {plural(row.tools, 'tool')} leave the lists, and clients are told."


def _ask_drain(row: ServerRow) -> Question:
    return Question(f"Drain {row.id}?", f"No new calls. {_leaves_the_lists(row)}", "Drain")


def _ask_disable(row: ServerRow) -> Question:
    body = f"It stops until you enable it or we start again. {_leaves_the_lists(row)}"
    return Question(f"Disable {row.id}?", body, "Disable")


def _ask_restart(row: ServerRow) -> Question | None:
    if not row.in_flight:
        return None
    body = f"{plural(row.in_flight, 'call')} in flight may finish first; new ones are refused meanwhile."
    return Question(f"Restart {row.id}?", body, "Restart")


VERBS: dict[type[messages.ServerIntent], Verb] = {
    messages.DrainRequested: Verb("Drain", _drain, _ask_drain),
    messages.UndrainRequested: Verb("Undrain", _undrain),
    messages.DisableRequested: Verb("Disable", _disable, _ask_disable),
    messages.EnableRequested: Verb("Enable", _enable),
    messages.RestartRequested: Verb("Restart", _restart, _ask_restart),
    messages.ProbeRequested: Verb("Probe", _probe),
}


def ask_quit(in_flight: int) -> Question:
    body = f"{plural(in_flight, 'call')} in flight may finish first. Clients lose the gateway."
    return Question("Quit only1mcp?", body, "Quit")
