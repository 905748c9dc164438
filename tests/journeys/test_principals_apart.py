"""Many principals at once, under a policy that is reloaded all the time: nobody gets what is another's.

Whatever each of them lists, calls, reads, pages through, subscribes to and runs as a task is searched for
canaries, and each tries what it has found of others: sessions, cursors, tasks.
"""

import asyncio
import hashlib
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.gateway import views
from proxy_core.proxy import Proxy
from tests.support.court import Court, canary
from tests.support.gateway_process import remote
from tests.support.http_client import ENVELOPE, META, Client, Reply, modern, request
from tests.support.minting_server import TASK_TOOL, TASKS, MintingServer, minting
from tests.support.wire import messages_of

TOPICS = range(8)
PROFILES = ("red", "green", "blue", "grey")
LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
KNOWS_TASKS = ENVELOPE | {META + "clientCapabilities": {"extensions": {TASKS: {}}}}
PAGE_ITEMS = 4
PAUSE_S = 0.1
"""Between two reloads."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """What one configuration says."""

    topics: dict[str, frozenset[int]]
    """By profile."""
    bound: tuple[str | None, ...]
    """By principal: the profile of its token; None: any that its URL names."""

    def shown(self, who: int, named: str) -> frozenset[int]:
        profile = self.bound[who] or named
        return self.topics[profile] if profile else frozenset(TOPICS)

    def sections(self) -> Json:
        tokens = [
            {"name": f"p{who}", "sha256": hashlib.sha256(token(who).encode()).hexdigest(), "profile": profile}
            for who, profile in enumerate(self.bound)
        ]
        return {"auth": {"tokens": tokens}, "profiles": dict(map(self._profile, enumerate(PROFILES)))}

    def _profile(self, numbered: tuple[int, str]) -> tuple[str, Json]:
        """Every other one says what it allows, the rest what they deny."""
        number, name = numbered
        if number % 2:
            hidden = [topic for topic in TOPICS if topic not in self.topics[name]]
            names = {"deny": [f"*_m{topic}" for topic in hidden]}
            return name, {
                "tools": names,
                "prompts": names,
                "resources": {"deny": [f"doc://m{t}/*" for t in hidden]},
            }
        shown = sorted(self.topics[name])
        return name, {
            "tools": {"allow": [*(f"*__t_m{topic}" for topic in shown), "*__task"]},
            "prompts": {"allow": [f"*__p_m{topic}" for topic in shown]},
            "resources": {"allow": [*(f"doc://m{topic}/*" for topic in shown), "note://*"]},
        }


def token(who: int) -> str:
    return f"o1_token-of-{who}"


def note(who: int) -> str:
    return f"note://{canary(who)}/x"


class Policy:
    """The configurations that follow each other, and which of them may be in force."""

    def __init__(self, principals: int, luck: random.Random) -> None:
        self._luck = luck
        # Every fifth has a token that is good for any profile.
        bound = tuple(None if who % 5 == 0 else luck.choice(PROFILES) for who in range(principals))
        self.versions = [Version(self._topics(), bound)]
        self.in_force = 0
        """The newest that surely is; later ones may be."""

    def next(self) -> None:
        bound = [
            profile if profile is None or self._luck.random() > 0.05 else self._luck.choice(PROFILES)
            for profile in self.versions[-1].bound
        ]
        self.versions.append(Version(self._topics(), tuple(bound)))

    def settled(self) -> None:
        self.in_force = len(self.versions) - 1

    def _topics(self) -> dict[str, frozenset[int]]:
        return {name: frozenset(self._luck.sample(TOPICS, self._luck.randint(2, 6))) for name in PROFILES}


@dataclass
class House:
    url: str
    proxy: Proxy
    policy: Policy
    servers: list[MintingServer]
    http: aiohttp.ClientSession
    court: Court = field(default_factory=Court)
    loot: list[tuple[int, str, Any]] = field(default_factory=list)
    """Whose, which kind, and what: everybody may try it."""
    heard: int = 0


@asynccontextmanager
async def opened(principals: int, fast_path: bool, luck: random.Random) -> AsyncIterator[House]:
    policy = Policy(principals, luck)
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(minting(*TOPICS, is_private=private)) for private in (False, True)
        ]
        fixed = {
            "proxy": {"port": 0},
            "servers": [remote(name, each.url) for name, each in zip(("open", "own"), servers, strict=True)],
            "cache": {
                "tools": {"*__t_m0": {"ttl_seconds": 60}},
                "methods": {"resources/read": {"ttl_seconds": 60}},
            },
            "batching": {"tools": ["*__t_m1"]},
            "limits": {"sessions": 10_000},
        }

        def loaded() -> LoadedConfig:
            return LoadedConfig(Config.model_validate(fixed | policy.versions[-1].sections()))

        proxy = Proxy(loaded(), loaded, fast_path=fast_path)
        await stack.enter_async_context(proxy.started())
        assert await proxy.wait_ready(60)
        # One pool for all: a connection carries whoever comes.
        pool = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=pool))
        yield House(proxy.snapshot().url, proxy, policy, servers, http)


class Principal:
    def __init__(self, house: House, who: int, seed: int) -> None:
        self.house, self.who = house, who
        self.luck = random.Random(seed)
        self.is_bound = house.policy.versions[0].bound[who] is not None
        self.sessions: dict[str, Client] = {}
        """Legacy ones, by the profile in their URL."""

    # --- asking

    def client(self, named: str) -> Client:
        return Client(self.house.http, f"{self.house.url}/{named}".rstrip("/"), token(self.who))

    def _named(self) -> str:
        return "" if self.is_bound else self.luck.choice(("", *PROFILES))

    async def ask(self, method: str, params: Json, named: str, meta: Json | None = None) -> "Got":
        first = self.house.policy.in_force
        legacy = meta is None and self.luck.random() < 0.4
        reply = await (
            self._ask_legacy(method, params, named) if legacy else self._ask(method, params, named, meta)
        )
        versions = self.house.policy.versions[first:]
        shown = [version.shown(self.who, named) for version in versions]
        self.house.court.judge(method, self.who, reply.body, frozenset().union(*shown))
        return Got(reply, shown[0] if len(shown) == 1 else None)

    async def _ask(self, method: str, params: Json, named: str, meta: Json | None) -> Reply:
        return await self.client(named).ask(method, params, meta=meta)

    async def _ask_legacy(self, method: str, params: Json, named: str) -> Reply:
        for _ in range(20):
            client = self.sessions.get(named)
            if client is None:
                client = self.client(named)
                await client.initialize()
                if client.session_id is None:
                    continue
                self.sessions[named] = client
                self.house.loot.append((self.who, "session", client.session_id))
            reply = await client.post(request(method, params))
            if reply.status != 404:
                return reply
            # It ended with what its token was bound to.
            del self.sessions[named]
        raise AssertionError("no session holds")

    # --- what it does

    async def lives(self, rounds: int) -> None:
        deeds = (self.lists, self.calls, self.reads, self.gets, self.completes, self.runs, self.steals)
        for _ in range(rounds):
            await self.luck.choice(deeds)()

    async def lists(self) -> None:
        method, named, cursor = self.luck.choice(LISTS), self._named(), None
        for _ in range(3):
            got = await self.ask(method, {} if cursor is None else {"cursor": cursor}, named)
            cursor = got.answer.get("result", {}).get("nextCursor")
            if cursor is None:
                return
            self.house.loot.append((self.who, method, cursor))

    async def calls(self) -> None:
        topic = self.luck.choice(TOPICS)
        name = f"{self.luck.choice(('open', 'own'))}__t_m{topic}"
        got = await self.ask("tools/call", {"name": name, "arguments": self._marked()}, self._named())
        got.is_as_shown(topic, f"Unknown tool: {name}", canary(self.who))

    async def gets(self) -> None:
        topic = self.luck.choice(TOPICS)
        name = f"{self.luck.choice(('open', 'own'))}__p_m{topic}"
        got = await self.ask("prompts/get", {"name": name, "arguments": self._marked()}, self._named())
        got.is_as_shown(topic, f"Unknown prompt: {name}", canary(self.who))

    async def reads(self) -> None:
        topic = self.luck.choice(TOPICS)
        uri = f"{self.luck.choice(('', 'own+'))}doc://m{topic}/{canary(self.who)}{self.luck.randint(0, 2)}"
        got = await self.ask("resources/read", {"uri": uri}, self._named())
        got.is_as_shown(topic, "Resource not found", canary(self.who))

    async def completes(self) -> None:
        topic = self.luck.choice(TOPICS)
        ref = self.luck.choice(
            (
                {"type": "ref/prompt", "name": f"own__p_m{topic}"},
                {"type": "ref/resource", "uri": f"doc://m{topic}/{{name}}"},
            )
        )
        params = {"ref": ref, "argument": {"name": "name", "value": canary(self.who)}}
        got = await self.ask("completion/complete", params, self._named())
        got.is_as_shown(topic, "The ref names nothing that is known here.", "MINT-")

    async def runs(self) -> None:
        """A task, which is its own under the same profile alone."""
        named, params = self._named(), {"name": f"open__{TASK_TOOL}", "arguments": self._marked()}
        got = await self.ask("tools/call", params, named, KNOWS_TASKS)
        made = got.answer.get("result", {}).get("taskId")
        assert made is not None or got.shown is None, got.answer
        self.house.loot.append((self.who, "task", made))
        ended = await self.ask("tasks/get", {"taskId": made}, named, KNOWS_TASKS)
        if got.shown is not None and got.shown is ended.shown:
            assert canary(self.who) in str(ended.answer), ended.answer

    async def steals(self) -> None:
        others = [each for each in self.house.loot[-500:] if each[0] != self.who]
        if not others:
            return
        _, kind, what = self.luck.choice(others)
        if kind == "session":
            client = self.client(self._named())
            client.session_id = what
            way = self.luck.choice(("POST", "DELETE", "GET"))
            body = request("tools/list") if way == "POST" else None
            reply = await client.send(way, body, headers=client.legacy_headers())
            assert reply.status == 404, reply
            self.house.court.judge("a session of another", self.who, reply.body, ())
            return
        method, meta = ("tasks/get", KNOWS_TASKS) if kind == "task" else (kind, None)
        got = await self.ask(method, {"taskId" if kind == "task" else "cursor": what}, self._named(), meta)
        assert "result" not in got.answer
        if got.answer:
            # Another code is of a token that was bound to another profile meanwhile.
            codes = (-32602,) if got.shown is not None else (-32602, -32600)
            assert got.answer["error"]["code"] in codes, got.answer
        self.house.court.judge("what is another's", self.who, got.reply.body, ())

    def _marked(self) -> Json:
        return {"canary": canary(self.who)}

    # --- what it hears

    async def listens(self) -> None:
        """For as long as it lives, over one stream after another."""
        kinds = dict.fromkeys(("toolsListChanged", "promptsListChanged", "resourcesListChanged"), True)
        wanted = {"notifications": kinds | {"resourceSubscriptions": [note(self.who)]}}
        for number in itertools.count():
            body, headers = modern("subscriptions/listen", wanted, id=f"{canary(self.who)}{number}")
            async with self.client("").stream("POST", body, headers=headers) as stream:
                while heard := await stream.response.content.readuntil(b"\r\n\r\n"):
                    self.house.court.judge("a stream", self.who, heard)
                    self.house.heard += b"resources/updated" in heard


@dataclass
class Got:
    reply: Reply
    shown: frozenset[int] | None
    """The topics that were shown all the time; None: a reload came in between."""

    @property
    def answer(self) -> Json:
        """Empty for a call that ended with its session, which a reload has ended."""
        messages: list[Json] = messages_of(self.reply)
        assert messages or self.shown is None
        return messages[-1] if messages else {}

    def is_as_shown(self, topic: int, unknown: str, mark: str) -> None:
        """Answered if it is shown, else refused in the words for what never was."""
        if self.shown is None:
            return
        if topic in self.shown:
            assert mark in str(self.answer["result"]), self.answer
        else:
            assert self.answer["error"]["message"] == unknown, (self.answer, topic, self.shown)


async def reload_until(house: House, done: asyncio.Event) -> int:
    """How many reloads there were."""
    for number in itertools.count():
        if done.is_set():
            return number
        house.policy.next()
        await house.proxy.apply_reload()
        house.policy.settled()
        await asyncio.sleep(PAUSE_S)
    raise AssertionError


async def tell_until(house: House, done: asyncio.Event, luck: random.Random, principals: int) -> None:
    while not done.is_set():
        house.servers[0].tell(note(luck.randrange(principals)))
        await asyncio.sleep(0.005)


@pytest.mark.requirement("C04")
@pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("principals", "rounds"),
    [
        (12, 25),
        pytest.param(200, 50, marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
async def test_no_principal_gets_what_is_anothers_or_what_its_profile_does_not_show(
    principals: int, rounds: int, fast_path: bool, monkeypatch: pytest.MonkeyPatch
):
    # So that lists of this size have cursors.
    monkeypatch.setattr(views, "PAGE_ITEMS", PAGE_ITEMS)
    luck = random.Random(principals)
    async with opened(principals, fast_path, luck) as house:
        crowd = [Principal(house, who, seed=who) for who in range(principals)]
        done = asyncio.Event()
        ears = [asyncio.ensure_future(each.listens()) for each in crowd]
        reloading = asyncio.ensure_future(reload_until(house, done))
        telling = asyncio.ensure_future(tell_until(house, done, luck, principals))
        try:
            await asyncio.gather(*(each.lives(rounds) for each in crowd))
            done.set()
            reloads = await reloading
            await telling
        finally:
            for task in (*ears, reloading, telling):
                task.cancel()
            await asyncio.gather(*ears, reloading, telling, return_exceptions=True)
        court = house.court
    print(
        f"{sum(court.judged.values())} answers of {principals} principals under {reloads} reloads: "
        f"{dict(court.judged)}; {house.heard} updates heard; in them {dict(court.evidence)}; "
        f"{len(court.leaks)} leaks"
    )
    assert court.leaks == []
    assert reloads > 1 and house.heard > 0
    assert min(court.judged[each] for each in ("a session of another", "what is another's", "a stream")) > 0
    assert min(court.evidence[each] for each in ("canary", "mint", "topic")) > principals


@pytest.mark.parametrize(
    ("received", "leak"),
    [
        (b"CANARY-2-", "the canary of 2"),
        (b"MINT-7-", "mint 7, which 2 has"),
        (b"TOPIC-5-", "topic 5, and may have [1]"),
    ],
)
def test_the_court_sees_each_kind_of_leak(received: bytes, leak: str):
    court = Court()
    court.judge("an answer", 2, b"MINT-7-", ())
    court.judge("an answer", 1, b"CANARY-1- MINT-8- TOPIC-1-", (1,))
    assert court.leaks == []
    court.judge("an answer", 1, received, (1,))
    assert len(court.leaks) == 1 and leak in court.leaks[0]
