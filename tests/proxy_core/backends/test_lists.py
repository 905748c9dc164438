"""Reading lists page by page from a scripted backend, within bounds."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy_core.backends import lists
from proxy_core.backends.connection import Connection
from proxy_core.backends.lists import FED_TTL_MS, MAX_TTL_MS, UNFED_TTL_MS, Listing, read_listing, with_items_of
from proxy_core.config.models import ServerConfig, StdioTransport
from proxy_core.errors import BackendError, BackendExited, BackendProtocolError
from tests.support.clock import FakeClock
from tests.support.scripted_channel import (
    Owner,
    Reply,
    ScriptedServer,
    discovered,
    exits,
    refuses,
    result,
    tools,
)


class Reader:
    def __init__(self, server: ScriptedServer, connection: Connection, clock: FakeClock) -> None:
        self.server = server
        self.connection = connection
        self.clock = clock
        self.notes: list[str] = []

    async def read(self, method: str = "tools/list") -> Listing:
        return await read_listing(self.connection, method, self.clock.monotonic, self.notes.append)

    @property
    def cursors(self) -> list[Any]:
        return [asked.params.get("cursor") for asked in self.server.asked[1:]]


@pytest.fixture
async def reading() -> AsyncIterator[Callable[..., Any]]:
    """An open connection to a backend with this reply to tools/list."""
    connections: list[Connection] = []

    async def open_to(listing: Reply | list[Reply], **capabilities: Any) -> Reader:
        offered = capabilities or {"tools": {}}
        server = ScriptedServer(
            {
                "server/discover": discovered(capabilities=offered),
                "tools/list": listing,
                "subscriptions/listen": refuses(-32601),
            }
        )
        clock = FakeClock()
        config = ServerConfig(id="box", transport=StdioTransport(command="box"))
        connections.append(Connection(config, server.channel, Owner(), clock))
        await connections[-1].open()
        return Reader(server, connections[-1], clock)

    yield open_to
    for connection in connections:
        await connection.aclose()


def names(listing: Listing) -> list[str]:
    return [item["name"] for item in listing.items]


async def test_every_page_is_read(reading: Any) -> None:
    reader = await reading([tools("a", nextCursor="2"), tools("b", nextCursor="3"), tools("c")])
    assert names(await reader.read()) == ["a", "b", "c"]
    assert reader.cursors == [None, "2", "3"]


@pytest.mark.requirement("N16")
async def test_an_empty_cursor_is_a_cursor(reading: Any) -> None:
    reader = await reading([tools("a", nextCursor=""), tools("b")])
    assert names(await reader.read()) == ["a", "b"]
    assert reader.cursors == [None, ""]


@pytest.mark.requirement("N16")
@pytest.mark.parametrize("loop", [["x", "x"], ["", ""], ["x", "y", "x"]])
async def test_a_cursor_that_comes_again_ends_the_reading(reading: Any, loop: list[str]) -> None:
    reader = await reading([tools(str(page), nextCursor=cursor) for page, cursor in enumerate(loop)])
    assert names(await reader.read()) == [str(page) for page in range(len(loop))]
    assert "cursor repeats" in reader.notes[0]


@pytest.mark.requirement("N16")
async def test_a_list_without_an_end_is_cut(reading: Any) -> None:
    cursor = iter(range(10_000))
    reader = await reading(lambda asked: tools(*"ab", nextCursor=str(next(cursor)))(asked))
    assert len((await reader.read()).items) == 2 * lists.MAX_PAGES
    assert reader.notes == [f"tools/list was cut after {lists.MAX_PAGES} pages"]


async def test_a_list_with_too_many_items_is_cut(reading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_ITEMS", 3)
    reader = await reading([tools("a", "b", nextCursor="2"), tools("c", "d", nextCursor="3"), tools("e")])
    assert names(await reader.read()) == ["a", "b", "c"]
    assert "was cut" in reader.notes[0]


@pytest.mark.parametrize("cursor", [None, 7, ["2"], {}])
async def test_a_cursor_that_is_no_string_is_the_end(reading: Any, cursor: Any) -> None:
    reader = await reading(tools("a", nextCursor=cursor))
    assert names(await reader.read()) == ["a"]


async def test_what_was_not_offered_is_not_asked_for(reading: Any) -> None:
    reader = await reading(tools("a"), tools={})
    assert (await reader.read("prompts/list")).items == ()
    assert reader.cursors == []


async def test_a_list_that_the_server_does_not_know_is_empty(reading: Any) -> None:
    reader = await reading(refuses(-32601))
    assert (await reader.read()).items == ()


async def test_any_other_error_is_one(reading: Any) -> None:
    reader = await reading(refuses(-32603))
    with pytest.raises(BackendError):
        await reader.read()


async def test_a_server_that_ends_in_the_middle_of_its_pages_has_no_list(reading: Any) -> None:
    reader = await reading([tools("a", nextCursor="2"), exits])
    with pytest.raises(BackendExited):
        await reader.read()


@pytest.mark.parametrize("answer", [[], None, "tools", 7])
async def test_an_answer_that_is_no_object_is_refused(reading: Any, answer: Any) -> None:
    reader = await reading(result(answer))
    with pytest.raises(BackendProtocolError):
        await reader.read()


@pytest.mark.parametrize("items", [None, 7, "add", {"name": "add"}])
async def test_items_that_are_no_array_are_none(reading: Any, items: Any) -> None:
    reader = await reading(result({"tools": items}))
    assert (await reader.read()).items == ()
    assert reader.notes == ["tools is not an array"]


async def test_items_that_are_no_objects_are_left_out(reading: Any) -> None:
    reader = await reading(result({"tools": [1, {"name": "add"}, None, "x"]}))
    assert names(await reader.read()) == ["add"]
    assert reader.notes == ["3 of its tools are not objects and were left out"]


@pytest.mark.parametrize(
    ("hint", "ttl_ms"),
    [(0, 0), (1500, 1500), (-1, 0), ("60", 0), (1.5, 0), (True, 0), (10**15, MAX_TTL_MS)],
)
async def test_the_servers_own_hint_is_taken_within_bounds(reading: Any, hint: Any, ttl_ms: int) -> None:
    reader = await reading(tools("a", ttlMs=hint))
    assert (await reader.read()).ttl_ms == ttl_ms


async def test_the_shortest_hint_of_all_pages_counts_and_one_private_page_makes_all_private(
    reading: Any,
) -> None:
    pages = [
        tools(nextCursor="2", ttlMs=900, cacheScope="public"),
        tools("b", nextCursor="3", ttlMs=5000, cacheScope="private"),
        tools("c", ttlMs=7000, cacheScope="public"),
    ]
    listing = await (await reading(pages)).read()
    assert (listing.ttl_ms, listing.is_private) == (900, True)


@pytest.mark.parametrize(("announces", "ttl_ms"), [(True, FED_TTL_MS), (False, UNFED_TTL_MS)])
async def test_without_a_hint_a_list_is_good_for_longer_if_changes_are_announced(
    reading: Any, announces: bool, ttl_ms: int
) -> None:
    reader = await reading(tools("a"), tools={"listChanged": announces})
    assert (await reader.read()).ttl_ms == ttl_ms


async def test_a_list_ages(reading: Any) -> None:
    reader = await reading(tools("a", ttlMs=1500))
    listing = await reader.read()
    told = []
    for _ in range(3):
        told.append(listing.told_ttl_ms(reader.clock.monotonic()))
        reader.clock.advance(1)
    assert told == [1500, 500, 0]


async def test_a_list_without_end_is_cut_by_its_bytes_too(
    reading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_LISTING_BYTES", 1000)
    page = {"tools": [{"name": "big", "description": "x" * 300}], "nextCursor": "more"}
    pages = [result(page | {"nextCursor": f"c{n}"}) for n in range(9)]
    box = await reading(pages)
    assert names(await box.read()) == ["big"] * 2
    assert "1000 bytes" in box.notes[-1]


@pytest.mark.requirement("N18")
async def test_an_item_nested_beyond_all_use_costs_itself_alone(reading: Any) -> None:
    """Whoever writes it again would run out of stack, and with it the whole list."""
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"items": [deep]}
    items = [{"name": "deep", "inputSchema": deep}, {"name": "ok", "inputSchema": {}}]
    box = await reading(result({"tools": items}))
    assert names(await box.read()) == ["ok"]
    assert "nested too deeply" in box.notes[-1]


# --- what was read before -------------------------------------------------------------------------------------


def listing(*items: dict[str, Any], ttl_ms: int = 1) -> Listing:
    return Listing(items, ttl_ms)


def kept(old: Listing, new: Listing) -> list[bool]:
    """Of each item, whether it is an object of the old list."""
    return [any(item is was for was in old.items) for item in new.items]


async def test_items_that_are_the_same_are_the_very_objects_of_before() -> None:
    old = listing({"name": "a"}, {"name": "b", "title": "B"}, {"name": "c"})
    new = await with_items_of(
        old, listing({"name": "b", "title": "New"}, {"name": "c"}, {"name": "a"}, ttl_ms=2)
    )
    assert (kept(old, new), new.ttl_ms) == ([False, True, True], 2)
    assert names(new) == ["b", "c", "a"]


async def test_a_list_that_is_the_same_is_the_very_tuple_of_before() -> None:
    old = listing({"name": "a"}, {"uri": "x:1"}, {"uriTemplate": "x:{n}"})
    new = await with_items_of(old, listing({"name": "a"}, {"uri": "x:1"}, {"uriTemplate": "x:{n}"}))
    assert new.items is old.items
    shorter = await with_items_of(old, listing({"name": "a"}))
    assert shorter.items is not old.items and kept(old, shorter) == [True]


@pytest.mark.parametrize(
    ("was", "now"), [(1, True), (1, 1.0), (0, False), ([1], [True]), ({"a": 0}, {"a": 0.0})]
)
async def test_what_python_calls_equal_is_no_less_another_json(was: Any, now: Any) -> None:
    """Else a tool could change and nobody would see it."""
    old = listing({"name": "a", "inputSchema": {"default": was}})
    new = await with_items_of(old, listing({"name": "a", "inputSchema": {"default": now}}))
    assert kept(old, new) == [False]


async def test_items_that_cannot_be_written_or_found_again_are_new() -> None:
    old = listing({"name": "a", "title": "\ud800"}, {"name": ["a"]})
    again = listing({"name": "a", "title": "\ud800"}, {"name": ["a"]})
    assert kept(old, await with_items_of(old, again)) == [False, True]


async def test_of_two_with_one_name_each_is_compared_with_the_first() -> None:
    old = listing({"name": "a", "n": 1}, {"name": "a", "n": 2})
    new = await with_items_of(old, listing({"name": "a", "n": 1}, {"name": "a", "n": 2}))
    assert kept(old, new) == [True, False]
