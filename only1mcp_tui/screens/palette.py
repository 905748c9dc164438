"""The palette: every verb on every server, every screen, and what has no key. Knows no panel.

Opened, it offers what is most wanted; typed into, it searches all of it. With 300 servers there are thousands
of commands, so a name is first asked whether it has the letters at all, and only the best are handed on.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider

from only1mcp_tui import messages
from only1mcp_tui.screens import drill
from only1mcp_tui.screens.base import NAMES, CoreScreen
from only1mcp_tui.screens.verbs import VERBS, are_drained
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.targets import Target, targets_of
from only1mcp_tui.view.text import safe
from proxy_core.config.connect import connection, our_program
from proxy_core.telemetry.snapshot import ServerRow, ServerState, Snapshot

MOST_HITS: Final = 40
"""More are not read; the next letter narrows them down."""
STEP: Final = 200
"""Names that are looked at before the loop may go on with calls."""
PACES: Final = (1, 2, 4, 10)
CLIENTS: Final = {
    "claude": "Claude Desktop",
    "claude-code": "Claude Code",
    "cursor": "Cursor",
    "vscode": "VS Code",
    "codex": "Codex",
}


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    hint: str
    run: Callable[[], Any]
    is_offered: bool = True
    """Shown before anything was typed."""


class Commands(Provider):
    """What may be done now, as the palette asks for it."""

    async def startup(self) -> None:
        self._commands = list(commands_of(self.app, self.screen))

    async def discover(self) -> Hits:
        for command in self._commands:
            if command.is_offered:
                yield DiscoveryHit(command.name, command.run, help=command.hint)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        hits: list[tuple[float, Command]] = []
        for number, command in enumerate(self._commands):
            if has_letters(command.name, query) and (score := matcher.match(command.name)) > 0:
                hits.append((score, command))
            if number % STEP == STEP - 1:
                await asyncio.sleep(0)
        hits.sort(key=lambda hit: hit[0], reverse=True)
        for score, command in hits[:MOST_HITS]:
            yield Hit(score, matcher.highlight(command.name), command.run, command.name, command.hint)


def has_letters(name: str, query: str) -> bool:
    """Whether the letters of `query` stand in `name`, in that order: what a match needs at least."""
    name, at = name.casefold(), 0
    for letter in query.casefold():
        at = name.find(letter, at) + 1
        if not at:
            return False
    return True


def commands_of(app: App[Any], screen: object) -> Iterator[Command]:
    """All of them, those of the visible screen first."""
    yield from _of_screen(screen)
    for key, mode, name in NAMES:
        yield Command(f"Go to {name}", f"Key {key}", _action(app, f"switch_mode('{mode}')"))
    yield from _of_app(app)
    if isinstance(screen, CoreScreen):
        snapshot, is_readonly = screen.picture.snapshot, screen.is_readonly
        yield from _of_clients(app, snapshot)
        if not is_readonly:
            yield from _changes(app, snapshot)
        yield Command(
            "Probe all servers", "Ask each now whether it answers", partial(_probe_all, app, snapshot)
        )
        for row in snapshot.servers:
            yield from _of_server(app, row, is_readonly)


def _of_screen(screen: object) -> Iterator[Command]:
    """A screen names its own as (name, hint, what to run)."""
    offered: Callable[[], Iterable[Any]] | None = getattr(screen, "commands", None)
    for name, hint, run, *_ in offered() if callable(offered) else ():
        yield Command(name, hint, run)


def _of_app(app: App[Any]) -> Iterator[Command]:
    yield Command(
        "Names", "Every exposed name, and which clients would refuse it", _action(app, "show('names')")
    )
    yield Command("Context ledger", "What the tools cost a model, in tokens", _action(app, "show('ledger')"))
    yield Command("Theme ...", "Other colours", _action(app, "change_theme"))
    yield Command("Keys and help", "What this screen is for, and its keys", _action(app, "toggle_help"))
    yield Command("Pause the screen", "The gateway goes on", _action(app, "pause"))
    yield Command("Save the screen as SVG", "A picture of what is seen now", partial(_screenshot, app))
    for fps in PACES:
        yield Command(f"Set fps {fps}", "Most repaints a second", _action(app, f"set_fps({fps})"), False)
    yield Command("Welcome", "What was shown first", _action(app, "show('welcome')"), False)
    yield Command("Reload configuration ...", "Show what would change", _action(app, "reload"))
    yield Command("Quit", "Calls in flight may finish", _action(app, "quit"))


def _of_clients(app: App[Any], snapshot: Snapshot) -> Iterator[Command]:
    for client, name in CLIENTS.items() if snapshot.url else ():
        copy = partial(_copy_connection, app, client, snapshot.url)
        yield Command(f"Copy client config for {name}", "What its file needs to reach this gateway", copy)


def _changes(app: App[Any], snapshot: Snapshot) -> Iterator[Command]:
    """What read-only hides."""
    if snapshot.config.can_roll_back:
        hint = "Put the one before the present one in force"
        yield Command("Roll back to the previous configuration", hint, _action(app, "roll_back"))
    name = "Undrain all servers" if are_drained(snapshot.servers) else "Drain all servers"
    hint = "No new calls anywhere, or calls again everywhere"
    yield Command(name, hint, partial(app.post_message, messages.DrainAllRequested()))
    clear = partial(app.post_message, messages.ClearCacheRequested("*"))
    yield Command("Clear every cache", "Drop all kept answers; lists are read again", clear)
    yield Command("Set the gateway's log level ...", "Until the next reload", _action(app, "set_level"))
    if snapshot.questions:
        yield Command("Answer a server's question", "The oldest that is open", _action(app, "answer"))
    for name, hint, run, *_ in drill.commands(snapshot, app.post_message):
        yield Command(name, hint, run, False)
    wish = partial(app.post_message, messages.ImportRequested())
    yield Command("Import servers ...", "Those that your AI clients already have", wish)


def _of_server(app: App[Any], row: ServerRow, is_readonly: bool) -> Iterator[Command]:
    opens = partial(app.post_message, messages.ServerOpened(row.id))
    yield Command(f"Open {safe(row.name, 80)}", f"The server {safe(row.id, 80)} in full", opens, False)
    if row.changed and not is_readonly:
        wish = partial(app.post_message, messages.ApprovalRequested(row.id))
        hint = f"What is different in {plural(row.changed, 'tool')}, to be approved"
        yield Command(f"Approve changes of {safe(row.name, 80)} ...", hint, wish)
    if row.login and not is_readonly:
        wish = partial(app.post_message, messages.LoginRequested(row.id))
        hint = "With your browser, so that the gateway may use it"
        yield Command(f"Log in at {safe(row.name, 80)} ...", hint, wish)
    for target in (Target(row), *targets_of(row)):
        what = "server" if target.replica is None else "replica"
        for intent, verb in VERBS.items():
            if not is_readonly or intent is messages.ProbeRequested:
                wish = partial(app.post_message, intent(target.id))
                hint = f"{verb.word} the {what} {target.label}"
                yield Command(f"{verb.word} {target.label}", hint, wish, False)


# --- what has no key ----------------------------------------------------------------------------------------


def _action(app: App[Any], action: str) -> Callable[[], Any]:
    return partial(app.call_later, app.run_action, f"app.{action}")


def _screenshot(app: App[Any]) -> None:
    # When the palette itself is gone from the picture.
    app.set_timer(0.1, _action(app, "screenshot"))


def _probe_all(app: App[Any], snapshot: Snapshot) -> None:
    for row in snapshot.servers:
        if row.state is not ServerState.DISABLED:
            app.post_message(messages.ProbeRequested(row.id))


def _copy_connection(app: App[Any], client: str, url: str) -> None:
    wanted = connection(client, url, Path.home(), sys.platform, our_program())
    app.copy_to_clipboard(wanted.snippet)
    app.notify(f"Copied; it belongs into {safe(str(wanted.path), 200)}. {wanted.note}".rstrip(), markup=False)
