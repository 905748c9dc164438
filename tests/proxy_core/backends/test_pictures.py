"""A server as the screens see it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from proxy_core.backends.backend import Backend
from proxy_core.backends.lists import Listing, Lists
from proxy_core.backends.pictures import Offers, detail_of, named_items, row_of
from proxy_core.catalog.merge import Catalog, ServerLists, merge
from proxy_core.config.models import HttpTransport, RoutingConfig, ServerConfig, ToolRules
from proxy_core.errors import BackendUnavailable
from proxy_core.facts import RequestFinished
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import NamedItem, ServerState
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Gateway, ScriptedServer, initialized, silence, tools, until

REMOTE = HttpTransport(url="http://box.example/mcp?key=s3cret", headers={"Authorization": "Bearer s3cret"})


class Seen:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.server = ScriptedServer(
            {
                "initialize": initialized(instructions="Be kind."),
                "notifications/initialized": silence,
                "tools/list": tools("add", "sub"),
            }
        )
        self.backend = Backend(
            ServerConfig(id="box", name="The Box", era="legacy", transport=REMOTE),
            lambda settings, kind, receiver, stderr: self.server.channel(kind, receiver),
            Gateway(),
            self.clock,
            says=lambda server, level, text: None,
            on_state=lambda server, before, now, reason: None,
        )

    @property
    def row(self) -> Any:
        return row_of(self.backend, self.metrics, self.clock.monotonic())


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    made = Seen()
    yield made
    await made.backend.aclose()


def catalog(**lists: Any) -> Catalog:
    box = ServerLists(server="box", title="The Box", rules=ToolRules(deny=("sub",)), **lists)
    other = ServerLists(server="other", title="Other", rules=ToolRules(), tools=({"name": "mul"},))
    return merge([box, other], RoutingConfig())


async def test_a_server_in_service_shows_what_it_is_and_has(seen: Seen) -> None:
    seen.backend.start()
    await until(lambda: seen.backend.state is ServerState.HEALTHY)
    row = seen.row
    assert (row.id, row.name, row.state, row.reason) == ("box", "The Box", "healthy", "")
    assert (row.transport, row.era, row.revision, row.server_info) == (
        "http",
        "legacy",
        "2025-06-18",
        "box 1.2",
    )
    assert (row.tools, row.resources, row.templates, row.prompts) == (2, 0, 0, 0)
    assert row == seen.row, "equal pictures are equal"


async def test_a_server_that_is_down_shows_why_and_when_it_is_tried_next(seen: Seen) -> None:
    seen.server.start_fault = BackendUnavailable("box", "no", "could not connect")
    seen.backend.start()
    await until(lambda: seen.backend.members[0].replica.retry_at)
    row = seen.row
    assert (row.state, row.reason) == ("unhealthy", "could not connect")
    assert (row.era, row.revision, row.server_info, row.pid) == (None, None, "", None)
    assert row.retry_at > seen.clock.monotonic()


async def test_calls_and_errors_are_counted_into_the_row(seen: Seen) -> None:
    fact = RequestFinished(
        at=seen.clock.monotonic(),
        client="client",
        principal="anon",
        era="legacy",
        revision="2025-06-18",
        method="tools/call",
        server="box",
        target="box__add",
        duration_ms=12.0,
        error_code=None,
        is_tool_error=False,
        bytes_out=10,
    )
    seen.metrics.fold(fact)
    seen.metrics.fold(msgspec.structs.replace(fact, error_code=-32603))
    seen.clock.advance(1)
    row = seen.row
    assert (row.calls, row.errors) == (2, 1)
    assert row.calls_per_s > row.errors_per_s > 0
    assert row.latency.p50_ms is not None


async def test_secrets_are_masked_everywhere(seen: Seen) -> None:
    row = seen.row
    detail = detail_of(seen.backend, row, Catalog())
    assert "s3cret" not in f"{row}{detail}"
    assert "box.example" in row.address


async def test_the_detail_holds_this_servers_items_and_what_was_left_out(seen: Seen) -> None:
    seen.backend.members[0].heard_stderr("hello")
    seen.backend.lists = Lists({"tools/list": Listing(({"name": "add"},))})
    detail = detail_of(seen.backend, seen.row, catalog(tools=({"name": "add"}, {"name": "sub"})))
    assert [(item.name, item.origin) for item in detail.items] == [("box__add", "add")]
    assert detail.hidden == (("sub", "The configuration denies it."),)
    assert detail.stderr == ("hello",)


def test_items_are_named_in_list_order_with_their_arguments() -> None:
    names = named_items(
        catalog(
            tools=(
                {
                    "name": "add",
                    "title": "Add",
                    "description": "Adds.",
                    "inputSchema": {"properties": {"a": {}, "b": {}}, "required": ["b"]},
                },
            ),
            resources=({"uri": "file:///x", "name": "x"},),
            templates=({"uriTemplate": "file:///{y}", "name": "y"},),
            prompts=({"name": "ask", "arguments": [{"name": "q", "required": True}, {"name": "r"}]},),
        )
    )
    assert [item.kind for item in names] == ["tool", "tool", "resource", "template", "prompt"]
    assert names[0] == NamedItem(
        "tool", "box__add", "add", "box", "Add", "Adds.", arguments=(("a", False), ("b", True))
    )
    assert names[-1].arguments == (("q", True), ("r", False))


@pytest.mark.parametrize(
    ("annotations", "reads"),
    [
        ({"readOnlyHint": True}, True),
        ({"readOnlyHint": "yes"}, False),
        ({}, False),
        (None, False),
        ([1], False),
    ],
)
def test_a_tool_reads_only_if_its_server_says_so(annotations: Any, reads: bool) -> None:
    tool, *_ = named_items(catalog(tools=({"name": "add", "annotations": annotations},)))
    assert tool.read_only is reads


@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], [1], {"a": 1}, {"properties": 7}, {"properties": {"a": 1}, "required": 1}]
)
def test_odd_members_of_an_item_do_no_harm(odd: Any) -> None:
    tool = {"name": "add", "title": odd, "description": odd, "inputSchema": odd}
    prompt = {"name": "ask", "title": odd, "arguments": odd}
    names = named_items(catalog(tools=(tool,), prompts=(prompt,)))
    assert [item.origin for item in names] == ["add", "mul", "ask"]


async def test_what_is_made_of_a_catalog_is_kept_until_there_is_another(seen: Seen) -> None:
    before = catalog(tools=({"name": "add", "annotations": {"destructiveHint": True}},))
    offers = Offers().use(before)
    first, second = (detail_of(seen.backend, seen.row, offers.use(before)) for _ in range(2))
    assert first.items is second.items and first.settings is second.settings
    assert first.destructive == ("box__add",)
    after = detail_of(seen.backend, seen.row, offers.use(catalog(tools=({"name": "mul"},))))
    assert [item.origin for item in after.items] == ["mul"]
    assert after.version == first.version + 1


async def test_a_detail_counts_the_lines_on_stderr_and_tells_probes_and_defaults(seen: Seen) -> None:
    for number in range(3):
        seen.backend.members[0].heard_stderr(f"line {number}")
    seen.server.start_fault = BackendUnavailable("box", "no", "could not connect")
    await seen.backend.probe()
    detail = detail_of(seen.backend, seen.row, Catalog())
    assert (detail.stderr[-1], detail.stderr_seq) == ("line 2", 3)
    assert [(each.replica, len(each.probes)) for each in detail.probes] == [("main", 1)]
    assert ("concurrency", "64") in detail.defaults and ("era", "auto") not in detail.defaults


def test_a_tool_that_says_it_only_reads_is_marked() -> None:
    tools = ({"name": "add", "annotations": {"readOnlyHint": True}}, {"name": "mul", "annotations": 7})
    marks = [
        (item.origin, item.read_only) for item in named_items(catalog(tools=tools)) if item.server == "box"
    ]
    assert marks == [("add", True), ("mul", False)]
