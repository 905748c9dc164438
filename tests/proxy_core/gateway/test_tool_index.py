"""The index beside the requests: built once for each catalog, in slices, and waited for where it is needed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.catalog.merge import Entry, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules
from proxy_core.context import index_build
from proxy_core.context.slices import in_slices
from proxy_core.gateway import tool_index
from proxy_core.gateway.tool_index import ToolIndex
from tests.support.stub_backends import tool

VERBS = ("create", "delete", "list", "rename", "archive", "merge", "star", "fork", "watch", "close")
NOUNS = ("issue", "branch", "label", "release", "comment", "project", "milestone", "team", "hook", "key")


def tools(server: str = "box", count: int = 100) -> tuple[Entry, ...]:
    made = [
        tool(f"{VERBS[n % 10]}_{NOUNS[n // 10 % 10]}_{n // 100}", description=f"Number {n} of {server}.")
        for n in range(count)
    ]
    lists = ServerLists(server=server, title=server, rules=ToolRules(), tools=tuple(made))
    return merge([lists], RoutingConfig()).tools


@pytest.fixture
async def index() -> AsyncIterator[ToolIndex]:
    index = ToolIndex()
    yield index
    await index.aclose()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tools whose words were read."""
    names: list[str] = []
    real = index_build.tokenising

    def tokenising(server: str, name: str, item: Any) -> Any:
        names.append(name)
        return real(server, name, item)

    monkeypatch.setattr(index_build, "tokenising", tokenising)
    return names


async def best(index: ToolIndex, query: str, of: tuple[Entry, ...], principal: str = "anon") -> str:
    found = await index.get(principal, of)
    assert found is not None
    return found.search([query], limit=1)[0].name


async def test_a_search_waits_for_the_index(index: ToolIndex):
    assert await best(index, "rename milestone", tools()) == "box__rename_milestone_0"


async def test_an_index_is_built_once_for_a_catalog_and_for_an_equal_one(index: ToolIndex, read: list[str]):
    first = await index.get("anon", tools())
    assert await index.get("anon", tools()) is first
    assert len(read) == 100


async def test_what_was_read_is_not_read_again_when_another_server_comes(index: ToolIndex, read: list[str]):
    await index.get("anon", tools())
    more = tools() + tools("gate", 10)
    assert await best(index, "create issue gate", more) == "gate__create_issue_0"
    assert read[100:] == [each.exposed for each in tools("gate", 10)]


async def test_principals_share_what_was_read_and_see_their_own(index: ToolIndex, read: list[str]):
    await index.get("anon", tools())
    own = tools() + tools("mine", 5)
    assert (await best(index, "create issue mine", own, "token:ann")).startswith("mine__")
    assert not (await best(index, "create issue mine", tools(), "anon")).startswith("mine__")
    assert len(read) == 105


async def test_only_the_newest_of_many_catalogs_is_built(index: ToolIndex, read: list[str]):
    for count in range(1, 60):
        index.want("anon", tools(count=count))
    assert await best(index, "create comment", tools(count=59)) == "box__create_comment_0"
    assert len(read) == 59


async def test_the_loop_goes_on_while_an_index_is_built(index: ToolIndex, monkeypatch: pytest.MonkeyPatch):
    """Slices are counted, not timed: between any two of them everyone else has a turn."""
    slices, turns = 0, 0

    async def counted(items: Any) -> AsyncIterator[Any]:
        nonlocal slices
        async for each in in_slices(items, 0.0):
            slices += 1
            yield each

    monkeypatch.setattr(tool_index, "in_slices", counted)
    found = asyncio.ensure_future(index.get("anon", tools(count=1_000)))
    while not found.done():
        turns += 1
        await asyncio.sleep(0)
    assert slices > 1_000
    assert turns >= slices


async def test_one_index_is_built_at_a_time_and_each_in_its_turn(
    index: ToolIndex, monkeypatch: pytest.MonkeyPatch
):
    """Several builds at once would hold the loop for a slice each."""
    building, most = 0, 0

    async def counted(items: Any) -> AsyncIterator[Any]:
        nonlocal building, most
        building += 1
        most = max(most, building)
        async for each in in_slices(items, 0.0):
            yield each
        building -= 1

    monkeypatch.setattr(tool_index, "in_slices", counted)
    principals = ("anon", "token:ann", "token:bob")
    found = await asyncio.gather(*(index.get(each, tools(count=50)) for each in principals))
    assert most == 1
    assert None not in found


async def test_an_index_that_takes_too_long_is_not_waited_for(
    index: ToolIndex, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tool_index, "READY_S", 0.0)
    monkeypatch.setattr(tool_index, "in_slices", lambda items: in_slices(items, 0.0))
    assert await index.get("anon", tools()) is None
    # It is built all the same, and the old one serves until the next is there.
    await asyncio.wait(set(index._builds.values()))
    first = await index.get("anon", tools())
    assert first is not None
    assert await index.get("anon", tools(count=120)) is first


async def test_the_least_recently_used_index_goes(index: ToolIndex, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tool_index, "MAX_INDEXES", 2)
    of = tools(count=3)
    first = await index.get("anon", of)
    await index.get("token:ann", of)
    await index.get("anon", of)
    await index.get("token:bob", of)
    assert await index.get("anon", of) is first
    assert list(index._built) == ["token:bob", "anon"]


async def test_what_nobody_searches_is_let_go(index: ToolIndex):
    await index.get("anon", tools(count=3))
    index.forget()
    assert not index._built


async def test_an_end_in_the_middle_of_a_build_is_an_end(index: ToolIndex):
    index.want("anon", tools(count=1_000))
    await asyncio.sleep(0)
    await index.aclose()
    assert not index._built
