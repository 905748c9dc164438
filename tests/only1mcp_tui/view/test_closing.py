"""What is said between the wish to quit and the end."""

import pytest

from only1mcp_tui.view.closing import SERVERS_SHOWN, closing_lines
from only1mcp_tui.view.text import plain
from proxy_core.telemetry.snapshot import ServerRow, ServerState
from tests.support.fake_control import NOW, row_of, snapshot_of

DRAINING = ServerState.DRAINING
ROWS = (
    row_of("files", DRAINING, in_flight=1, drain_until=NOW + 4.2),
    row_of("search", DRAINING, in_flight=2, drain_until=NOW + 26.8),
    row_of("clock", ServerState.DRAINED),
    row_of("notes", DRAINING),
)


def told(rows: tuple[ServerRow, ...], is_forced: bool = False) -> list[str]:
    return [plain(line).rstrip() for line in closing_lines(snapshot_of(rows), NOW, is_forced)]


def test_each_server_that_drains_says_its_calls_and_how_long_they_may_take():
    assert told(ROWS) == [
        "Stopping",
        "3 calls in flight may finish, within 27 s.",
        "",
        "search                     2 calls     27 s left",
        "files                       1 call      5 s left",
        "notes                      closing",
        "",
        "ctrl+q stops without waiting",
    ]


def test_once_forced_it_says_that_nothing_is_waited_for():
    lines = told(ROWS, is_forced=True)
    assert lines[1] == "Not waiting for 3 calls any more."
    assert not any("left" in line or "ctrl+q" in line for line in lines)
    assert told((row_of("clock"),), is_forced=True)[1] == "Ending the servers."


def test_with_no_call_left_the_servers_are_closed():
    assert told((row_of("clock", ServerState.DRAINED),))[1] == "Closing the servers."


def test_a_drain_without_a_limit_promises_none():
    assert told((row_of("files", in_flight=1),))[1] == "1 call in flight may finish."


@pytest.mark.parametrize("number", [SERVERS_SHOWN, SERVERS_SHOWN + 1, SERVERS_SHOWN + 200])
def test_of_many_servers_the_busiest_are_shown_and_the_others_counted(number: int):
    rows = tuple(row_of(f"s{n:03}", DRAINING, in_flight=n + 1, drain_until=NOW) for n in range(number))
    lines = told(rows)
    assert lines[3].startswith(f"s{number - 1:03}")
    more = number - SERVERS_SHOWN
    expected = {0: None, 1: "and 1 more server"}.get(more, f"and {more} more servers")
    assert (expected in lines) is (expected is not None)


def test_a_name_from_outside_steers_no_terminal():
    assert "\x1b" not in "".join(told((row_of("\x1b]0;x\x07", DRAINING, in_flight=1),)))
