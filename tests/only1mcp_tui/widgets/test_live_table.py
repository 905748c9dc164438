"""The table: the cursor follows its row, and only what changed is painted."""

from textual.app import App, ComposeResult
from textual.geometry import Region

from only1mcp_tui.view.servers import ServerColumn
from only1mcp_tui.widgets.lines import changed_regions
from only1mcp_tui.widgets.live_table import LiveTable, Row

COLUMNS = tuple(
    ServerColumn(key, key.upper(), 8, lambda row, scene: ("", "text"), lambda row: 0, shown_from=shown_from)
    for key, shown_from in (("name", 0), ("value", 0), ("more", 60))
)


def rows(*keys: str, value: str = "0") -> list[Row]:
    return [Row(key, ((key, "text"), (value, "muted"), ("x", "text"))) for key in keys]


class TableApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LiveTable(COLUMNS)

    @property
    def table(self) -> LiveTable:
        return self.query_one(LiveTable)


async def test_the_cursor_follows_its_key() -> None:
    app = TableApp()
    async with app.run_test() as pilot:
        app.table.put(rows("a", "b", "c"))
        await pilot.press("j")
        app.table.put(rows("c", "b", "a"))
        assert app.table.selected == "b"
        app.table.put(rows("b", "c"))
        assert app.table.selected == "b"


async def test_when_its_row_goes_the_cursor_takes_the_one_in_its_place() -> None:
    app = TableApp()
    async with app.run_test() as pilot:
        app.table.put(rows("a", "b", "c"))
        await pilot.press("G")
        app.table.put(rows("a", "b"))
        assert app.table.selected == "b"
        app.table.put([])
        assert app.table.selected is None


async def test_the_cursor_stays_in_sight_of_a_long_table() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.table.put(rows(*(f"row{number}" for number in range(50))))
        await pilot.press("G")
        await pilot.pause()
        assert app.table.selected == "row49"
        assert "row49" in app.table.render_line(9).text
        await pilot.press("pageup", "g")
        await pilot.pause()
        assert "row0" in app.table.render_line(1).text


async def test_a_long_table_scrolls_apart_from_its_cursor() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 10)) as pilot:
        app.table.put(rows(*(f"row{number}" for number in range(50))))
        await pilot.pause()
        app.table.scroll_to(y=5, animate=False)
        await pilot.pause()
        assert "row5" in app.table.render_line(1).text


async def test_only_changed_rows_are_painted() -> None:
    app = TableApp()
    async with app.run_test() as pilot:
        app.table.put(rows("a", "b", "c"))
        await pilot.pause()
        painted: list[Region] = []
        app.table.refresh = lambda *regions, **_: painted.extend(regions)  # type: ignore[method-assign]
        app.table.put([*rows("a"), *rows("b", value="1"), *rows("c")])
        assert painted == [Region(0, 2, 80, 1)]


async def test_columns_come_and_go_with_the_width() -> None:
    app = TableApp()
    async with app.run_test(size=(50, 10)) as pilot:
        assert [column.key for column in app.table.shown] == ["name", "value"]
        await pilot.resize_terminal(70, 10)
        await pilot.pause()
        assert [column.key for column in app.table.shown] == ["name", "value", "more"]


async def test_wide_characters_keep_the_columns_straight() -> None:
    app = TableApp()
    async with app.run_test() as pilot:
        app.table.put([Row("a", (("日本語日本語", "text"), ("end", "text")))])
        await pilot.pause()
        strip = app.table.render_line(1)
        assert strip.cell_length == 80
        assert strip.text.index("end") < strip.text.rindex(" ")


def test_neighbouring_changes_are_one_region() -> None:
    assert changed_regions("abcd", "aXXd", 10) == [Region(0, 1, 10, 2)]
    assert changed_regions("abc", "abcde", 10) == [Region(0, 3, 10, 2)]
    assert changed_regions("abc", "abc", 10) == []
