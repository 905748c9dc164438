"""The scenarios of the tasks extension, in front of a server of our own: no SDK has the extension yet."""

from pathlib import Path

from tests.conformance.columns import DIRECT, Way, served, through_gateway
from tests.conformance.judge import Judge
from tests.conformance.verdicts import Column

SUITE = "tasks"
MODULE = "tests.support.tasks_server"
SCENARIOS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
)
"""All but `tasks-status-notifications`, which the suite skips itself."""
WAYS = (Way("tasks, HTTP", module=MODULE), Way("tasks, stdio", over="stdio", module=MODULE))


def judge_direct(judge: Judge, folder: Path) -> Column:
    """The tasks server without a gateway."""
    title = f"tasks, {DIRECT}"
    with served(folder / "tasks.log", MODULE) as url:
        return _column(Way(title, over=""), judge, url, folder)


def judge_way(way: Way, judge: Judge, folder: Path) -> Column:
    with through_gateway(way, folder / way.title) as url:
        return _column(way, judge, url, folder)


def _column(way: Way, judge: Judge, url: str, folder: Path) -> Column:
    return Column(way.title, {SUITE: judge.run_each(SCENARIOS, url, folder / way.title / SUITE)}, way.over)
