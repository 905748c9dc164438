"""The table over a source: follows its end, keeps what is read in its place, looks only at what is in sight."""

from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Region

from only1mcp_tui.view.servers import ServerColumn
from only1mcp_tui.widgets.live_table import Row
from only1mcp_tui.widgets.source_table import RowSource, SourceTable

COLUMNS = (ServerColumn("name", "NAME", 8, lambda row, scene: ("", "text"), lambda row: 0),)


class TableApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = 0, 0
        self.looked_at = 0
        self.words = "row"

    def compose(self) -> ComposeResult:
        yield SourceTable(COLUMNS)

    @property
    def table(self) -> SourceTable:
        return self.query_one(SourceTable)

    def show(self, first: int, last: int, follows_top: bool | None = False) -> None:
        """Rows `first` to `last`, the newest last."""
        self.first, self.last = first, last
        source = RowSource(last - first + 1, self._row)
        self.table.show(source, self._index_of, follows_top=follows_top)

    def _row(self, index: int) -> Row:
        self.looked_at += 1
        number = self.first + index
        return Row(str(number), ((f"{self.words}{number}", "text"),))

    def _index_of(self, key: str) -> int | None:
        return int(key) - self.first if self.first <= int(key) <= self.last else None

    @property
    def lines(self) -> list[str]:
        return [self.table.render_line(y).text.strip() for y in range(1, self.table.size.height)]


async def test_it_follows_its_end_until_the_cursor_leaves_it() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50)
        await pilot.pause()
        assert app.lines[-1] == "row50"
        await pilot.press("k")
        assert not app.table.is_following
        app.show(1, 80)
        await pilot.pause()
        assert app.table.selected == "49"
        assert app.lines[-1] == "row50"
        await pilot.press("G")
        assert app.table.is_following
        app.show(1, 90)
        await pilot.pause()
        assert app.lines[-1] == "row90"


async def test_what_is_read_stays_on_its_line_when_the_oldest_go() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50)
        await pilot.press("k", "k", "k")
        before = app.lines
        app.show(20, 69)
        await pilot.pause()
        assert app.table.selected == "47"
        assert app.lines == before


async def test_a_row_that_goes_leaves_the_cursor_on_the_line() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50)
        await pilot.press("g")
        app.show(11, 60)
        assert app.table.selected == "11"
        app.show(61, 60)
        assert app.table.selected is None
        app.show(61, 61)
        assert app.table.selected == "61"


async def test_the_newest_first_is_followed_at_the_top() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50, follows_top=True)
        await pilot.pause()
        assert app.table.selected == "1"
        await pilot.press("j")
        assert not app.table.is_following
        await pilot.press("g")
        assert app.table.is_following


async def test_only_rows_in_sight_are_looked_at_and_only_those_that_differ_painted() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 5000)
        await pilot.press("k")
        app.show(1, 5000)
        painted: list[Region] = []
        refresh = app.table.refresh
        app.table.refresh = lambda *regions, **how: (painted.extend(regions), refresh(*regions, **how))[1]  # type: ignore[method-assign, assignment, func-returns-value]
        app.looked_at = 0
        app.show(1, 5100)
        assert app.looked_at < 15
        assert painted == []
        app.words = "changed"
        app.show(1, 5100)
        assert sum(region.height for region in painted) <= 10
        assert painted


async def test_a_click_and_the_pages_move_the_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50)
        await pilot.press("pageup")
        assert app.table.selected == "42"
        await pilot.click(SourceTable, offset=(3, 1))
        await pilot.pause()
        assert app.table.selected == app.lines[0].removeprefix("row")


async def test_the_wheel_looks_back_and_new_rows_do_not_carry_one_away() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.show(1, 50)
        await pilot.pause()
        wheel = events.MouseScrollUp(app.table, 3, 3, 0, -1, 0, False, False, False)
        for _ in range(3):
            app.table.post_message(wheel)
            await pilot.pause()
        assert not app.table.is_following
        await pilot.pause(0.3)
        before = app.lines
        assert "row50" not in before
        app.show(1, 90)
        await pilot.pause()
        assert app.lines == before
