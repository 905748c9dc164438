"""What a reload would do, or why it cannot be done, as lines; and what one has done, as a sentence."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, Span, fit, safe, wrap
from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import ConfigError, ConfigProblem

ID, ID_NARROW, NARROW = 20, 14, 80
"""Cells of a server's id, the same where lines are short, and from which width on they are not."""
ACTION = 11
ENDING = (Action.REPLACE, Action.DRAIN)
"""After these the old one goes, as soon as what it is doing is over."""
PROBLEMS_SHOWN = 100
SERVERS_SHOWN = 500
KEYS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mark:
    glyph: str
    role: str
    past: str
    """What was done: `2 added`."""


MARKS: dict[Action, Mark] = {
    Action.ADD: Mark("+", "good", "added"),
    Action.START: Mark(">", "good", "started"),
    Action.UPDATE: Mark("~", "info", "updated"),
    Action.REPLACE: Mark("⇄", "warn", "replaced"),
    Action.DRAIN: Mark("-", "bad", "drained"),
    Action.KEEP: Mark("=", "muted", "kept"),
}


def plan_lines(plan: ReloadPlan, width: int) -> list[Line]:
    """Server by server what happens, then the other keys; what stays as it is is only counted."""
    if plan.is_empty:
        return [((" Nothing would change.", "text"),)]
    moving = [server for server in plan.servers if server.action is not Action.KEEP]
    lines: list[Line] = []
    for server in moving[:SERVERS_SHOWN]:
        lines += _server_lines(server, width)
    if len(moving) > SERVERS_SHOWN:
        lines.append(((f" and {plural(len(moving) - SERVERS_SHOWN, 'server')} more", "muted"),))
    if kept := len(plan.servers) - len(moving):
        lines.append((_action(Action.KEEP), (plural(kept, "server"), "muted")))
    if plan.settings:
        lines += [(), *_keys("Other keys", plan.settings, "accent", width)]
    if plan.restart:
        lines += [(), *_keys("After a restart of the gateway only", plan.restart, "warn", width)]
    return lines


def _server_lines(server: PlannedServer, width: int) -> Iterator[Line]:
    is_split = _is_split(server)
    touched = "" if is_split else _touched(server.in_flight, server.sessions, server.action)
    id_cells = _id_cells(width)
    indent = " " * (ACTION + id_cells + 2)
    room = max(12, width - len(indent) - 1)
    told = [(part, "text") for part in wrap(_joined(server.changed), room)]
    told += [(part, "accent") for part in wrap(touched, room)]
    first = told[0] if told else ("", "text")
    yield _action(server.action), (fit(safe(server.id, 80), id_cells) + " ", "strong"), first
    for span in told[1:]:
        yield (indent, "text"), span
    if not is_split:
        return
    for number, replica in enumerate(server.replicas):
        yield from _replica_lines(replica, number == len(server.replicas) - 1, width)


def _is_split(server: PlannedServer) -> bool:
    """Whether its replicas fare differently, so that each is told of."""
    return any(replica.action is not server.action for replica in server.replicas) and len(server.replicas) > 1


def _replica_lines(replica: PlannedReplica, is_last: bool, width: int) -> Iterator[Line]:
    mark, id_cells = MARKS[replica.action], _id_cells(width)
    action = f"{mark.glyph} {replica.action}  "
    indent = " " * (ACTION + id_cells + 2 + len(action))
    touched = _touched(replica.in_flight, replica.sessions, replica.action)
    first, *others = wrap(touched, max(12, width - len(indent) - 1)) or [""]
    yield (
        (" " * (1 + ACTION) + ("└ " if is_last else "├ "), "muted"),
        (fit(safe(replica.id, 80), id_cells - 1), "text"),
        (action, mark.role),
        (first, "accent"),
    )
    for part in others:
        yield (indent, "text"), (part, "accent")


def _id_cells(width: int) -> int:
    return ID if width >= NARROW else ID_NARROW


def _action(action: Action) -> Span:
    mark = MARKS[action]
    return fit(f" {mark.glyph} {action}", ACTION + 1), mark.role


def _touched(in_flight: int, sessions: int, action: Action) -> str:
    """Who feels it: calls that are running and connections of single clients."""
    if not in_flight and not sessions:
        return ""
    named = [plural(in_flight, "call") + " in flight"] if in_flight else []
    named += [plural(sessions, "session")] if sessions else []
    if action in ENDING:
        return f"{' and '.join(named)} may finish"
    return f"{' and '.join(named)} {'stays' if in_flight + sessions == 1 else 'stay'}"


def _keys(title: str, keys: Sequence[str], role: str, width: int) -> Iterator[Line]:
    yield ((f" {title}", "head"),)
    for part in wrap(_joined(keys), max(12, width - 4)):
        yield ((f"   {part}", role),)


def _joined(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""
    return ", ".join(safe(key, 120) for key in keys[:KEYS_SHOWN]) + more


def fault_lines(error: ConfigError, width: int) -> list[Line]:
    """Every fault with its place."""
    room = max(12, width - 4)
    lines: list[Line] = [((f" {part}", "muted"),) for part in wrap(safe(error.path), room)]
    for problem in error.problems[:PROBLEMS_SHOWN]:
        lines += [(), *_problem_lines(problem, PurePath(error.path).name, room)]
    if (more := len(error.problems) - PROBLEMS_SHOWN) > 0:
        lines += [(), ((f" and {plural(more, 'fault')} more", "muted"),)]
    return lines


def _problem_lines(problem: ConfigProblem, file: str, room: int) -> Iterator[Line]:
    place = safe(file, 60) if problem.line is None else f"{safe(file, 60)}:{problem.line}"
    yield (" ✖ ", "bad"), (place, "accent"), (f"  {safe(problem.key, 120)}", "strong")
    for part in wrap(safe(problem.message), room):
        yield ((f"   {part}", "text"),)


def title_of(plan: ReloadPlan | ConfigError) -> Line:
    if isinstance(plan, ConfigError):
        found = plural(len(plan.problems), "fault")
        return (("The configuration cannot be used: ", "strong"), (found, "bad"))
    return (("Reload the configuration?", "strong"),)


def subtitle_lines(plan: ReloadPlan | ConfigError, width: int) -> list[Line]:
    """What it comes to."""
    if isinstance(plan, ConfigError):
        words = "What is in force stays in force."
    else:
        words = " ".join((_counted(plan.servers) or "There are no servers.", *_felt(plan.servers)))
    return [((part, "muted"),) for part in wrap(words, width)]


def _counted(servers: Iterable[PlannedServer]) -> str:
    actions = [server.action for server in servers]
    counts = [(action, actions.count(action)) for action in MARKS]
    words = [f"{number} {action}" for action, number in counts if number]
    return ", ".join(words) + "." if words else ""


def _felt(servers: Sequence[PlannedServer]) -> Iterator[str]:
    parts = [part for server in servers for part in (server.replicas if _is_split(server) else (server,))]
    ending = [part for part in parts if part.action in ENDING]
    calls, sessions = sum(part.in_flight for part in ending), sum(part.sessions for part in ending)
    if calls or sessions:
        yield f"{plural(calls, 'call')} in flight and {plural(sessions, 'session')} may finish on the old one."


def done_words(plan: ReloadPlan, is_rollback: bool = False) -> str:
    """For the toast: what has been put in force, by name as far as there are few."""
    what = "The earlier configuration is in force" if is_rollback else "The configuration is in force"
    if plan.is_empty:
        return f"{what}; nothing changed."
    parts = [_named(mark.past, plan.ids(action)) for action, mark in MARKS.items() if action is not Action.KEEP]
    kept = len(plan.ids(Action.KEEP))
    words = [part for part in parts if part] + ([f"{kept} kept"] if kept else [])
    words += [f"{plural(len(plan.settings), 'other key')} changed"] if plan.settings else []
    late = f" After a restart of the gateway only: {_joined(plan.restart[:4])}." if plan.restart else ""
    return f"{what}: {'; '.join(words)}.{late}" if words else f"{what}.{late}"


def _named(past: str, ids: Sequence[str]) -> str:
    if not ids:
        return ""
    return f"{past} {_joined(ids)}" if len(ids) <= 3 else f"{past} {plural(len(ids), 'server')}"
