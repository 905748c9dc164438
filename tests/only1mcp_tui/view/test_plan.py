"""A reload's plan in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from only1mcp_tui.view.plan import MARKS, done_words, fault_lines, plan_lines, subtitle_lines
from only1mcp_tui.view.text import Line
from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import ConfigError, ConfigProblem
from tests.support.screens import FAULTS, PLAN


def words(lines: list[Line]) -> list[str]:
    return [" ".join("".join(span[0] for span in line).split()) for line in lines]


def test_every_action_has_a_glyph_of_its_own_one_cell_wide() -> None:
    assert set(MARKS) == set(Action)
    assert len({mark.glyph for mark in MARKS.values()}) == len(MARKS)
    assert all(cell_len(mark.glyph) == 1 for mark in MARKS.values())


def test_what_is_kept_is_only_counted() -> None:
    said = words(plan_lines(PLAN, 100))
    assert "= keep 14 servers" in said
    assert not any("kept-3" in line for line in said)


def test_a_server_is_told_with_its_keys_and_whom_it_touches() -> None:
    said = words(plan_lines(PLAN, 100))
    at = said.index("⇄ replace files transport.command, env.ROOT")
    assert said[at + 1] == "3 calls in flight and 1 session may finish"


def test_replicas_that_fare_differently_are_told_one_by_one() -> None:
    said = words(plan_lines(PLAN, 100))
    at = said.index("~ update github timeouts.total_s, tools.deny")
    assert said[at + 1 : at + 4] == [
        "├ a = keep 2 calls in flight stay",
        "├ b ⇄ replace 1 call in flight and 2 sessions may finish",
        "└ c - drain 1 session may finish",
    ]


@pytest.mark.parametrize("width", [40, 66, 95])
def test_nothing_of_it_is_cut_where_lines_are_short(width: int) -> None:
    lines = ["".join(span[0] for span in line).rstrip() for line in plan_lines(PLAN, width)]
    assert max(cell_len(line) for line in lines) <= max(width, 52)
    said = " ".join(" ".join(lines).split())
    assert "1 call in flight and" in said
    assert said.count("may finish") == 4


def test_replicas_that_fare_alike_are_not() -> None:
    both = (PlannedReplica("a", Action.DRAIN), PlannedReplica("b", Action.DRAIN))
    plan = ReloadPlan(servers=(PlannedServer("box", Action.DRAIN, replicas=both),))
    assert words(plan_lines(plan, 100)) == ["- drain box"]


def test_the_head_counts_the_calls_that_feel_it_once() -> None:
    assert words(subtitle_lines(PLAN, 200)) == [
        "1 add, 1 start, 1 update, 1 replace, 1 drain, 14 keep. "
        "5 calls in flight and 4 sessions may finish on the old one."
    ]


def test_keys_beside_servers_and_those_that_need_a_restart_are_apart() -> None:
    said = words(plan_lines(ReloadPlan(settings=("limits.calls",), restart=("proxy.port",)), 100))
    assert said == ["", "Other keys", "limits.calls", "", "After a restart of the gateway only", "proxy.port"]


def test_every_fault_stands_with_its_line() -> None:
    said = words(fault_lines(FAULTS, 100))
    assert "✖ only1mcp.yaml:12 servers[2].transport.url" in said
    assert "✖ only1mcp.yaml:18 servers[3].tols" in said
    assert "two servers are called github" in said


def test_a_thousand_faults_are_cut_and_counted() -> None:
    problems = tuple(ConfigProblem(f"key{at}", "is wrong", at) for at in range(1000))
    said = words(fault_lines(ConfigError("c.yaml", problems), 80))
    assert said[-1] == "and 900 faults more"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (ReloadPlan(), "The configuration is in force; nothing changed."),
        (
            ReloadPlan(servers=(PlannedServer("a", Action.ADD), PlannedServer("b", Action.KEEP))),
            "The configuration is in force: added a; 1 kept.",
        ),
        (
            ReloadPlan(servers=tuple(PlannedServer(f"s{at}", Action.ADD) for at in range(9))),
            "The configuration is in force: added 9 servers.",
        ),
        (
            ReloadPlan(restart=("proxy.port",)),
            "The configuration is in force. After a restart of the gateway only: proxy.port.",
        ),
    ],
)
def test_what_was_done_is_one_sentence(plan: ReloadPlan, said: str) -> None:
    assert done_words(plan) == said


@given(st.text(st.characters(), max_size=200), st.integers(20, 120))
def test_nothing_of_a_plan_or_a_file_reaches_a_line_unsafe(text: str, width: int) -> None:
    replicas = (PlannedReplica(text, Action.ADD, 1), PlannedReplica("b", Action.DRAIN, 1))
    plan = ReloadPlan((PlannedServer(text, Action.UPDATE, (text,), replicas),), (text,), (text,))
    error = ConfigError(text, (ConfigProblem(text, text, 1),))
    for line in (*plan_lines(plan, width), *fault_lines(error, width), *subtitle_lines(plan, width)):
        for span in line:
            assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in span[0])
