"""What stands beside the events: as wide as told, the weightiest first, hostile names made safe."""

from msgspec.structs import replace

from only1mcp_tui.view.panels import beside, client_lines, context_lines
from only1mcp_tui.view.text import cells, plain
from proxy_core.telemetry.context_bill import Cost
from tests.support.fake_control import NOW, row_of
from tests.support.screens import CLIENTS


def test_clients_by_their_requests_with_what_they_speak() -> None:
    lines = [plain(line) for line in client_lines(CLIENTS[::-1], NOW, 2)]
    assert lines[0] == "CLIENTS by requests, 1 more"
    assert lines[1].split() == ["claude-code", "◆", "2026-07-28", "812", "2s", "ago"]
    assert lines[2].split() == ["cursor", "◇", "2025-11-25", "94", "41s", "ago"]
    assert len(lines) == 3


def test_nobody_and_nothing_counted_are_said() -> None:
    assert plain(client_lines((), NOW, 5)[1]) == "Nobody has asked yet."
    assert plain(context_lines((row_of("a", tools=3),), 5)[1]) == "Not counted yet."


def test_servers_by_what_their_lists_cost() -> None:
    rows = (row_of("a", tools=1, tokens=Cost(9, 7)), row_of("b", tools=26, tokens=Cost(9, 5100)), row_of("c"))
    lines = [plain(line).split() for line in context_lines(rows, 5)]
    assert lines[1:] == [["b", "26", "tools", "5100", "tokens"], ["a", "1", "tool", "7", "tokens"]]


def test_panels_stand_beside_the_events_whatever_their_length() -> None:
    hostile = replace(CLIENTS[0], name="\x1b[2J" + "日本" * 30)
    panels = [(56, client_lines((hostile,), NOW, 5)), (44, [])]
    lines = beside([(("  EVENTS", "head"),), (("x" * 200, "text"),), ()], panels, 190)
    assert [cells(line) for line in lines] == [190] * 3
    assert all("\x1b" not in span[0] for line in lines for span in line)
