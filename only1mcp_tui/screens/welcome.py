"""What is seen first where there is no configuration yet: what was found, and the three ways on."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import safe
from proxy_core.config.importers import FoundServer

SHOWN = 6
"""Clients that are named."""


class WelcomeScreen(ModalScreen[str]):
    """Ends with `import`, `stay` or `quit`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "answer('import')", "Import"),
        Binding("d,escape,enter", "answer('stay')", "Use the demo"),
        Binding("q", "answer('quit')", "Quit"),
        Binding("left,h", "app.focus_previous", "Other button", show=False),
        Binding("right,l", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, found: Sequence[FoundServer], is_demo: bool, url: str) -> None:
        super().__init__()
        self._found = [each for each in found if each.is_preselected]
        self._is_demo = is_demo
        self._url = url

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Welcome to only1mcp", markup=False, classes="dialog-title")
            yield Static(welcome_text(self._found, self._is_demo, self._url), markup=False)
            with Horizontal(classes="buttons"):
                if self._found:
                    yield Button("i  Import", id="import", compact=True)
                yield Button("d  Use the demo" if self._is_demo else "d  Go on", id="stay", compact=True)
                yield Button("q  Quit", id="quit", compact=True)

    def on_mount(self) -> None:
        self.query_one("#import" if self._found else "#stay").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "answer" or parameters[0] != "import" or bool(self._found)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id or "stay")


def welcome_text(found: Sequence[FoundServer], is_demo: bool, url: str) -> str:
    where = "One gateway for all your MCP servers."
    where += f" Clients connect to {safe(url, 120)}." if url else ""
    state = (
        "There is no configuration yet, so three demo servers run."
        if is_demo
        else "Your configuration is in force."
    )
    counted = Counter(each.client for each in found)
    if not counted:
        ways = "No AI client on this machine has servers to import. only1mcp add adds one."
        return f"{where}\n\n{state}\n\n{ways}"
    named = "\n".join(
        f"  {safe(client, 40)}: {plural(number, 'server')}" for client, number in counted.most_common(SHOWN)
    )
    more = f"\n  and {len(counted) - SHOWN} more" if len(counted) > SHOWN else ""
    return f"{where}\n\n{state}\n\nFound in your AI clients, whose files stay as they are:\n{named}{more}"
