"""One server in full."""

from typing import Any

import pytest

from only1mcp_tui.view.details import Scene, summary
from only1mcp_tui.view.history import History
from proxy_core.telemetry.snapshot import BreakerState, ServerDetail
from tests.support.fake_control import NOW, row_of


def lines(**fields: Any) -> list[str]:
    detail = ServerDetail(row_of("box", **fields))
    return ["".join(span[0] for span in line) for line in summary(detail, Scene(NOW, History(), 80))]


def labelled(label: str, **fields: Any) -> list[str]:
    return [" ".join(line.split()) for line in lines(**fields) if line.startswith(f" {label} ")]


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
