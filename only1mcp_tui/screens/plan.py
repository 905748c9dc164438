"""What a reload would do, before it is done; or every fault of a file that cannot be put in force."""

from enum import StrEnum
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from only1mcp_tui.screens.scrolled import ScrolledDialog, as_it_is
from only1mcp_tui.view.plan import fault_lines, plan_lines, subtitle_lines, title_of
from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import ReloadPlan
from proxy_core.errors import ConfigError

FRAME = 6
"""Lines of the dialog beside head and plan: border, foot and buttons."""


class Answer(StrEnum):
    CANCEL = "cancel"
    APPLY = "apply"
    ROLL_BACK = "roll_back"


class PlanScreen(ScrolledDialog[Answer]):
    """Shows a plan and asks. Asks nobody but the person, and keeps nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('apply')", "Apply"),
        Binding("b", "answer('roll_back')", "Roll back"),
        Binding("n,escape,q", "answer('cancel')", "Cancel"),
    ]
    AUTO_FOCUS = "#cancel"

    def __init__(self, plan: ReloadPlan | ConfigError, can_roll_back: bool, may_change: bool = True) -> None:
        """`may_change` False: it is shown and nothing is asked."""
        super().__init__()
        self._plan = plan
        self._can_apply = may_change and isinstance(plan, ReloadPlan) and not plan.is_empty
        self._can_roll_back = may_change and can_roll_back

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Board(id="plan-head")
            yield LogView(as_it_is, id="plan", classes="scrolled")
            yield Board(id="plan-foot")
            with Horizontal(classes="buttons"):
                yield Button("Cancel" if self._can_apply else "Close", id="cancel", compact=True)
                if self._can_roll_back:
                    yield Button("b  Roll back", id="roll_back", compact=True)
                if self._can_apply:
                    yield Button("y  Apply", id="apply", compact=True)

    def draw(self) -> None:
        view = self.view
        # One cell for the scrollbar, there or not: whether there is one depends on how the lines wrap.
        width = view.container_size.width - 1
        plan = self._plan
        lines = fault_lines(plan, width) if isinstance(plan, ConfigError) else plan_lines(plan, width)
        head = [title_of(plan), *subtitle_lines(plan, width), ()]
        room = max(1, self.size.height - FRAME - len(head))
        view.styles.height = min(len(lines), room)
        view.put(lines)
        self.query_one("#plan-head", Board).put(head)
        self.query_one("#plan-foot", Board).put([(), self._foot(len(lines) > room)])

    def _foot(self, is_long: bool) -> Line:
        scrolls: Line = (("j k", "key"), (" scroll  ", "muted")) if is_long else ()
        has_choice = self._can_apply or self._can_roll_back
        turns: Line = (("Tab", "key"), (" other button  ", "muted")) if has_choice else ()
        return *scrolls, *turns, ("Esc", "key"), (" leave", "muted")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action != "answer":
            return True
        allowed = {Answer.APPLY: self._can_apply, Answer.ROLL_BACK: self._can_roll_back}
        return allowed.get(Answer(str(parameters[0])), True)

    def action_answer(self, answer: str) -> None:
        self.dismiss(Answer(answer))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(Answer(event.button.id or Answer.CANCEL))
