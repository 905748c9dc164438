"""Profiles over the wire: what is denied is as if it were not there, and a reload of it is in force at once."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.gateway_process import remote
from tests.support.http_client import Client, Reply, Stream, modern, request
from tests.support.minting_server import MintingServer, minting
from tests.support.wire import ask, call, comes_true, connected, messages_of, tool_names

BOTH_ERAS = pytest.mark.parametrize("era", ["modern", "legacy"])
BOTH_PATHS = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "slow"])
DENY_2 = {"deny": ["*_m2"]}
REVIEW = {
    "servers": ["box"],
    "tools": DENY_2,
    "prompts": DENY_2,
    "resources": {"deny": ["doc://m2/*"]},
}
Json = dict[str, Any]


@dataclass
class House:
    """A gateway in this process, with one server that `review` shows in part, and one that it hides."""

    box: MintingServer
    dark: MintingServer
    profiles: Json
    url: str = ""
    proxy: Proxy | None = None
    more: Json = field(default_factory=dict)

    @property
    def servers(self) -> list[Json]:
        return [remote("box", self.box.url, tools={"deny": ["gone"]}), remote("dark", self.dark.url)]

    @property
    def loaded(self) -> LoadedConfig:
        given = {"proxy": {"port": 0}, "servers": self.servers, "profiles": self.profiles}
        return LoadedConfig(Config.model_validate(given | self.more))

    async def reload(self, **profiles: Json) -> None:
        self.profiles = profiles
        assert self.proxy is not None
        await self.proxy.apply_reload()


@asynccontextmanager
async def opened(
    fast_path: bool = True, hidden: tuple[int, ...] = (2,), more: Json | None = None, **profiles: Json
) -> AsyncIterator[House]:
    """`more`: other sections of the configuration, in place of its own."""
    async with AsyncExitStack() as stack:
        tools = ("gone", "list_invoices", *(f"make_invoicez_m{number}" for number in hidden))
        box = await stack.enter_async_context(minting(1, *hidden, tools=tools))
        dark = await stack.enter_async_context(minting(1, *hidden))
        house = House(box, dark, profiles or {"review": REVIEW}, more=more or {})
        proxy = house.proxy = Proxy(house.loaded, lambda: house.loaded, fast_path=fast_path)
        await stack.enter_async_context(proxy.started())
        assert await proxy.wait_ready(60)
        house.url = proxy.snapshot().url
        yield house


async def raw(client: Client, method: str, params: Json) -> Reply:
    if client.session_id is None:
        return await client.ask(method, params)
    return await client.post(request(method, params))


def answer_of(reply: Reply, name: str) -> tuple[int, dict[str, str], bytes]:
    """All of it, but for the date and the name that was asked for, which are equally long here."""
    headers = {key.lower(): value for key, value in reply.headers.items()}
    headers.pop("date", None)
    return reply.status, headers, reply.body.replace(name.encode(), b"<name>")


def called(name: str) -> tuple[str, Json]:
    return "tools/call", {"name": name, "arguments": {}}


def got(name: str) -> tuple[str, Json]:
    return "prompts/get", {"name": name}


def read(uri: str) -> tuple[str, Json]:
    return "resources/read", {"uri": uri}


def subscribed(uri: str) -> tuple[str, Json]:
    return "resources/subscribe", {"uri": uri}


def completed_prompt(name: str) -> tuple[str, Json]:
    return completed({"type": "ref/prompt", "name": name})


def completed_template(uri: str) -> tuple[str, Json]:
    return completed({"type": "ref/resource", "uri": uri})


def completed(ref: Json) -> tuple[str, Json]:
    return "completion/complete", {"ref": ref, "argument": {"name": "x", "value": ""}}


PAIRS: list[tuple[Callable[[str], tuple[str, Json]], str, str]] = [
    (called, "box__t_m2", "box__t_zz"),
    (called, "t_m2", "t_zz"),
    (called, "box__gone", "box__gine"),
    (called, "dark__t_m1", "dusk__t_m1"),
    (called, "dark__new", "dusk__new"),
    (got, "box__p_m2", "box__p_zz"),
    (got, "dark__p_m1", "dusk__p_m1"),
    (read, "doc://m2/main", "doc://zz/main"),
    (read, "doc://m2/other", "doc://zz/other"),
    (read, "doc://m2/o%74her", "doc://zz/o%74her"),
    (read, "box+doc://m2/main", "bax+doc://m2/main"),
    (read, "dark+doc://m1/main", "dusk+doc://m1/main"),
    (completed_prompt, "box__p_m2", "box__p_zz"),
    (completed_template, "doc://m2/{name}", "doc://zz/{name}"),
    (completed_template, "dark+doc://m1/{name}", "dusk+doc://m1/{name}"),
]


@pytest.mark.requirement("A09")
@BOTH_ERAS
@BOTH_PATHS
async def test_a_denied_name_is_answered_byte_for_byte_as_one_that_never_was(era: str, fast_path: bool):
    async with opened(fast_path) as house, connected(f"{house.url}/review", era) as client:
        also = [(subscribed, denied, unknown) for how, denied, unknown in PAIRS if how is read]
        for how, denied, unknown in [*PAIRS, *(also if era == "legacy" else [])]:
            assert len(denied) == len(unknown)
            one, other = [answer_of(await raw(client, *how(name)), name) for name in (denied, unknown)]
            assert one == other, (denied, unknown)
            assert b'"error":{"code":-32' in one[2], one


@BOTH_ERAS
@BOTH_PATHS
async def test_the_same_names_are_there_for_whoever_may_have_them(era: str, fast_path: bool):
    async with opened(fast_path) as house, connected(house.url, era) as client:
        for how, name, _ in PAIRS:
            # `t_m2` is of two servers here, nobody has `new`, and `gone` is denied to all.
            if name not in ("t_m2", "box__gone", "dark__new"):
                answer = messages_of(await raw(client, *how(name)))[-1]
                assert "result" in answer, (name, answer)


@BOTH_ERAS
async def test_a_denied_name_is_absent_from_every_list(era: str):
    async with opened() as house, connected(f"{house.url}/review", era) as client:
        said = ""
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            said += json.dumps(await ask(client, method))
        for shown in ("TOPIC-1-", "box__p_m1", "doc://m1/{name}"):
            assert shown in said
        for secret in ("TOPIC-2-", "m2", "dark", "gone"):
            assert secret not in said


SEARCHES = [
    ("search_tools", {"queries": ["TOPIC-2- t_m2"]}),
    ("search_tools", {"queries": ["invoicez"]}),
    ("search_tools", {"queries": ["m2"], "server": "dark"}),
    ("describe_tools", {"names": ["box__t_m2", "dark__t_m1", "box__gone"]}),
    ("call_tool", {"name": "box__t_m2", "arguments": {}}),
    ("call_tool", {"name": "t_m2", "arguments": {}}),
    ("call_tool", {"name": "dark__t_m1", "arguments": {}}),
]


@pytest.mark.requirement("A09")
@BOTH_ERAS
async def test_models_that_search_are_told_as_if_what_is_denied_had_never_been(era: str):
    """Nor by what else is found: a word that only a hidden tool has is a word that nobody has."""

    async def said(hidden: tuple[int, ...]) -> list[Any]:
        async with opened(hidden=hidden, review=REVIEW | {"context": "search"}) as house:
            async with connected(f"{house.url}/review", era) as client:
                return [(await call(client, *each))["result"] for each in SEARCHES]

    with_it = await said((2,))
    assert with_it == await said(())
    assert "list_invoices" in json.dumps(with_it[1])
    assert "TOPIC-2-" not in json.dumps(with_it)


@asynccontextmanager
async def ears(url: str, era: str, *uris: str) -> AsyncIterator[tuple[Client, Stream]]:
    """A client that hears of all lists and of these resources, and its stream."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(url, era))
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            await ask(client, method)
        if era == "legacy":
            stream = await stack.enter_async_context(client.stream("GET", headers=client.legacy_headers()))
            for uri in uris:
                assert (await ask(client, "resources/subscribe", {"uri": uri}))["result"] == {}
        else:
            kinds = dict.fromkeys(("toolsListChanged", "promptsListChanged", "resourcesListChanged"), True)
            wanted = kinds | {"resourceSubscriptions": list(uris)}
            body, headers = modern("subscriptions/listen", {"notifications": wanted}, id="l")
            stream = await stack.enter_async_context(client.stream("POST", body, headers=headers))
            assert (await stream.next())["params"]["notifications"] == wanted
        yield client, stream


async def heard(stream: Stream, count: int) -> list[str]:
    """The next messages, sorted: their methods, and the URI of what was updated."""
    messages = [await stream.next() for _ in range(count)]
    return sorted(each.get("params", {}).get("uri") or each["method"].split("/", 1)[1] for each in messages)


LISTS = ["prompts/list_changed", "resources/list_changed", "tools/list_changed"]


@BOTH_ERAS
@BOTH_PATHS
async def test_a_reload_is_in_force_for_lists_calls_and_streams_that_are_open(era: str, fast_path: bool):
    one, two, below = "doc://m1/main", "doc://m2/main", "doc://m2/other"
    async with opened(fast_path, review={"servers": ["box"]}, other={}) as house:
        async with (
            ears(f"{house.url}/review", era, one, two, below) as (client, stream),
            ears(f"{house.url}/other", era, one, two) as (_, others),
        ):
            assert "box__t_m2" in await tool_names(client)
            for uri in (one, two, below):
                house.box.tell(uri)
            assert await heard(stream, 3) == sorted([one, two, below])

            await house.reload(review=REVIEW, other={})
            # In force when the reload has ended: not one of the old names is good any more.
            assert "box__t_m2" not in await tool_names(client)
            for method, params in (called("box__t_m2"), got("box__p_m2"), read(two), read(below)):
                assert (await ask(client, method, params))["error"]["code"] in (-32602, -32002)
            for uri in (two, below, one):
                house.box.tell(uri)
            assert await heard(stream, 4) == [one, *LISTS], "and nothing of what is denied"
            await comes_true(lambda: below not in house.box.wanted, "nobody wants to hear of it")

            await house.reload(review={"servers": ["box"]}, other={})
            assert "box__t_m2" in await tool_names(client)
            # Both are subscribed to again, and told of, since they may have changed meanwhile.
            assert await heard(stream, 5) == sorted([two, below, *LISTS])
            house.box.tell(two)
            assert await heard(stream, 1) == [two]
            assert await heard(others, 5) == sorted([one, one, two, two, two]), "and of no list"


@BOTH_ERAS
async def test_what_is_open_under_a_profile_that_is_gone_ends(era: str):
    async with opened(review=REVIEW, other={}) as house:
        async with ears(f"{house.url}/review", era, "doc://m1/main") as (client, stream):
            await house.reload(other={})
            await stream.rest()
            assert (await raw(client, "tools/list", {})).status == 404


async def test_a_profile_is_chosen_by_token_and_by_url_and_by_nothing_else():
    names = {"ann": "review", "bob": None}
    tokens = [
        {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "profile": profile}
        for name, profile in names.items()
    ]
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(opened(review=REVIEW, other={"servers": ["dark"]}))
        house.more = {"auth": {"tokens": tokens}}
        await house.reload(**house.profiles)

        async def tools(token: str, path: str, **headers: str) -> Any:
            async with connected(house.url + path, token=token) as client:
                reply = await client.ask("tools/list", headers=headers)
                if reply.status != 200:
                    return reply.status
                return sorted({tool["name"].split("__")[0] for tool in reply.json["result"]["tools"]})

        assert await tools("ann", "") == await tools("ann", "/review") == ["box"]
        assert await tools("ann", "/other") == await tools("ann", "/nothing") == 403
        assert await tools("bob", "") == ["box", "dark"]
        assert await tools("bob", "/other") == ["dark"]
        assert await tools("bob", "/nothing") == 404
        assert await tools("ann", "", **{"X-Profile": "other", "Mcp-Profile": "other"}) == ["box"]
