"""A tool called by hand: a form made from its schema, or raw JSON, and what it answered.

Asks before a tool that does not say it only reads. The call is a worker of the app; Escape ends it.
"""

import asyncio
import logging
from collections.abc import Iterator, MutableMapping
from functools import partial
from time import monotonic
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, TextArea
from textual.worker import Worker

from only1mcp_tui.screens.call_fields import FieldBox
from only1mcp_tui.screens.confirm import ConfirmScreen, Question
from only1mcp_tui.screens.working import work_at
from only1mcp_tui.view.call_result import fault_lines, result_lines
from only1mcp_tui.view.json_text import parsed, pretty
from only1mcp_tui.view.numbers import duration
from only1mcp_tui.view.schema_form import (
    Arguments,
    Faults,
    Field,
    Path,
    Read,
    fields_of,
    read,
    read_json,
    texts_of,
)
from only1mcp_tui.view.text import Line, first_line, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from proxy_core.telemetry.tool_detail import ToolDetail

log = logging.getLogger(__name__)


def _as_it_is(line: Line) -> Line:
    return line


def ask_call(tool: ToolDetail) -> Question:
    """Before a tool that may change something."""
    says = (
        "It says that it may destroy something."
        if tool.destructive
        else "It does not say that it only reads, so it may change something."
    )
    return Question(f"Call {safe(tool.name, 80)}?", f"{says} It runs at {safe(tool.server, 40)}, once.", "Call")


class CallScreen(ModalScreen[None]):
    """Fields, then the answer in their place; Escape leads back from one to the other."""

    DEFAULT_CSS = """
    CallScreen .dialog { padding: 0 1; max-width: 96%; height: 90%; }
    CallScreen #call-form { height: 1fr; scrollbar-size-vertical: 1; scrollbar-background: $panel; }
    CallScreen #call-raw { display: none; height: 1fr; border: none; background: $panel; }
    CallScreen #call-result { display: none; }
    CallScreen.-raw #call-form, CallScreen.-answered #call-form { display: none; }
    CallScreen.-raw #call-raw, CallScreen.-answered #call-result { display: block; }
    CallScreen.-answered #call-raw { display: none; }
    CallScreen .buttons { margin: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("f5", "send", "Call"),
        Binding("ctrl+t", "toggle_raw", "Raw JSON"),
    ]

    def __init__(self, control: Control, name: str, memory: MutableMapping[str, dict[str, Any]]) -> None:
        """`memory`: tool -> the arguments that it was called with last; the next ones are put there."""
        super().__init__()
        self._control = control
        self._tool_name = name
        self._memory = memory
        self._tool: ToolDetail | None = None
        self._fields: tuple[Field, ...] | None = ()
        self._call: Worker[None] | None = None
        self._began_at: float | None = None
        """Monotonic; while it runs."""
        self._answer: dict[str, Any] | str | None = None
        self._took_ms = 0.0
        self._fault = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Board(id="call-head")
            yield VerticalScroll(id="call-form", can_focus=False)
            yield TextArea(id="call-raw", show_line_numbers=False, tab_behavior="focus")
            yield LogView[Line](_as_it_is, id="call-result")
            yield Board(id="call-state")
            with Horizontal(classes="buttons"):
                yield Button("Close", id="back", compact=True)
                yield Button("^t  Raw JSON", id="toggle_raw", compact=True)
                yield Button("F5  Call", id="send", compact=True)

    def on_mount(self) -> None:
        self.query_one("#call-raw", TextArea).cursor_blink = False
        self._say()
        work_at(self.app, self._prepare, "call-form")
        self.set_interval(1.0, self._say)

    def on_unmount(self) -> None:
        if self._call is not None:
            self._call.cancel()

    # --- the form -------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        try:
            tool = await self._control.tool(self._tool_name)
        except (Only1Error, OSError) as error:
            self._fault = first_line(str(error), 200)
            self._say()
            return
        if not self.is_attached:
            return
        self._tool = tool
        self._fields = fields_of(parsed(tool.input_schema))
        last = self._memory.get(self._tool_name)
        texts = texts_of(self._fields, last) if self._fields is not None and last is not None else None
        await self.query_one("#call-form").mount_all(self._boxes(texts))
        self.query_one("#call-raw", TextArea).text = pretty(last if last is not None else self._presets())
        if self._fields is None or (last is not None and texts is None):
            self.add_class("-raw")
        self._say()
        self._focus_first()

    def _boxes(self, texts: dict[Path, str] | None) -> Iterator[FieldBox]:
        for field in self._fields or ():
            yield FieldBox(field, field.preset if texts is None else texts.get(field.path, ""))

    def _presets(self) -> Arguments:
        return (
            read(self._fields, {field.path: field.preset for field in self._fields}).arguments
            if self._fields
            else {}
        )

    @property
    def _is_raw(self) -> bool:
        return self.has_class("-raw")

    @property
    def _is_answered(self) -> bool:
        return self.has_class("-answered")

    def _read(self) -> Read:
        if self._is_raw or self._fields is None:
            return read_json(self.query_one("#call-raw", TextArea).text)
        return read(self._fields, {box.field.path: box.text for box in self.query(FieldBox)})

    def _show_faults(self, faults: Faults) -> None:
        self._fault = faults.get((), "")
        wrong = []
        for box in self.query(FieldBox):
            box.fault = faults.get(box.field.path, "")
            wrong += [box] if box.fault else []
        if wrong:
            self._fault = f"{len(wrong)} of the arguments are not right yet." if len(wrong) > 1 else ""
            self.call_after_refresh(wrong[0].focus_input)
        self._say()

    def _focus_first(self) -> None:
        boxes = list(self.query(FieldBox))
        if self._is_answered:
            self.query_one("#call-result").focus()
        elif self._is_raw:
            self.query_one("#call-raw").focus()
        elif boxes:
            boxes[0].focus_input()
        else:
            self.query_one("#send").focus()

    def action_toggle_raw(self) -> None:
        """From the form to JSON with what was typed so far, and back as far as the form can say it."""
        if self._is_answered or self._began_at is not None or self._fields is None:
            return
        if not self._is_raw:
            self.query_one("#call-raw", TextArea).text = pretty(self._read().arguments)
        elif not self._fill_form():
            return
        self.toggle_class("-raw")
        self._show_faults({})
        self.call_after_refresh(self._focus_first)

    def _fill_form(self) -> bool:
        said = self._read()
        texts = texts_of(self._fields or (), said.arguments) if not said.faults else None
        if texts is None:
            self._fault = said.faults.get(
                (), "The form cannot say these arguments; they can be sent as they are."
            )
            self._say()
            return False
        for box in self.query(FieldBox):
            box.text = texts.get(box.field.path, "")
        return True

    # --- the call -------------------------------------------------------------------------------------------

    def action_send(self) -> None:
        if self._tool is None or self._began_at is not None:
            return
        if self._is_answered:
            self._to_form()
            return
        said = self._read()
        self._show_faults(said.faults)
        if not said.faults:
            self._memory[self._tool_name] = said.arguments
            run = partial(self._run, self._tool, said.arguments)
            self._call = work_at(self.app, run, "call", name="call")

    async def _run(self, tool: ToolDetail, arguments: Arguments) -> None:
        if not tool.read_only and not await self.app.push_screen_wait(ConfirmScreen(ask_call(tool))):
            return
        self._began_at = began_at = monotonic()
        self._say()
        answer: dict[str, Any] | str
        try:
            answer = await self._control.call(tool.name, arguments)
        except asyncio.CancelledError:
            self._began_at = None
            self._fault = "Cancelled: the server was told. What it had done by then is done."
            self._say()
            raise
        except (Only1Error, OSError) as error:
            answer = str(error)
        except Exception as error:
            # The boundary of one call: whatever it was, it must not take the screen with it.
            log.exception("the call from the screen failed")
            answer = f"The call could not be made ({type(error).__name__})."
        self._began_at, self._answer = None, answer
        self._took_ms = (monotonic() - began_at) * 1000
        self._show_answer()

    def _show_answer(self) -> None:
        if not self.is_attached:
            return
        self.add_class("-answered")
        self._fault = ""
        self._say()
        self.call_after_refresh(self._draw_answer)

    def _draw_answer(self) -> None:
        view = self.query_one("#call-result", LogView)
        # Not its own: it may have had no place on the screen until now. One cell is for the scrollbar.
        width = self.query_one(".dialog").content_size.width - 1
        if self._answer is None or width < 1:
            return
        lines = (
            fault_lines(self._answer, self._took_ms, width)
            if isinstance(self._answer, str)
            else result_lines(self._answer, self._took_ms, width)
        )
        view.put(lines)
        view.action_top()
        view.focus()

    def on_resize(self) -> None:
        if self._is_answered:
            self.call_after_refresh(self._draw_answer)

    def _to_form(self) -> None:
        self.remove_class("-answered")
        self._say()
        self.call_after_refresh(self._focus_first)

    def action_back(self) -> None:
        """End the call that runs; or from the answer to the form; or leave."""
        if self._began_at is not None and self._call is not None:
            self._call.cancel()
        elif self._is_answered:
            self._to_form()
        else:
            self.dismiss()

    # --- what is said ---------------------------------------------------------------------------------------

    def _say(self) -> None:
        if self.is_attached:
            self.query_one("#call-head", Board).put([((f" Call {safe(self._tool_name, 100)}", "strong"),), ()])
            self.query_one("#call-state", Board).put([self._state()])
            is_running = self._began_at is not None
            self.query_one("#back", Button).label = (
                "Cancel" if is_running else "Back" if self._is_answered else "Close"
            )
            toggle = self.query_one("#toggle_raw", Button)
            toggle.label = "^t  Form" if self._is_raw else "^t  Raw JSON"
            toggle.disabled = is_running or self._is_answered or self._fields is None
            send = self.query_one("#send", Button)
            send.label = "F5  Again" if self._is_answered else "F5  Call"
            send.disabled = self._tool is None or self._began_at is not None

    def _state(self) -> Line:
        if self._began_at is not None:
            since = duration(monotonic() - self._began_at)
            return ((f" ◌ Running for {since}. ", "info"), ("Esc", "key"), (" cancels it.", "muted"))
        if self._fault:
            return ((f" {self._fault}", "bad"),)
        if self._tool is None:
            return ((" Asking the gateway for its schema.", "muted"),)
        if self._is_answered:
            return ((" Esc", "key"), (" back to the arguments", "muted"))
        if self._fields is None:
            return ((" Its schema is more than a form can show: give the arguments as JSON.", "muted"),)
        if not self._fields and not self._is_raw:
            return ((" It takes no arguments.", "muted"),)
        return ()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_send()

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        await self.run_action(str(event.button.id))
