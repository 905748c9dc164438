"""What is made when somebody looks, and what is not: parts, modes, forms and the index."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from proxy_core.catalog.merge import Catalog
from proxy_core.catalog.routes import Route
from proxy_core.config.models import Config
from proxy_core.context.slices import in_slices
from proxy_core.gateway import tool_forms, tool_index
from proxy_core.gateway.contexts import Contexts
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.modes import Costs, Mode
from proxy_core.gateway.profiles import Profiles
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.gateway.tool_index import ToolIndex
from proxy_core.gateway.view import ViewMaker
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.sealed import Sealer
from tests.proxy_core.catalog.lists import lists, merged
from tests.support.scripted_channel import until
from tests.support.stub_backends import LEGACY, House, StubServer, client, echo, many_tools, text_of

ANYONE = Viewer("anon")
HOUSE = merged(lists("files", "read", "write"), lists("empty"), lists("github", "star"))


class Desk:
    def __init__(self, costs: Costs | None = None, **config: Any) -> None:
        self.config = Config.model_validate(config)
        self.index = ToolIndex()
        contexts = Contexts(lambda: self.config, lambda profile: costs)
        self.maker = ViewMaker(
            Profiles(lambda: self.config), contexts, ToolForms(), self.index, lambda: Sealer([b"k" * 32])
        )


@pytest.fixture
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    desk = Desk(**getattr(request, "param", {}))
    yield desk
    await desk.index.aclose()


SEARCH = {"context": {"mode": "search", "always": ["github__*"]}}
AUTO = {"context": {"mode": "auto"}}


def configured(**desk: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("desk", [desk], indirect=True)


async def test_in_full_everything_is_shown_and_nothing_else_is_made(desk: Desk):
    view = desk.maker.made(ANYONE, HOUSE)
    assert view.mode is Mode.FULL
    assert view.shown is view.part is view.catalog is HOUSE
    desk.maker.merged(HOUSE)
    assert not desk.index._builds
    await desk.maker.prepare(view)


@configured(**SEARCH)
async def test_search_shows_three_tools_and_the_named_ones_and_has_the_rest_indexed(desk: Desk):
    view = desk.maker.made(ANYONE, HOUSE)
    names = [each.exposed for each in view.shown.tools]
    assert names == ["search_tools", "describe_tools", "call_tool", "github__star"]
    assert list(view.tools) == ["files__read", "files__write", "github__star"]
    assert view.tool_servers == ["files", "github"]
    index = await desk.index.get("anon", HOUSE.tools)
    assert index is not None and set(index.names) == set(view.tools)


@configured(**SEARCH)
async def test_what_is_hidden_was_never_told_which_arguments_are_headers(desk: Desk):
    view = desk.maker.made(ANYONE, HOUSE)
    assert view.lists_tool(Route("github", "star"))
    assert not view.lists_tool(Route("files", "read"))
    assert replace(view, mode=Mode.COMPACT).lists_tool(Route("files", "read"))


@configured(**SEARCH)
async def test_the_list_of_search_mode_is_what_its_clients_get(desk: Desk):
    view = desk.maker.made(ANYONE, HOUSE)
    page = view.pages.page("tools/list", MODERN, "anon", None)
    assert json.loads(b"{%s}" % page)["tools"] == json.loads(desk.maker.search_list(HOUSE))


@configured(**AUTO, costs=Costs(90_000, 60_000, 3_000))
async def test_auto_goes_by_what_was_counted_where_it_was(desk: Desk):
    assert desk.maker.made(ANYONE, HOUSE).mode is Mode.SEARCH


@configured(**AUTO)
async def test_auto_estimates_what_was_not_counted(desk: Desk):
    assert desk.maker.made(ANYONE, HOUSE).mode is Mode.FULL
    large = merged(lists("big", *(f"tool_with_a_rather_long_name_{n}" for n in range(900))))
    assert desk.maker.made(ANYONE, large).mode is Mode.SEARCH


async def test_an_index_that_nothing_asks_for_any_more_is_let_go(desk: Desk):
    await desk.index.get("anon", HOUSE.tools)
    desk.maker.merged(Catalog())
    assert not desk.index._built


# --- a long list ----------------------------------------------------------------------------------------------


class Slices:
    """How many slices the index and the forms were made in; every item is one.

    Neither gets past `HELD` of them before it is let: how far it comes meanwhile is not up to the machine.
    """

    HELD = 400

    def __init__(self) -> None:
        self.counts = {"index": 0, "forms": 0}
        self.may_end = asyncio.Event()

    def of(self, name: str) -> Any:
        async def slices(items: Any) -> AsyncIterator[Any]:
            async for each in in_slices(items, 0.0):
                self.counts[name] += 1
                if self.counts[name] == self.HELD:
                    await self.may_end.wait()
                yield each

        return slices


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> Slices:
    slices = Slices()
    monkeypatch.setattr(tool_index, "in_slices", slices.of("index"))
    monkeypatch.setattr(tool_forms, "in_slices", slices.of("forms"))
    return slices


async def test_handshake_and_lists_do_not_wait_for_the_index(slices: Slices):
    box = StubServer(MODERN, tools=many_tools(1_000), script={"tools/call": echo})
    async with House({"box": box}, context={"mode": "search"}).open() as home:
        await until(lambda: slices.counts["index"] > 10)
        for _ in range(3):
            assert b"serverInfo" in home.gateway.initialize(LEGACY)
            assert len(await home.names()) == 3
            assert len(await home.names(caller=client(LEGACY))) == 3
            assert text_of(await home.call("box__t00007"))["name"] == "t00007"
        # All of that while the index was hardly begun.
        assert slices.counts["index"] <= slices.HELD
        slices.may_end.set()
        params = {"name": "search_tools", "arguments": {"queries": ["t00007"]}}
        first = await home.ask("tools/call", params)
        assert slices.counts["index"] > 1_000
        assert json.loads(first["content"][0]["text"].split("\n")[0])["name"] == "box__t00007"
        # Once for the catalog, not once for each client.
        built = slices.counts["index"]
        await home.ask("tools/call", params, client(LEGACY, session="s"))
        assert slices.counts["index"] == built


async def test_a_long_compact_list_is_made_in_slices_and_once(slices: Slices):
    box = StubServer(MODERN, tools=many_tools(1_000), script={"tools/call": echo})
    async with House({"box": box}, context={"mode": "compact"}).open() as home:
        listing = asyncio.ensure_future(home.names())
        await until(lambda: slices.counts["forms"] > 10)
        assert text_of(await home.call("box__t00007"))["name"] == "t00007"
        assert not listing.done()
        slices.may_end.set()
        assert len(await listing) == 1_000
        assert slices.counts["forms"] == 1_000
        assert len(await home.names(caller=client(LEGACY))) == 1_000
        assert slices.counts["forms"] == 1_000, "not looked at again, as long as the lists are the same"
