"""One server in full."""

from typing import Any

import pytest

from only1mcp_tui.view.details import Scene, summary
from only1mcp_tui.view.history import History
from proxy_core.telemetry.snapshot import BreakerState, ChildRow, Probe, ServerDetail
from tests.support.fake_control import NOW, row_of
from tests.support.screens import replicated_rows


def lines(**fields: Any) -> list[str]:
    detail = ServerDetail(row_of("box", **fields))
    return ["".join(span[0] for span in line) for line in summary(detail, Scene(NOW, History(), 80))]


def labelled(label: str, **fields: Any) -> list[str]:
    return [" ".join(line.split()) for line in lines(**fields) if line.startswith(f" {label} ")]


def replicated(width: int = 100, chosen: str = "") -> list[str]:
    detail = ServerDetail(replicated_rows()[0])
    found = summary(detail, Scene(NOW, History(), width, replica=chosen))
    return [" ".join("".join(span[0] for span in line).split()) for line in found]


def test_each_replica_has_its_state_its_load_its_breaker_and_its_last_probe() -> None:
    said = replicated()
    at = said.index("├ b ✖ unhealthy - weight 1 0 in flight")
    assert said[at + 1 : at + 4] == [
        "300 calls, 12 failures probe 1s HTTP 500 390ms",
        "breaker open, tried again in 13s: the last 3 probes failed: HTTP status 500",
        "http://b.example.com/mcp",
    ]
    assert "├ a ● healthy ◆ 2026-07-28 weight 2 2 in flight" in said
    assert "└ c ◐ draining - weight 1 1 in flight" in said
    assert "1 call in flight, 27 s left" in said


def test_the_replica_under_the_cursor_is_marked() -> None:
    assert any(line.startswith("› b ✖") for line in replicated(chosen="b"))


def test_balance_differences_queue_and_retries_are_said_where_there_are_any() -> None:
    said = replicated()
    assert "balance least connections" in said
    assert any("b lists 25 tools" in line for line in said)
    assert "in flight 3 2 calls wait for a free place" in said
    assert "retries 4" in said
    assert not any(labelled(label) for label in ("balance", "they", "retries", "lists"))


def test_lists_of_an_earlier_run_are_called_so() -> None:
    assert labelled("lists", is_remembered=True) == ["lists those of an earlier run, until it answers"]


def test_a_child_process_is_told_with_what_it_costs_and_what_descends_from_it() -> None:
    child = ChildRow(41, "main", "", NOW - 60, 42_300_000, 3.14, ((42, "node"), (43, "sh")))
    assert labelled("process", pid=41, restarts=2, processes=(child,)) == [
        "process pid 41 42 MB 3.1 % CPU up 1m00s 2 restarts"
    ]
    assert any("with node 42, sh 43" in line for line in lines(processes=(child,)))


def test_a_client_s_own_child_names_the_client_and_many_are_counted() -> None:
    children = tuple(ChildRow(at, "main", "token:ci", NOW) for at in range(30))
    said = lines(processes=children)
    assert sum("for token:ci" in line for line in said) == 12
    assert any("and 18 more" in line for line in said)


def test_a_failed_probe_says_what_was_answered_and_after_how_long() -> None:
    assert labelled("probe", probe=Probe(NOW - 1, 390.0, "HTTP status 500", 500)) == [
        "probe 1s ago: HTTP 500 after 390ms: HTTP status 500"
    ]


def test_a_breaker_that_is_closed_is_not_spoken_of() -> None:
    assert labelled("breaker") == []


@pytest.mark.parametrize(
    ("breaker", "retry_at", "words"),
    [
        (BreakerState.OPEN, NOW + 12, "breaker open, tried again in 12s"),
        (BreakerState.HALF_OPEN, NOW - 3, "breaker half open, a few calls try it"),
        (BreakerState.HALF_OPEN, None, "breaker half open, a few calls try it"),
    ],
)
def test_a_breaker_that_is_not_closed_has_a_line_of_its_own(
    breaker: BreakerState, retry_at: float | None, words: str
) -> None:
    assert labelled("breaker", breaker=breaker, breaker_retry_at=retry_at) == [words]


def test_tools_that_want_an_eye_are_counted_with_the_key_that_shows_them() -> None:
    (said,) = labelled("tools", changed=2, withheld=2)
    assert said == "tools ≠ 2 tools changed or new, all withheld A shows what is different"
    assert any("! 1 tool names tools of other servers" in line for line in lines(naming=1))
    assert any("! 2 tools name tools of other servers" in line for line in lines(naming=2))
    assert labelled("tools") == []
