"""The bytes of lists, from one catalog to the next. Counted, never timed."""

from typing import Any

import pytest
from msgspec.structs import replace

from proxy_core.catalog.merge import Item, Merger, ServerLists
from proxy_core.config.models import RoutingConfig
from proxy_core.gateway import views
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.sealed import Sealer
from tests.proxy_core.catalog.lists import lists

MODERN, LEGACY = "2026-07-28", "2025-11-25"
TOOLS = "tools/list"


def no_sealer() -> Sealer:
    raise AssertionError("one page needs no cursor")


class House:
    """One server after the other that is merged, and which of its tools were written anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.merger = Merger()
        self.written: list[str] = []
        written, normalise = self.written, views.NORMALISERS[TOOLS]

        def counted(item: Item, revision: str) -> Item:
            written.append(item["name"])
            return normalise(item, revision)

        monkeypatch.setattr(views, "NORMALISERS", {**views.NORMALISERS, TOOLS: counted})

    def views(self, *servers: ServerLists, before: ListViews | None = None, **how: Any) -> ListViews:
        return ListViews(self.merger.merged(servers, RoutingConfig()), no_sealer, before=before, **how)

    def taken(self) -> list[str]:
        names = list(self.written)
        self.written.clear()
        return names


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def page(pages: ListViews, revision: str = MODERN) -> bytes:
    return pages.page(TOOLS, revision, "", None)


def changed(server: ServerLists, tool: str) -> ServerLists:
    tools = tuple({**item, "title": "New"} if item["name"] == tool else item for item in server.tools)
    return replace(server, tools=tools)


ALPHA, BETA = lists("alpha", "a", "b"), lists("beta", "c")


def test_one_changed_tool_is_written_anew_and_no_other(house: House):
    first = house.views(ALPHA, BETA)
    page(first)
    assert house.taken() == ["alpha__a", "alpha__b", "beta__c"]
    servers = changed(ALPHA, "b"), BETA
    second = house.views(*servers, before=first)
    found = page(second)
    assert house.taken() == ["alpha__b"]
    assert found == page(House.views(house, *servers))
    assert b'"New"' in found and found.count(b'"name":"alpha__a"') == 1


def test_what_nobody_asked_for_meanwhile_is_remembered_from_before(house: House):
    first = house.views(ALPHA, BETA)
    page(first)
    house.taken()
    unasked = house.views(changed(ALPHA, "a"), BETA, before=first)
    page(house.views(changed(ALPHA, "b"), BETA, before=unasked))
    assert house.taken() == ["alpha__a", "alpha__b"]


def test_each_revision_has_bytes_of_its_own(house: House):
    first = house.views(ALPHA)
    page(first, LEGACY)
    house.taken()
    second = house.views(ALPHA, before=first)
    page(second)
    assert house.taken() == ["alpha__a", "alpha__b"]
    page(second, LEGACY)
    assert house.taken() == []


def test_shortened_tools_are_not_taken_for_whole_ones(house: House):
    long = replace(
        ALPHA, tools=({"name": "a", "description": "Adds. " + "And so on. " * 200, "inputSchema": {}},)
    )
    forms = ToolForms()
    short = house.views(long, forms=forms)
    whole = house.views(long, before=short)
    assert len(page(short)) < len(page(whole))
    assert page(house.views(long, forms=forms, before=whole)) == page(short)


def test_the_views_before_are_left_as_they_are(house: House):
    first = house.views(ALPHA)
    found = page(first)
    page(house.views(changed(ALPHA, "a"), before=first))
    house.taken()
    assert page(first) == found and first._view(TOOLS, MODERN).items
    assert house.taken() == []
