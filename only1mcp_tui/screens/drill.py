"""A fault on purpose at one server or replica: chosen here, begun only if that is confirmed.

The default is to leave things as they are; nothing of it is there unless the configuration allows it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select, Static

from only1mcp_tui import messages
from only1mcp_tui.view.targets import Target, targets_of
from proxy_core.control import Control
from proxy_core.telemetry.snapshot import Snapshot

ASKED = {"delay": ("delay", "for"), "error": ("share", "for"), "kill": ()}
"""What each kind of fault wants to know."""
LONGEST_S = 3600
_WORDS = (
    "Calls to it and its probes are made to fail or wait. Breaker, retries and fallback act as they would. "
    "The drill ends by itself; F ends it at once."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    kind: str
    delay_ms: float = 0.0
    share: float = 1.0
    for_s: float = 60.0


class DrillScreen(ModalScreen[Chosen | None]):
    """None: nothing is begun."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]
    AUTO_FOCUS = "#no"

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def compose(self) -> ComposeResult:
        kills = "its child process" if self._target.row.transport == "stdio" else "its connection"
        with Vertical(classes="dialog -drill"):
            yield Static(f"Fault drill at {self._target.label}", markup=False, classes="dialog-title")
            yield Static(_WORDS, markup=False)
            with Vertical(id="drill-form"):
                with _Line():
                    yield Static("fault", classes="drill-label")
                    yield Select(_choices(kills), value="delay", allow_blank=False, id="kind", compact=True)
                yield from _asked("delay of each call", "delay", "500", "ms")
                yield from _asked("calls that fail", "share", "100", "%")
                yield from _asked("for", "for", "60", "s")
            yield Static("", markup=False, id="drill-fault")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button("Begin the drill", id="yes", compact=True)

    def action_leave(self) -> None:
        self.dismiss(None)

    @on(Select.Changed)
    def _another_kind(self, event: Select.Changed) -> None:
        for name in ("delay", "share", "for"):
            self.query_one(f"#line-{name}").display = name in ASKED[str(event.value)]

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.focus_next()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id != "yes":
            self.dismiss(None)
            return
        try:
            self.dismiss(self._chosen())
        except ValueError as error:
            self.query_one("#drill-fault", Static).update(f"▲ {error}")

    def _chosen(self) -> Chosen:
        """Raises: ValueError, its words for a person."""
        kind = str(self.query_one("#kind", Select).value)
        if kind == "kill":
            return Chosen(kind)
        for_s = self._number("for", "The time", LONGEST_S, "seconds")
        if kind == "delay":
            return Chosen(kind, delay_ms=self._number("delay", "The delay", 600_000, "ms"), for_s=for_s)
        return Chosen(kind, share=self._number("share", "The share", 100, "%") / 100, for_s=for_s)

    def _number(self, id: str, name: str, most: float, unit: str) -> float:
        try:
            number = float(self.query_one(f"#{id}", Input).value)
        except ValueError:
            number = 0.0
        if not 0 < number <= most:
            raise ValueError(f"{name} must be a number above 0, and at most {most:g} {unit}.")
        return number


class _Line(Horizontal):
    DEFAULT_CLASSES = "drill-line"


def _choices(kills: str) -> list[tuple[str, str]]:
    return [
        ("delay every call", "delay"),
        ("fail calls, nothing is sent", "error"),
        (f"kill {kills}, once", "kill"),
    ]


def _asked(label: str, id: str, start: str, unit: str) -> ComposeResult:
    with _Line(id=f"line-{id}"):
        yield Static(label, markup=False, classes="drill-label")
        yield Input(start, id=id, compact=True, max_length=8)
        yield Static(unit, markup=False)


# --- doing --------------------------------------------------------------------------------------------------


async def begin(control: Control, target: Target, chosen: Chosen) -> str:
    await control.drill(
        target.id, chosen.kind, delay_ms=chosen.delay_ms, share=chosen.share, for_s=chosen.for_s
    )
    if chosen.kind == "kill":
        return f"{target.label} was killed; what comes now is what comes after a crash."
    return f"Fault drill at {target.label} for {chosen.for_s:g} s. F ends it."


async def end(control: Control, target: Target) -> str:
    await control.end_drill(target.id)
    return f"The fault drill at {target.label} has ended."


def commands(snapshot: Snapshot, wish: Callable[[Message], object]) -> Iterator[SystemCommand]:
    """For the palette; none where drills are not allowed."""
    if not snapshot.drills_allowed:
        return
    for row in snapshot.servers:
        for target in (Target(row), *targets_of(row)):
            words = (
                f"End the fault drill at {target.label}"
                if target.row.drill
                else f"Fault drill at {target.label} ..."
            )
            what = "Delay, fail or kill on purpose, to see what holds"
            yield SystemCommand(words, what, partial(wish, messages.DrillRequested(target.id)))
