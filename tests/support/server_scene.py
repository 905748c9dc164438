"""Two servers with something in every tab, and tools of every kind to open and to call."""

import json
from typing import Any

from proxy_core.telemetry.context_bill import ContextBill, Cost, ToolCost
from proxy_core.telemetry.savings import CacheRow, Savings
from proxy_core.telemetry.snapshot import (
    Change,
    ChildRow,
    DescendantRow,
    NamedItem,
    OrphanRow,
    Probe,
    ProbedReplica,
    ServerDetail,
)
from proxy_core.telemetry.tool_detail import ToolDetail
from tests.support.fake_control import NOW, FakeControl, row_of, snapshot_of
from tests.support.screens import CLIENTS, TOTALS

ISSUE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "repo": {"type": "string", "description": "Owner and name, as ada/engine.", "minLength": 3},
        "title": {"type": "string", "description": "One line."},
        "labels": {"type": "array", "items": {"type": "string"}},
        "state": {"enum": ["open", "closed"], "default": "open"},
        "priority": {"type": "integer", "minimum": 1, "maximum": 5, "default": 3},
        "draft": {"type": "boolean"},
        "assignee": {
            "type": "object",
            "description": "Who does it.",
            "properties": {"login": {"type": "string"}, "notify": {"type": "boolean", "default": True}},
            "required": ["login"],
        },
    },
    "required": ["repo", "title"],
}
SEARCH_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"words": {"type": "string"}, "limit": {"type": "integer", "default": 10}},
    "required": ["words"],
}
ODD_SCHEMA: dict[str, Any] = {"oneOf": [{"$ref": "#/$defs/a"}, {"type": "object"}], "$defs": {"a": {}}}


def tool(name: str, schema: object, description: str, **fields: Any) -> ToolDetail:
    return ToolDetail(
        f"github__{name}",
        name,
        "github",
        description=description,
        input_schema=json.dumps(schema),
        cost=ToolCost("github", f"github__{name}", Cost(420, 380), Cost(160, 130)),
        **fields,
    )


TOOLS = (
    tool(
        "create_issue",
        ISSUE_SCHEMA,
        "Create an issue in a repository.\nNeeds write access to it.",
        title="Create an issue",
        output_schema=json.dumps({"type": "object", "properties": {"number": {"type": "integer"}}}),
        annotations=json.dumps({"destructiveHint": False}),
        destructive=False,
    ),
    tool("search", SEARCH_SCHEMA, "Search issues, code and people.", read_only=True),
    tool(
        "delete_repo", {"type": "object", "properties": {}}, "Delete a repository for good.", destructive=True
    ),
    tool("odd", ODD_SCHEMA, "Takes one thing or another."),
)
CHANGES = (
    Change(NOW - 7200, "", "state", "starting"),
    Change(NOW - 7180, "", "state", "healthy", "starting"),
    Change(NOW - 900, "", "breaker", "open", reason="5 calls in a row failed"),
    Change(NOW - 900, "", "state", "degraded", "healthy", "5 of its last 100 calls failed"),
    Change(NOW - 870, "", "breaker", "half_open"),
    Change(NOW - 860, "", "breaker", "closed", reason="2 trials answered"),
    Change(NOW - 850, "", "state", "healthy", "degraded"),
)
PROBES = tuple(
    Probe(NOW - 30 * (20 - at), 8.0 + (at * 7) % 31, None)
    if at % 9
    else Probe(NOW - 30 * (20 - at), 5000.0, "The server did not answer within 5 seconds.")
    for at in range(20)
)
RESULT: dict[str, Any] = {
    "content": [
        {"type": "text", "text": "Found 2 issues.\n#1 The mill stops\n#2 The engine is loud"},
        {"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo" + "A" * 4000},
        {"type": "resource_link", "uri": "https://example.com/issues/1", "name": "The mill stops"},
    ],
    "structuredContent": {"found": 2, "issues": [{"number": 1, "open": True}, {"number": 2, "open": False}]},
}


def items() -> tuple[NamedItem, ...]:
    named = []
    for each in TOOLS:
        schema = json.loads(each.input_schema)
        required = schema.get("required", [])
        arguments = tuple((name, name in required) for name in schema.get("properties", {}))
        named.append(
            NamedItem(
                "tool",
                each.name,
                each.origin,
                "github",
                each.title,
                each.description,
                arguments,
                read_only=each.read_only,
            )
        )
    return (
        *named,
        NamedItem("resource", "github://readme", "github://readme", "github", "Read me", "What it is."),
        NamedItem("template", "github://{owner}/{repo}", "github://{owner}/{repo}", "github", "A repository"),
        NamedItem("prompt", "github__triage", "triage", "github", "", "Sort new issues.", (("repo", True),)),
    )


def server_control() -> FakeControl:
    """`github` offers all of it; `files` is a child process with children of its own."""
    github = row_of(
        "github",
        name="GitHub",
        transport="http",
        address="https://api.example.com/mcp",
        era="modern",
        revision="2026-07-28",
        server_info="github-mcp-server 1.4.0",
        tools=len(TOOLS),
        resources=1,
        templates=1,
        prompts=1,
        calls=8120,
        errors=11,
        calls_per_s=61.2,
        since_at=NOW - 850,
        probe=PROBES[-1],
        tokens=Cost(1680, 1520),
    )
    files = row_of(
        "files",
        pid=4121,
        restarts=2,
        era="legacy",
        revision="2025-11-25",
        processes=(
            ChildRow(
                4121,
                "main",
                "",
                NOW - 7000,
                142_300_000,
                3.1,
                ((4122, "node"), (4123, "sh"), (4130, "rg")),
                42_300_000,
                11,
                27,
                (
                    DescendantRow(4122, 4121, "node", 80_000_000),
                    DescendantRow(4123, 4122, "sh", 2_000_000),
                    DescendantRow(4130, 4121, "rg", 18_000_000),
                ),
            ),
            ChildRow(4300, "main", "token:ci", NOW - 60, 38_000_000, threads=4, files=9),
        ),
    )
    saved = Savings(caches=(CacheRow("tools/list", "github", hits=88, misses=12, bytes=66_000),))
    control = FakeControl(snapshot_of((github, files), totals=TOTALS, clients=CLIENTS, savings=saved))
    control.details["github"] = ServerDetail(
        github,
        items=items(),
        destructive=("github__delete_repo",),
        version=1,
        settings=(("transport.url", "https://api.example.com/mcp"), ("headers.Authorization", "•••")),
        defaults=(("timeouts.call_s", "3600 s"), ("concurrency", "64")),
        changes=CHANGES,
        probes=(ProbedReplica("main", PROBES),),
    )
    said = tuple(f"line {number}." for number in range(40))
    control.details["files"] = ServerDetail(files, stderr=said, stderr_seq=len(said), version=1)
    control.tools = {each.name: each for each in TOOLS}
    control.bills = [ContextBill("o200k_base", True, tools=tuple(t.cost for t in TOOLS if t.cost is not None))]
    control.result = RESULT
    control.left = (OrphanRow(3999, "node", 86_400.0, 51_000_000),)
    return control
