"""Every dialog and every screen that is opened over a main one, and how to get there by keys.

A house is a gateway in which some of them can be opened; an app over it opens one after the other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from only1mcp_tui.app import Only1App
from proxy_core.config.importers import FoundServer
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.telemetry.snapshot import ConfigStatus, LogLine, OpenQuestion, ServerState
from tests.support.changes import changed_control
from tests.support.exchanges import exchanges_control
from tests.support.fake_control import NOW, WALL, FakeControl, row_of
from tests.support.questions import FORM, PAGE
from tests.support.scenes import LONG, WIDE, degraded, healthy
from tests.support.screens import FAULTS, PLAN, pulled, shown, text_of
from tests.support.server_scene import server_control

PAUSES = 400
"""Turns of the loop that words are waited for."""
HOME = Path("/home/ada")


@dataclass(frozen=True, slots=True)
class Opened:
    """One of them: the keys that lead there from Overview, and words that stand on it."""

    name: str
    keys: tuple[str, ...]
    words: str
    is_fresh: bool = False
    """It takes its colours when it is opened."""


@dataclass(frozen=True, slots=True)
class House:
    control: Callable[[], FakeControl]
    opened: tuple[Opened, ...]
    options: Callable[[], Mapping[str, Any]] = field(default=dict)


def _server(name: str) -> ServerConfig:
    return ServerConfig(id=name, transport=StdioTransport(command="npx", args=("-y", f"@example/{name}")))


def found(name: str = "github") -> tuple[FoundServer, ...]:
    """What AI clients have: one to take of each kind, and one of each that cannot be taken."""
    http = ServerConfig(id="github", name=name, transport=HttpTransport(url="https://api.example.com/mcp"))
    url, file = "https://api.example.com/mcp?key=***", HOME / "mcp.json"
    return (
        FoundServer("Claude Desktop", file, name, http, url),
        FoundServer("Cursor", file, "files", _server("files"), "npx -y @example/files"),
        FoundServer("Cursor", file, "github", http, url, is_duplicate=True),
        FoundServer("VS Code", file, name, None, "", "has neither `command` nor `url`"),
        FoundServer("Windsurf", file, "gate", _server("gate"), "http://127.0.0.1:8080/mcp", is_ourselves=True),
    )


def _well() -> FakeControl:
    control = healthy()
    config = ConfigStatus(version=3, can_roll_back=True)
    control.use(drills_allowed=True, questions=(FORM, PAGE), config=config)
    control.plan = PLAN
    return control


def _faulty_file() -> FakeControl:
    """Its file cannot be used, and the question that is open is to visit a page."""
    control = _well()
    control.fault = FAULTS
    control.use(questions=(PAGE,))
    return control


def _long() -> FakeControl:
    """Names as long and as wide as they come, also in what is asked."""
    control = degraded()
    question: OpenQuestion = replace(FORM, server=LONG, client=WIDE * 2, message=f"{WIDE} {'and so on ' * 20}")
    control.use(drills_allowed=True, questions=(question,))
    control.log(LogLine(WALL, "error", LONG, f"{WIDE} {'and so on ' * 60}", ((WIDE, WIDE),)))
    return control


def _draining() -> FakeControl:
    control = healthy()
    draining = ServerState.DRAINING
    control.use(
        row_of("github", draining, in_flight=2, drain_until=NOW + 26.4),
        row_of(LONG, draining, name=WIDE, in_flight=1, drain_until=NOW + 4),
        row_of("search", draining),
        row_of("clock", ServerState.DRAINED),
    )
    return control


async def _endless() -> None:
    await asyncio.Event().wait()


def _hosted() -> Mapping[str, Any]:
    return {"run": _endless, "stop": lambda force: None}


def _importing() -> Mapping[str, Any]:
    return {"discover": found, "write": lambda chosen: "/home/ada/only1mcp.yaml"}


def _importing_wide() -> Mapping[str, Any]:
    return {"discover": lambda: found(WIDE * 2), "write": lambda chosen: "/home/ada/only1mcp.yaml"}


_LONG_NAMED = ("slash", *LONG, "enter")
_TABS = ("timeline", "request", "response", "notifications", "headers", "raw", "eras")

HOUSES: dict[str, House] = {
    "well": House(
        _well,
        (
            Opened("confirm", ("d",), "Drain github?"),
            Opened("confirm-all", ("D",), "Drain all servers?"),
            Opened("drill", ("F",), "Begin the drill"),
            Opened("importing", ("i",), "Import servers"),
            Opened("plan", ("ctrl+r",), "Apply"),
            Opened("question-form", ("a",), "Accept"),
            Opened("palette", ("colon",), "Go to Overview", is_fresh=True),
            Opened("theme", ("t",), "ansi-light", is_fresh=True),
            Opened("help", ("question_mark",), "How the gateway"),
            Opened("names", ("N",), "53 names"),
            Opened("ledger", ("T",), "4,210"),
            Opened("log-level", ("5", "L"), "What the gateway writes"),
            Opened("log-line", ("5", "enter"), "source"),
        ),
        _importing,
    ),
    "faulty": House(
        _faulty_file,
        (
            Opened("plan-faults", ("ctrl+r",), "tols"),
            Opened("question-url", ("a",), "y copies it"),
        ),
    ),
    "long": House(
        _long,
        (
            Opened("confirm", (*_LONG_NAMED, "d"), "Drain a-server"),
            Opened("drill", ("F",), "Begin the drill"),
            Opened("question-form", ("a",), "Accept"),
            Opened("importing", ("i",), "Import servers"),
            Opened("names", ("N",), "names"),
            Opened("log-line", ("5", "enter"), "source"),
        ),
        _importing_wide,
    ),
    "calling": House(
        server_control,
        (
            Opened("call-form", ("2", "right_square_bracket", "l", "g", "c"), "F5  Call"),
            Opened("call-faults", ("f5",), "It is required"),
            Opened("call-raw", ("ctrl+t",), "Form"),
        ),
    ),
    "answered": House(
        server_control,
        (
            Opened("call-question", ("2", "right_square_bracket", "l", "g", "j", "j", "c", "f5"), "It runs at"),
            Opened("call-answer", ("y",), "It answered"),
        ),
    ),
    "approving": House(
        changed_control,
        (
            Opened("approve-changed", ("2", "A"), "1 of 2"),
            Opened("approve-new", ("right_square_bracket",), "2 of 2"),
            Opened("changed-tools", ("escape", "right_square_bracket", "l", "g"), "withheld, changed"),
            Opened("changed-overview", ("escape", "escape", "1"), "2 changed"),
        ),
    ),
    "exchange": House(
        exchanges_control,
        (
            Opened(f"exchange-{_TABS[0]}", ("4", "G", "k", "enter"), "WHAT"),
            *(Opened(f"exchange-{tab}", ("right_square_bracket",), tab.capitalize()) for tab in _TABS[1:]),
            Opened("replay-target", ("E",), "ASK"),
        ),
    ),
    "replay": House(
        exchanges_control,
        (
            Opened("exchange-diff", ("4", "G", "k", "k", "enter", "left_square_bracket"), "removed"),
            Opened("replay-confirm", ("escape", "g", "j", "j", "j", "R"), "Make 8804"),
        ),
    ),
    "closing": House(_draining, (Opened("closing", ("ctrl+q",), "in flight may finish"),), _hosted),
    "welcome": House(
        healthy, (Opened("welcome", (), "Welcome to only1mcp"),), lambda: {"discover": found, "welcomes": True}
    ),
}
"""Those of one house whose keys do not begin on a main screen lead on from the one before."""
STEPPED = frozenset({"calling", "answered", "approving", "exchange", "replay"})


@asynccontextmanager
async def house(name: str, size: tuple[int, int]) -> AsyncIterator[tuple[Only1App, Pilot[None]]]:
    """An app in it, its first picture drawn."""
    kind = HOUSES[name]
    control = kind.control()
    if name == "welcome":
        control.use(demo=True, config_path=None)
    async with shown(control, size, **kind.options()) as (app, pilot):
        yield app, pilot


async def come(app: Only1App, pilot: Pilot[None], wanted: Opened) -> None:
    """Press its keys and wait for its words."""
    for key in wanted.keys:
        await pilot.press(key)
        await pulled(app, pilot)
    await stand(app, pilot, wanted.words)
    app.clear_notifications()
    for typed in (*app.screen.query(Input), *app.screen.query(TextArea)):
        typed.cursor_blink = False
    await pulled(app, pilot)


async def stand(app: Only1App, pilot: Pilot[None], words: str) -> None:
    for _ in range(PAUSES):
        if words in text_of(app):
            return
        await pulled(app, pilot)
    raise AssertionError(f"{words!r} is not there:\n{text_of(app)}")


async def leave(app: Only1App, pilot: Pilot[None]) -> None:
    """Back to Overview, by the keys that a person has."""
    for _ in range(12):
        if len(app.screen_stack) == 1 and app.current_mode == app.DEFAULT_MODE and not app.query("HelpPanel"):
            return
        await pilot.press("escape")
        await pulled(app, pilot)
    raise AssertionError(f"Escape does not lead back:\n{text_of(app)}")
