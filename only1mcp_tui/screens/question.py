"""A server's question that its client cannot be asked: shown in full, and answered by whoever sits here.

Pages are shown as text and never opened. Leaving the dialog answers nothing: the question stays open.
"""

from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Select, Static

from only1mcp_tui import messages
from only1mcp_tui.screens.base import Picture
from only1mcp_tui.view.elicitation_form import (
    NAME_LIMIT,
    SECRET_WARNING,
    WHERE_IT_GOES,
    Given,
    done_words,
    fields_of,
    filled,
    head_lines,
    hint_of,
    label_of,
    message_of,
    title_of,
    why_not,
)
from only1mcp_tui.view.text import safe
from only1mcp_tui.widgets.board import Board
from proxy_core.control import Control
from proxy_core.errors import InvalidParams
from proxy_core.forms import FormField
from proxy_core.telemetry.snapshot import OpenQuestion

URL_LIMIT = 4096
FRAME = 14
"""Lines of the dialog beside the message and the form."""
CHOICES_SHOWN = 6
"""Lines of a list of which several may be chosen."""


class QuestionScreen(ModalScreen[Given | None]):
    """None: left as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "later", "Later"),
        Binding("y", "copy", "Copy the address", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False, priority=True),
        Binding("pageup", "page(-1)", "Page up", show=False, priority=True),
    ]
    AUTO_FOCUS = ""

    def __init__(self, question: OpenQuestion, now: float, others: int = 0) -> None:
        super().__init__()
        self._question = question
        self._others = others
        self._now = now
        self._is_open = True
        self._fault = ""
        try:
            self._fields = fields_of(question)
        except InvalidParams as error:
            self._fields, self._fault = (), why_not(error)

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical(classes="dialog -question"):
            yield Static(title_of(question, self._others), markup=False, classes="dialog-title")
            yield Board(id="question-head")
            with VerticalScroll(id="question-body", can_focus=False):
                yield Static(message_of(question), markup=False, id="question-message")
                if question.mode == "url":
                    yield Static(safe(question.url, URL_LIMIT), markup=False, id="question-url")
                    yield Static("y copies it. Visit it only if you trust this server.", classes="hint")
                for number, field in enumerate(self._fields):
                    yield from _field_widgets(number, field)
            yield Static(self._fault or WHERE_IT_GOES, markup=False, id="question-foot")
            with Horizontal(classes="buttons"):
                yield Button("Esc  Later", id="later", compact=True)
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Decline", id="decline", compact=True)
                yield Button("Accept", id="accept", compact=True, disabled=bool(self._fault))

    def on_mount(self) -> None:
        first = self.query(".field").first() if self._fields else self.query_one("#later")
        first.focus()
        self.call_after_refresh(self._draw_head)

    def on_resize(self) -> None:
        # The buttons stay in sight, however long the form is.
        self.query_one("#question-body").styles.max_height = max(3, self.size.height - FRAME)
        self.call_after_refresh(self._draw_head)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A field comes into sight with its name, which stands above it."""
        body = self.query_one("#question-body")
        if event.widget in body.children:
            name = body.children[body.children.index(event.widget) - 1]
            self.call_after_refresh(name.scroll_visible, animate=False, immediate=True)

    def show(self, picture: Picture) -> None:
        """A new picture: the time goes on, and somebody else may have answered."""
        self._now = picture.now
        self._is_open = any(each.id == self._question.id for each in picture.snapshot.questions)
        self._draw_head()

    def _draw_head(self) -> None:
        for board in self.query("#question-head").results(Board):
            board.put(head_lines(self._question, self._now, self._is_open))

    # --- deciding -------------------------------------------------------------------------------------------

    def action_later(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        if self._question.mode == "url":
            self.post_message(messages.CopyRequested(safe(self._question.url, URL_LIMIT)))

    def action_page(self, pages: int) -> None:
        body = self.query_one("#question-body")
        body.scroll_relative(y=pages * max(1, body.size.height - 1), animate=False)

    @on(Input.Submitted)
    def _entered(self) -> None:
        # Enter goes on to the next field, and sends nothing.
        self.focus_next()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        match event.button.id:
            case "accept":
                self._accept()
            case "decline" | "cancel" as action:
                self.dismiss(Given(action))
            case _:
                self.dismiss(None)

    def _accept(self) -> None:
        if self._question.mode == "url":
            self.dismiss(Given("accept"))
            return
        try:
            content = filled(self._fields, self._typed())
        except InvalidParams as error:
            self.query_one("#question-foot", Static).update(Text(why_not(error)))
            return
        self.dismiss(Given("accept", content))

    def _typed(self) -> dict[str, object]:
        return {field.name: _value_of(self.query_one(f"#field-{n}")) for n, field in enumerate(self._fields)}


def _field_widgets(number: int, field: FormField) -> ComposeResult:
    yield Static(label_of(field), markup=False, classes="label")
    yield _input_of(field, f"field-{number}")
    if hint := hint_of(field):
        yield Static(hint, markup=False, classes="hint")
    if field.looks_secret:
        yield Static(SECRET_WARNING, markup=False, classes="warning")


def _input_of(field: FormField, id: str) -> Widget:
    match field.kind:
        case "boolean":
            return _select([("yes", True), ("no", False)], field.default, id)
        case "choice":
            choices = [(title, value) for value, title in field.choices]
            return _select(choices, field.default, id)
        case "choices":
            return Several(field, id)
    start = "" if field.default is None else safe(str(field.default), 2000)
    return Input(start, id=id, classes="field", compact=True, password=field.looks_secret)


def _select(choices: list[tuple[str, Any]], default: object, id: str) -> Widget:
    """Nothing chosen is a choice too: a field that is left out."""
    options = [(Text(safe(title, NAME_LIMIT)), value) for title, value in choices]
    start = Select.NULL if default is None else default
    return Select(options, value=start, prompt="nothing chosen", id=id, classes="field", compact=True)


class Several(OptionList):
    """Choices of which any number may be made; Textual's own tells them apart by colour alone."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "select", "Choose", show=False)]

    def __init__(self, field: FormField, id: str) -> None:
        self._values = field.choices
        self._taken = set(field.default) if isinstance(field.default, list) else set()
        rows = [self._row(number) for number in range(len(field.choices))]
        super().__init__(*rows, id=id, classes="field", compact=True)
        self.styles.height = min(CHOICES_SHOWN, len(rows))

    @property
    def chosen(self) -> list[str]:
        return [value for value, _ in self._values if value in self._taken]

    def _row(self, number: int) -> Text:
        value, title = self._values[number]
        return Text(f"[{'x' if value in self._taken else ' '}] {safe(title, NAME_LIMIT)}")

    @on(OptionList.OptionSelected)
    def _turn(self, event: OptionList.OptionSelected) -> None:
        self._taken ^= {self._values[event.option_index][0]}
        self.replace_option_prompt_at_index(event.option_index, self._row(event.option_index))


def _value_of(widget: Widget) -> object:
    if isinstance(widget, Input):
        return widget.value
    if isinstance(widget, Select):
        return None if widget.is_blank() else widget.value
    assert isinstance(widget, Several)
    return widget.chosen


async def give(control: Control, question: OpenQuestion, given: Given) -> str:
    """Do it; the sentence to show when it is done."""
    await control.answer(question.id, given.action, given.content)
    return done_words(question, given.action)
