"""Before a replay: does it only read, and who could be asked."""

import pytest

from only1mcp_tui.view.replay import reads_only, targets_for
from proxy_core.telemetry.tool_detail import ToolDetail
from tests.support.fake_control import exchange_row
from tests.support.screens import replicated_rows

TOOLS = {
    "a__read": ToolDetail("a__read", "read", "a", read_only=True),
    "a__write": ToolDetail("a__write", "write", "a"),
}


@pytest.mark.parametrize(
    ("method", "target", "reads"),
    [
        ("tools/list", "", True),
        ("resources/read", "note://1", True),
        ("prompts/get", "a__ask", True),
        ("tools/call", "a__read", True),
        ("tools/call", "a__write", False),
        ("tools/call", "a__gone", False),
        ("logging/setLevel", "", False),
        ("something/new", "", False),
    ],
)
def test_what_only_reads(method: str, target: str, reads: bool) -> None:
    assert reads_only(exchange_row(1, method, target), TOOLS.get(target)) is reads


def test_the_same_server_and_its_replicas_come_first() -> None:
    targets = targets_for(exchange_row(1, server="files", replica="x"), replicated_rows())
    assert [target.id for target in targets] == [
        None,
        "files/x",
        "files/y",
        "github",
        "github/a",
        "github/b",
        "github/c",
        "postgres",
        "jira",
    ]
    assert targets[0].label == "as before (files/x)"
    assert targets[4].state == ("● healthy", "good")
    assert targets[-1].state == ("⊘ breaker open", "bad")
