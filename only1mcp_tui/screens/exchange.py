"""One exchange, full screen: where its time went, what was said on both hops, and how a replay differs."""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.worker import WorkType

from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.exchange_verbs import ExchangeVerbScreen
from only1mcp_tui.view.diff_lines import Compared, compare
from only1mcp_tui.view.exchange_list import ExchangeList
from only1mcp_tui.view.exchange_tabs import ExchangeTab, Page, head_lines, lines_of, tabs_line, tabs_of
from only1mcp_tui.view.exchanges import label_of
from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.search import highlighted, lines_with
from only1mcp_tui.view.text import Line, Span, first_line, safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import Only1Error, UnknownExchange
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow

ROOMY_HEIGHT = 30
"""Lines from which on the tabs stand apart from the head."""


class ExchangeScreen(ExchangeVerbScreen):
    """Keeps what it was given until its row in the list changes; then it asks again."""

    MODE = "requests"
    AUTO_FOCUS = "LogView"
    FILTER_KEYS = frozenset()
    FILTER_HINT = "words to find; Enter, then . and , for the next and the one before"
    HELP = """\
# One request

**[** and **]** turn the tabs, **n** and **p** go to the next and previous request, **Esc** to the list.

- Timeline: who had it when. `█` the server, `▓` the gateway, `░` a queue, `▒` who is asked for input
- Raw: both hops, as they were sent
- Eras: client and server side by side where they speak different ones; `~` marks what differs
- Diff: of a replay, what is different in its answer

**/** finds words in the tab, **.** and **,** go to the next and previous place. **z** gives it more room.

**y** copies it as JSON, **c** as curl, **Y** as Python; **x** writes it to a file. **R** makes it again, \
**E** on another server or replica.
"""

    DEFAULT_CSS = """
    #exchange-state { background: $panel; }
    ExchangeScreen #exchange-head, ExchangeScreen #exchange-tabs { background: $surface; }
    ExchangeScreen.-bare { #title, #banner, #exchange-head { display: none; } }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Find", key_display="/"),
        Binding("right_square_bracket", "turn_tab(1)", "Tabs", key_display="[ ]"),
        Binding("right,l,tab", "turn_tab(1)", "Next tab", show=False),
        Binding("left_square_bracket,left,h,shift+tab", "turn_tab(-1)", "Tab before", show=False),
        Binding("n", "go(1)", "Next", key_display="n p"),
        Binding("p", "go(-1)", "Previous", show=False),
        Binding("full_stop", "find(1)", "Next place", show=False),
        Binding("comma", "find(-1)", "Place before", show=False),
        Binding("m", "mark", "Mark", show=False),
        Binding("z", "maximise", "Whole screen", show=False),
    ]

    def __init__(
        self,
        control: Control,
        picture: Callable[[], Picture],
        exchanges: ExchangeList,
        detail: ExchangeDetail,
        *,
        is_whole: bool = False,
        moved: Callable[[int], None] = lambda id: None,
    ) -> None:
        """`is_whole`: `detail` need not be asked for. `moved` hears which one is shown now."""
        super().__init__(control, picture)
        self._list = exchanges
        self._detail = detail
        self._is_whole = is_whole
        self._moved = moved
        self._compared: Compared | None = None
        self._why_not = ""
        """Why it could not be had."""
        self._tab = "Timeline"
        self._is_asking = False
        self._row: ExchangeRow | None = exchanges.get(detail.row.id) if is_whole else None
        """As the list had it when we asked: when it has another one, we ask again."""
        self._lines: list[Line] = []
        self._lines_key: Hashable = None
        self._places: list[int] = []
        self._place = 0

    def body(self) -> Iterator[Widget]:
        yield Board(id="exchange-state")
        yield Board(id="exchange-head")
        yield Board(id="exchange-tabs")
        yield LogView[Line](self._draw_line, id="exchange-lines")

    @property
    def view(self) -> "LogView[Line]":
        return self.query_one("#exchange-lines", LogView)

    @property
    def chosen(self) -> int | None:
        return self._detail.row.id

    @property
    def exchanges(self) -> ExchangeList:
        return self._list

    def ids_to_export(self) -> Sequence[int]:
        return (self._detail.row.id,)

    # --- having it ------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._ask()

    def _ask(self) -> None:
        """Unless what we have is as new as its row in the list."""
        row = self._list.get(self._detail.row.id)
        is_stale = not self._is_whole or (row is not None and row != self._row)
        if is_stale and not self._is_asking and not self._why_not:
            self._is_asking, self._row = True, row
            self._work_at(partial(self._fetch, self._detail.row.id))

    def _work_at(self, work: WorkType[None]) -> None:
        """Not a coroutine yet: one that the app's end overtakes would never be awaited."""
        self.app.run_worker(work, group="exchange:open", exit_on_error=False)

    async def _fetch(self, id: int) -> None:
        try:
            detail = await self.control.exchange(id)
            if detail.row.id == self._detail.row.id:
                self._detail, self._is_whole = detail, True
                await self._compare_with_original(detail)
        except (Only1Error, OSError) as error:
            self._why_not = first_line(str(error) or type(error).__name__, 300)
        finally:
            self._is_asking = False
        if self.is_mounted and self.app.screen is self:
            self.redraw()

    async def _compare_with_original(self, detail: ExchangeDetail) -> None:
        if detail.replay_of is None or detail.row.duration_ms is None:
            return
        try:
            old = await self.control.exchange(detail.replay_of)
        except UnknownExchange:
            # Too old to be kept: the replay can still be read, without a comparison.
            return
        await self._compare(old, detail)

    async def _compare(self, old: ExchangeDetail, new: ExchangeDetail) -> None:
        """In a thread: answers may be large."""
        compared = await asyncio.to_thread(compare, old, new)
        if new.row.id == self._detail.row.id:
            self._compared = compared

    def open_replay(self, old: ExchangeDetail, new: ExchangeDetail) -> None:
        self._show_other(new, is_whole=True)
        self._tab = "Diff"
        self._work_at(partial(self._show_compared, old, new))

    async def _show_compared(self, old: ExchangeDetail, new: ExchangeDetail) -> None:
        await self._compare(old, new)
        if self.is_mounted and self.app.screen is self:
            self.redraw()

    def _show_other(self, detail: ExchangeDetail, *, is_whole: bool) -> None:
        self._detail, self._is_whole = detail, is_whole
        self._row = self._list.get(detail.row.id)
        self._compared, self._why_not = None, ""
        self.view.action_top()

    # --- drawing --------------------------------------------------------------------------------------------

    def _page(self) -> Page:
        return Page(self._detail, max(20, self.width - 1), self._compared)

    def _tabs(self) -> list[ExchangeTab]:
        return tabs_of(self._page())

    def _tab_now(self) -> ExchangeTab:
        """The chosen one, or the first where it is not there for this exchange."""
        tabs = self._tabs()
        return next((tab for tab in tabs if tab.title == self._tab), tabs[0])

    def draw(self, picture: Picture) -> None:
        self._ask()
        wall = picture.snapshot.wall + picture.now - picture.snapshot.at
        detail, tab = self._detail, self._tab_now()
        head = head_lines(detail, wall, self._list.is_marked(detail.row.id), self.width)
        self.query_one("#exchange-head", Board).put(head)
        tabs = tabs_line(self._tabs(), detail, tab.title, self.width)
        roomy: list[Line] = [()] if self.size.height >= ROOMY_HEIGHT else []
        self.query_one("#exchange-tabs", Board).put([*roomy, tabs])
        key = (detail, tab.title, self.width, self._compared, self._why_not)
        if key != self._lines_key:
            self._lines_key = key
            self._lines = self._made(tab)
            self._search()
            self.view.put(self._lines)

    def _made(self, tab: ExchangeTab) -> list[Line]:
        if self._why_not:
            return [(), ((f"  {self._why_not}", "bad"),)]
        if not self._is_whole:
            return [(), (("  Asking the gateway for it.", "muted"),)]
        return lines_of(tab, self._page())

    def _draw_line(self, line: Line) -> Line:
        return highlighted(line, self.filter_text) if self.filter_text else line

    def state_line(self) -> Line:
        spans: list[Span] = []
        if self.filter_text:
            at = f"{self._place + 1}/{len(self._places)}" if self._places else "nowhere"
            spans.append((f"find: {safe(self.filter_text, 30)} {at}  ", "warn"))
        return *spans, (f"Requests › {label_of(self._detail.row)} ", "muted")

    # --- finding words --------------------------------------------------------------------------------------

    def parse(self, expression: str) -> Filter:
        return Filter()

    def filter_changed(self) -> None:
        self._search()
        self.view.refresh()
        self._go_to_place()

    def _search(self) -> None:
        self._places = lines_with(self._lines, self.filter_text)
        self._place = 0

    def action_find(self, by: int) -> None:
        if self._places:
            self._place = (self._place + by) % len(self._places)
            self._go_to_place()
            self.show_nav()

    def _go_to_place(self) -> None:
        if self._places:
            view = self.view
            top = max(0, self._places[self._place] - view.size.height // 3)
            view.scroll_to(y=top, animate=False, immediate=True)

    # --- keys -----------------------------------------------------------------------------------------------

    def action_turn_tab(self, by: int) -> None:
        titles = [tab.title for tab in self._tabs()]
        self.action_show_tab(titles[(titles.index(self._tab_now().title) + by) % len(titles)])

    def action_show_tab(self, title: str) -> None:
        self._tab = title
        self.view.action_top()
        self.redraw()

    def action_go(self, by: int) -> None:
        """To its neighbour in the list, as the list is sorted and filtered."""
        at = self._list.index_of(self._detail.row.id)
        to = (len(self._list) - 1 if by < 0 else 0) if at is None else at + by
        if not 0 <= to < len(self._list):
            self.notify(
                "That was the last one." if by > 0 else "That was the first one.", markup=False, timeout=2
            )
            return
        row = self._list.at(to)
        self._show_other(ExchangeDetail(row), is_whole=False)
        self._moved(row.id)
        self.redraw()

    def action_mark(self) -> None:
        self._list.mark(self._detail.row.id)
        self.redraw()

    def action_maximise(self) -> None:
        self.toggle_class("-bare")
        self.call_after_refresh(self.redraw)

    def go_back(self) -> bool:
        if not super().go_back():
            self.app.pop_screen()
        return True
