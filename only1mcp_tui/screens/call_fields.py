"""One argument of the form: its name and type, what it is for, where it is typed, and what is wrong with it."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Select, TextArea

from only1mcp_tui.view.schema_form import Field, FieldKind, choice_words
from only1mcp_tui.view.text import Line, safe, safe_lines
from only1mcp_tui.widgets.board import Board

HINT_LINES = 2
HINT_LIMIT = 300
AS_JSON = (FieldKind.LIST, FieldKind.OBJECT, FieldKind.JSON)
KIND_WORDS = {
    FieldKind.TEXT: "text",
    FieldKind.INTEGER: "whole number",
    FieldKind.NUMBER: "number",
    FieldKind.BOOLEAN: "true or false",
    FieldKind.CHOICE: "one of a set",
    FieldKind.LIST: "list, as JSON",
    FieldKind.OBJECT: "object, as JSON",
    FieldKind.JSON: "JSON",
}


class FieldBox(Vertical):
    DEFAULT_CSS = """
    FieldBox { height: auto; margin: 0 0 1 0; }
    FieldBox Input { border: none; height: 1; padding: 0 1 !important; background: $panel; }
    FieldBox Input:focus { border: none; background: $primary 25%; }
    FieldBox Select { padding: 0 1; background: $panel; }
    FieldBox TextArea { border: none; height: 3; background: $panel; padding: 0 1; }
    FieldBox TextArea:focus { border: none; background: $primary 25%; }
    """

    def __init__(self, field: Field, text: str) -> None:
        super().__init__()
        self.field = field
        self._text = text
        self._fault = ""

    def compose(self) -> ComposeResult:
        yield Board(classes="field-head")
        yield self._input()
        yield Board(classes="field-fault")

    def _input(self) -> "Input | Select[str] | TextArea":
        field, text = self.field, self._text
        if field.kind in AS_JSON:
            return TextArea(text, show_line_numbers=False, tab_behavior="focus")
        if field.kind in (FieldKind.BOOLEAN, FieldKind.CHOICE):
            choices = ("true", "false") if field.kind is FieldKind.BOOLEAN else field.choices
            options = [(Content(safe(choice_words(choice), 80)), choice) for choice in choices]
            if text in choices:
                return Select(options, value=text, prompt="not given", compact=True)
            return Select(options, prompt="not given", compact=True)
        return Input(text, compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        for line in self.query(Input):
            line.cursor_blink = False
        for area in self.query(TextArea):
            area.cursor_blink = False
        self.query_one(".field-head", Board).put(self._head())

    def _head(self) -> list[Line]:
        field = self.field
        need: Line = ((" required", "warn"),) if field.is_required else ()
        lines: list[Line] = [
            ((f" {safe(field.label, 80)}", "accent"), (f"  {KIND_WORDS[field.kind]} ", "muted"), *need)
        ]
        return lines + [
            ((f" {line}", "muted"),)
            for line in safe_lines(field.hint, HINT_LIMIT, most=HINT_LINES)
            if line.strip()
        ]

    def on_descendant_focus(self) -> None:
        self._come_into_sight()

    def focus_input(self) -> None:
        self.query_one("Input, Select, TextArea").focus(scroll_visible=False)
        self._come_into_sight()

    def _come_into_sight(self) -> None:
        """With its name, not only the line that is typed into; once what is said below it has its place."""
        self.call_after_refresh(self.scroll_visible, animate=False, immediate=True)

    @property
    def text(self) -> str:
        """What stands in it; empty: it is not given."""
        for widget in self.query("Input, Select, TextArea"):
            match widget:
                case Input():
                    return widget.value
                case TextArea():
                    return widget.text
                case Select():
                    return str(widget.value) if widget.value is not Select.NULL else ""
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        for widget in self.query("Input, Select, TextArea"):
            match widget:
                case Input():
                    widget.value = text
                case TextArea():
                    widget.text = text
                case Select() if text:
                    widget.value = text
                case Select():
                    widget.clear()

    @property
    def fault(self) -> str:
        return self._fault

    @fault.setter
    def fault(self, sentence: str) -> None:
        self._fault = sentence
        lines: list[Line] = [((f" ✖ {safe(sentence, 200)}", "bad"),)] if sentence else []
        self.query_one(".field-fault", Board).put(lines)
