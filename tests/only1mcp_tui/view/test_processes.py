"""The child processes of one server, and what earlier gateways left behind."""

from typing import Any

import pytest

from only1mcp_tui.view.processes import DESCENDANTS_SHOWN, orphan_lines, process_lines
from only1mcp_tui.view.text import plain
from proxy_core.telemetry.snapshot import ChildRow, DescendantRow, OrphanRow
from tests.support.fake_control import NOW, replica_of, row_of
from tests.support.server_scene import server_control


def told(**fields: Any) -> list[str]:
    return [plain(line) for line in process_lines(row_of("box", **fields), NOW)]


def test_each_child_is_told_with_what_it_costs_and_a_tree_of_what_it_started():
    files = server_control().current.servers[1]
    assert [plain(line) for line in process_lines(files, NOW)] == [
        " pid 4121  for everybody  up 1h56m  2 restarts",
        "   42 MB, 142 MB with all below  3.1 % CPU",
        "   11 threads  27 open files",
        "   ├ node 4122  80 MB",
        "   │ └ sh 4123  2 MB",
        "   └ rg 4130  18 MB",
        "",
        " pid 4300  for token:ci  up 1m00s  2 restarts",
        "   38 MB  0.0 % CPU",
        "   4 threads  9 open files",
    ]


def test_a_child_of_one_of_several_replicas_has_that_one_s_name_and_restarts():
    replicas = (replica_of("a", restarts=3), replica_of("b"))
    lines = told(
        replicas=replicas, restarts=3, processes=(ChildRow(1, "a", "", NOW), ChildRow(2, "b", "", NOW))
    )
    assert lines[0] == " pid 1  a  for everybody  up 0s  3 restarts"
    assert lines[4] == " pid 2  b  for everybody  up 0s  0 restarts"


def test_a_tree_that_bites_its_tail_or_is_large_ends():
    bites = (DescendantRow(2, 3, "a"), DescendantRow(3, 2, "b"), DescendantRow(4, 1, "c"))
    assert told(processes=(ChildRow(1, "main", "", NOW, family=bites),))[-1] == "   └ c 4  0 kB"
    many = tuple(DescendantRow(at, 1, "x") for at in range(2, 300))
    lines = told(processes=(ChildRow(1, "main", "", NOW, family=many),))
    assert lines[-1] == f"   and {len(many) - DESCENDANTS_SHOWN} more"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"transport": "http"}, " It is not a child process of ours."),
        ({"pid": 7}, " pid 7, not measured yet."),
        ({}, " No process of it is running."),
    ],
)
def test_where_there_is_none_it_says_why(fields: dict[str, Any], words: str):
    assert told(**fields) == [words]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, " o looks for processes that earlier gateways left behind."),
        ("No gateway there.", " No gateway there."),
        ((), " No process of an earlier gateway is left."),
        ((OrphanRow(7, "node", 60.0),), " One process of an earlier gateway still there:"),
        ((OrphanRow(7, "node", 60.0),) * 2, " 2 processes of an earlier gateway still there:"),
    ],
)
def test_the_answer_about_orphans_is_in_words(answer: Any, words: str):
    assert plain(list(orphan_lines(answer))[1]) == words
