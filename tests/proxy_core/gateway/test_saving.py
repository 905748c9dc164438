"""Kept answers and joined requests, through the whole gateway: what is asked of a server, and who gets what."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from proxy_core.errors import BackendError, BackendExited, BackendUnavailable, Only1Error
from proxy_core.gateway.cache import Cause
from proxy_core.protocol.revisions import MODERN
from proxy_core.telemetry.snapshot import ServerState
from tests.support.clock import FakeClock
from tests.support.scripted_channel import CRASHED, Asked, refuses, until
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    LEGACY,
    House,
    Item,
    Outbox,
    StubServer,
    asking_for,
    client,
    echo,
    entry,
    prompt,
    resource,
    template,
    text_of,
    tool,
)

READ = "resources/read"
A = {"uri": "file:///a"}
FOR_ANN, FOR_BOB = "token:ann", "token:bob"
READS = {"methods": {READ: {"ttl_seconds": 60}}}
STALE = "dev.only1mcp/stale"


def library(revision: str = MODERN, hints: Item | None = None, **more: Any) -> StubServer:
    """Every resource tells how often the server has been read."""
    box = StubServer(
        revision,
        resources=[resource("file:///a"), resource("file:///b"), resource("file:///dir/")],
        templates=[template("file:///{+any}")],
        offers={"resources": {"listChanged": True, "subscribe": True}},
        **more,
    )
    own = hints if hints is not None else {"ttlMs": 30_000, "cacheScope": "public"}

    def read(asked: Asked) -> None:
        uri, count = asked.params["uri"], box.count(READ)
        result = {"contents": [{"uri": uri, "text": f"{uri} {count}"}]}
        asked.answer(result | (own if revision == MODERN else {}))

    box.on(READ, read)
    return box


def house(box: StubServer, clock: FakeClock | None = None, **config: Any) -> House:
    return House({"box": box}, clock or FakeClock(), **{"cache": READS} | config)


async def read(place: House, uri: str = "file:///a", caller: Any = None) -> Item:
    result: Item = await place.ask(READ, {"uri": uri}, caller)
    return result


def text(result: Item) -> str:
    return str(result["contents"][0]["text"])


# --- reads ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("C01")
async def test_a_read_is_kept_as_long_as_its_server_says_and_the_rest_of_the_time_is_told(clock: FakeClock):
    box = library()
    async with house(box, clock).open() as place:
        first = await read(place)
        clock.advance(12.5)
        second = await read(place)
        assert (first["ttlMs"], second["ttlMs"], second["cacheScope"]) == (30_000, 17_500, "public")
        assert first | {"ttlMs": 17_500} == second
        clock.advance(17.6)
        assert text(await read(place)) == "file:///a 2"
        assert box.count(READ) == 2


async def test_a_kept_answer_is_no_call_of_its_server(clock: FakeClock):
    async with house(library(), clock).open() as place:
        for _ in range(3):
            await read(place)
        assert [fact.server for fact in place.finished] == ["box", None, None]
        assert {fact.target for fact in place.finished} == {"file:///a"}


async def test_ours_counts_where_it_is_shorter(clock: FakeClock):
    box = library()
    async with house(box, clock, cache={"methods": {READ: {"ttl_seconds": 5}}}).open() as place:
        await read(place)
        clock.advance(5.1)
        assert text(await read(place)) == "file:///a 2"


async def test_by_default_no_read_is_kept():
    box = library()
    async with House({"box": box}).open() as place:
        for count in (1, 2):
            assert text(await read(place)) == f"file:///a {count}"


async def test_a_switched_off_cache_keeps_nothing():
    box = library()
    async with house(box, cache={"enabled": False} | READS).open() as place:
        for count in (1, 2):
            assert text(await read(place)) == f"file:///a {count}"


@pytest.mark.requirement("C03")
@pytest.mark.parametrize("hints", [{"ttlMs": 0}, {"ttlMs": -5}, {"ttlMs": "60"}, {}])
async def test_a_server_that_gives_no_time_is_asked_each_time(hints: Item):
    box = library(hints=hints)
    async with house(box).open() as place:
        await read(place)
        assert text(await read(place)) == "file:///a 2"


async def test_a_legacy_answer_is_kept_as_the_configuration_says_and_told_as_good_for_nobody(clock: FakeClock):
    box = library(LEGACY)
    async with house(box, clock).open() as place:
        for _ in range(2):
            result = await read(place)
            assert (text(result), result["ttlMs"], result["cacheScope"]) == ("file:///a 1", 0, "private")
        clock.advance(61)
        assert text(await read(place)) == "file:///a 2"


async def test_each_revision_gets_the_answer_in_its_own_terms():
    box = library()
    async with house(box).open() as place:
        modern, legacy = await read(place), await read(place, caller=client(LEGACY))
        assert "ttlMs" in modern and "ttlMs" not in legacy and "resultType" not in legacy
        assert await read(place, caller=client(LEGACY)) == legacy
        assert box.count(READ) == 2


@pytest.mark.requirement("C04")
@pytest.mark.parametrize(
    ("revision", "hints"),
    [(MODERN, {"ttlMs": 30_000, "cacheScope": "private"}), (MODERN, {"ttlMs": 30_000}), (LEGACY, None)],
)
async def test_what_is_not_called_public_is_each_principals_own(revision: str, hints: Item | None):
    box = library(revision, hints)
    async with house(box).open() as place:
        seen = {}
        for principal in (FOR_ANN, FOR_BOB, FOR_ANN, FOR_BOB):
            got = text(await read(place, caller=client(MODERN, principal=principal)))
            assert seen.setdefault(principal, got) == got
        assert seen[FOR_ANN] != seen[FOR_BOB]
        assert box.count(READ) == 2


async def test_what_is_public_is_shared_by_all():
    box = library()
    async with house(box).open() as place:
        for principal in (FOR_ANN, FOR_BOB):
            assert text(await read(place, caller=client(MODERN, principal=principal))) == "file:///a 1"


async def test_sessions_that_are_kept_apart_share_no_answer():
    box = library(LEGACY)
    async with house(box, settings={"box": {"isolation": "session"}}).open() as place:
        one, other = (client(LEGACY, session=session) for session in ("s1", "s2"))
        assert text(await read(place, caller=one)) == "file:///a 1"
        assert text(await read(place, caller=other)) == "file:///a 2"
        assert text(await read(place, caller=one)) == "file:///a 1"


@pytest.mark.requirement("C06")
async def test_what_a_client_was_asked_for_is_never_kept():
    box = library()
    box.on(READ, lambda asked: asked.answer(asking_for({"r1": entry("elicitation/create", FORM)}, "s")))
    async with house(box).open() as place:
        asked_for = await place.ask(READ, A, client(MODERN, capabilities=ALL))
        assert asked_for["resultType"] == "input_required"
        done = {"contents": [{"uri": A["uri"], "text": "Ann's"}], "ttlMs": 30_000, "cacheScope": "public"}
        box.on(READ, lambda asked: asked.answer(done))
        retry = A | {"requestState": asked_for["requestState"], "inputResponses": {"r1": ANN}}
        answered = await place.ask(READ, retry, client(MODERN, capabilities=ALL))
        assert (text(answered), answered["ttlMs"], answered["cacheScope"]) == ("Ann's", 0, "private")
        await read(place)
        assert box.count(READ) == 3


async def test_what_a_legacy_server_asked_on_the_way_is_never_kept():
    box = library(LEGACY)
    box.script.pop(READ)
    async with house(box).open() as place:
        outbox = Outbox(elicitation=ANN)
        call = place.begin(READ, A, client(LEGACY, capabilities=ALL, session="s"), outbox)
        asked = await box.next(READ)
        box.asks("q", "elicitation/create", asked, **FORM)
        await box.next("")
        asked.answer({"contents": [{"uri": A["uri"], "text": "Ann's"}]})
        await call
        again = place.begin(READ, A, client(LEGACY, capabilities=ALL, session="s"))
        (await box.next(READ)).answer({"contents": [{"uri": A["uri"], "text": "new"}]})
        assert text(await again) == "new"


@pytest.mark.parametrize("code", [-32603, -32602, -32002])
async def test_errors_are_never_kept(code: int):
    box = library()
    box.on(READ, refuses(code))
    async with house(box).open() as place:
        for _ in range(2):
            with pytest.raises(Only1Error):
                await read(place)
        assert box.count(READ) == 2


# --- invalidation ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updated", "is_dropped"),
    [("file:///a", True), ("file:///dir/x", False), ("file:///a/sub", True), ("file:///ab", False)],
)
async def test_an_update_drops_what_was_read_of_it(updated: str, is_dropped: bool):
    box = library()
    async with house(box).open() as place:
        await read(place)
        place.gateway.resource_updated("box", updated)
        assert text(await read(place)) == f"file:///a {2 if is_dropped else 1}"


@pytest.mark.requirement("C05")
async def test_a_changed_list_drops_what_may_rest_on_it():
    box = library()
    async with house(box).open() as place:
        await read(place)
        box.changes("resources", [resource("file:///a")])
        await until(lambda: box.count("resources/list") == 2)
        assert text(await read(place)) == "file:///a 2"
        assert place.gateway.cache.counts[READ, "box"].evictions == {Cause.LIST_CHANGED: 1}


async def test_a_server_that_is_drained_has_nothing_kept():
    box = library()
    async with house(box).open() as place:
        await read(place)
        await place.backend("box").drain(0)
        assert len(place.gateway.cache) == 0
        await place.backend("box").resume()
        await place.reached("box", ServerState.HEALTHY)
        assert text(await read(place)) == "file:///a 2"


async def test_a_server_that_was_lost_is_asked_anew():
    box = library()
    async with house(box).open() as place:
        await read(place)
        box.line.ends(CRASHED)
        await until(lambda: len(place.gateway.cache) == 0)
        assert text(await read(place)) == "file:///a 2"


async def test_clearing_makes_everything_cold_or_one_server_alone():
    box, web = library(), StubServer(tools=[tool("search")])
    async with House({"box": box, "web": web}, cache=READS).open() as place:
        await read(place)
        assert place.gateway.clear_cache("web") == 0
        assert text(await read(place)) == "file:///a 1"
        assert place.gateway.clear_cache() == 1
        assert text(await read(place)) == "file:///a 2"
        await place.names()
        assert web.count("tools/list") == 2
        await place.names("resources/list")
        assert box.count("resources/list") == 2


@pytest.mark.parametrize("how", ["updated", "list_changed", "cleared", "drained"])
async def test_an_answer_asked_for_before_an_invalidation_is_given_to_no_later_request(how: str):
    box = library()
    box.script.pop(READ)
    async with house(box).open() as place:
        before = place.begin(READ, A)
        old = await box.next(READ)
        match how:
            case "updated":
                place.gateway.resource_updated("box", "file:///a")
            case "list_changed":
                place.gateway.lists_invalid("box", ("resources/list",))
            case "cleared":
                place.gateway.clear_cache()
            case "drained":
                place.gateway.state_changed("box", ServerState.HEALTHY, ServerState.DRAINING)
        during = place.begin(READ, A)
        new = await box.next(READ)
        hints = {"ttlMs": 30_000, "cacheScope": "public"}
        old.answer({"contents": [{"uri": A["uri"], "text": "old"}]} | hints)
        new.answer({"contents": [{"uri": A["uri"], "text": "new"}]} | hints)
        assert (text(await before), text(await during)) == ("old", "new")
        assert text(await read(place)) == "new"


# --- stale answers --------------------------------------------------------------------------------------------


async def test_a_stale_answer_stands_in_while_its_server_is_down_and_says_so(clock: FakeClock):
    box = library()
    async with house(box, clock, cache=READS | {"stale_if_error_seconds": 60}).open() as place:
        await read(place)
        clock.advance(7)
        box.on("server/discover", refuses(-32601))
        box.on("initialize", refuses(-32603))
        box.line.ends(CRASHED)
        await place.reached("box", ServerState.RESTARTING)
        stale = await read(place)
        assert (text(stale), stale["_meta"][STALE], stale["ttlMs"]) == ("file:///a 1", 7, 0)
        with pytest.raises((BackendUnavailable, BackendExited)):
            await read(place, "file:///b")
        clock.advance(61)
        with pytest.raises((BackendUnavailable, BackendExited)):
            await read(place)


async def test_an_invalidated_answer_does_not_stand_in(clock: FakeClock):
    box = library()
    async with house(box, clock, cache=READS | {"stale_if_error_seconds": 60}).open() as place:
        await read(place)
        place.gateway.resource_updated("box", "file:///a")
        box.on("server/discover", refuses(-32601))
        box.on("initialize", refuses(-32603))
        box.line.ends(CRASHED)
        await place.reached("box", ServerState.RESTARTING)
        with pytest.raises((BackendUnavailable, BackendExited)):
            await read(place)


# --- joining --------------------------------------------------------------------------------------------------


async def test_equal_reads_at_the_same_time_are_one_call_and_each_has_its_own_answer():
    box = library(LEGACY)
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        callers = [client(MODERN), client(LEGACY), client("2024-11-05"), client(MODERN)]
        asked = [place.begin(READ, A | {"_meta": {"x": each.revision}}, each) for each in callers]
        (await box.next(READ)).answer({"contents": [{"uri": A["uri"], "text": "one"}]})
        results = await asyncio.gather(*asked)
        assert [text(each) for each in results] == ["one"] * 4
        assert ["resultType" in each for each in results] == [True, False, False, True]
        assert box.count(READ) == 1


@pytest.mark.parametrize(
    "other",
    [
        client(MODERN, principal=FOR_ANN),
        client(MODERN, capabilities=ALL),
        client(MODERN, log_level="debug"),
        client(MODERN, affinity="x"),
    ],
)
async def test_who_may_be_answered_otherwise_is_not_joined(other: Any):
    box = library()
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        asked = [place.begin(READ, A), place.begin(READ, A, other)]
        for _ in range(2):
            (await box.next(READ)).answer({"contents": [{"uri": A["uri"], "text": "x"}]})
        await asyncio.gather(*asked)


async def test_prompts_and_completions_are_joined_too():
    box = StubServer(prompts=[prompt("greet")], offers={"completions": {}})
    params = {"ref": {"type": "ref/prompt", "name": "box__greet"}, "argument": {"name": "n", "value": "v"}}
    async with House({"box": box}).open() as place:
        prompts = [place.begin("prompts/get", {"name": "box__greet"}) for _ in range(3)]
        completions = [place.begin("completion/complete", params) for _ in range(3)]
        (await box.next("prompts/get")).answer({"messages": []})
        (await box.next("completion/complete")).answer({"completion": {"values": ["v1"]}})
        await asyncio.gather(*prompts, *completions)
        assert (box.count("prompts/get"), box.count("completion/complete")) == (1, 1)


async def test_progress_and_logs_reach_all_who_wait():
    box = library(LEGACY)
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        outboxes = [Outbox(), Outbox()]
        asked = [
            place.begin(READ, A | {"_meta": {"progressToken": token}}, client(LEGACY), outbox)
            for token, outbox in zip(("p", 7), outboxes, strict=True)
        ]
        call = await box.next(READ)
        await until(lambda: place.gateway.flights.counts[READ, "box"].asked == 2)
        call.progress(1)
        call.answer({"contents": [{"uri": A["uri"], "text": "x"}]})
        await asyncio.gather(*asked)
        told = [outbox.of("notifications/progress") for outbox in outboxes]
        assert [[each["progressToken"] for each in one] for one in told] == [["p"], [7]]


async def test_who_gives_up_harms_nobody_and_the_last_one_takes_the_call_along():
    box = library(LEGACY)
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        asked = [place.begin(READ, A) for _ in range(3)]
        call = await box.next(READ)
        asked[0].cancel()
        asked[1].cancel()
        await asyncio.gather(*asked[:2], return_exceptions=True)
        assert box.count("notifications/cancelled") == 0
        call.answer({"contents": [{"uri": A["uri"], "text": "x"}]})
        assert text(await asked[2]) == "x"
        alone = place.begin(READ, A)
        await box.next(READ)
        alone.cancel()
        await until(lambda: box.count("notifications/cancelled") == 1)


async def test_a_failure_reaches_all():
    box = library(LEGACY)
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        asked = [place.begin(READ, A) for _ in range(3)]
        (await box.next(READ)).refuse(-32603, "broken")
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in outcomes] == [BackendError] * 3
        assert box.count(READ) == 1


async def test_a_question_on_the_way_goes_to_one_and_the_others_ask_for_themselves():
    box = library(LEGACY)
    box.script.pop(READ)
    async with House({"box": box}).open() as place:
        outboxes = [Outbox(elicitation=ANN), Outbox(elicitation=ANN)]
        asked = [
            place.begin(READ, A, client(LEGACY, capabilities=ALL, session=f"s{number}"), outbox)
            for number, outbox in enumerate(outboxes)
        ]
        first = await box.next(READ)
        box.asks("q", "elicitation/create", first, **FORM)
        await box.next("")
        second = await box.next(READ)
        first.answer({"contents": [{"uri": A["uri"], "text": "Ann's"}]})
        second.answer({"contents": [{"uri": A["uri"], "text": "other"}]})
        assert sorted(text(each) for each in await asyncio.gather(*asked)) == ["Ann's", "other"]
        assert [len(outbox.questions) for outbox in outboxes] == [1, 0]


# --- tools ----------------------------------------------------------------------------------------------------


def calculator(revision: str = MODERN) -> StubServer:
    return StubServer(revision, tools=[tool("add"), tool("add_all"), tool("send")], script={"tools/call": echo})


async def test_no_call_is_joined_or_kept_unless_it_is_named():
    box = calculator()
    async with House({"box": box}, cache={"tools": {"box__add": {"ttl_seconds": 60}}}).open() as place:
        for name in ("box__add", "box__add", "box__send", "box__send", "box__add_all"):
            await place.call(name, x=1)
        assert box.count("tools/call") == 1 + 2 + 1


async def test_a_kept_result_is_for_equal_arguments_and_for_its_own_principal():
    box = calculator()
    async with House({"box": box}, cache={"tools": {"box__ad?": {"ttl_seconds": 60}}}).open() as place:
        ann = client(MODERN, principal=FOR_ANN)
        for caller in (None, ann):
            for arguments in ({"x": 1, "y": 2}, {"y": 2, "x": 1}, {"x": 2}):
                assert text_of(await place.call("box__add", caller, **arguments))["arguments"] == arguments
        assert box.count("tools/call") == 4


async def test_a_result_is_shared_where_the_configuration_says_so():
    box = calculator()
    rules = {"tools": {"box__add": {"ttl_seconds": 60, "scope": "public"}}}
    async with House({"box": box}, cache=rules).open() as place:
        for principal in (FOR_ANN, FOR_BOB):
            await place.call("box__add", client(MODERN, principal=principal), x=1)
        assert box.count("tools/call") == 1


async def test_a_result_that_points_to_resources_is_each_principals_own():
    box = calculator()
    link = {"type": "resource_link", "uri": "file:///x", "name": "x"}
    box.on("tools/call", lambda asked: asked.answer({"content": [link]}))
    rules = {"tools": {"box__add": {"ttl_seconds": 60, "scope": "public"}}}
    async with House({"box": box}, cache=rules).open() as place:
        for principal in (FOR_ANN, FOR_BOB, FOR_BOB):
            await place.call("box__add", client(MODERN, principal=principal), x=1)
        assert box.count("tools/call") == 2


async def test_a_failure_of_a_tool_is_not_kept():
    box = calculator()
    box.on("tools/call", lambda asked: asked.answer({"content": [], "isError": True}))
    async with House({"box": box}, cache={"tools": {"*": {"ttl_seconds": 60}}}).open() as place:
        for _ in range(2):
            await place.call("box__add")
        assert box.count("tools/call") == 2


@pytest.mark.parametrize(("tools", "made"), [([], 3), (["box__se*"], 1)])
async def test_calls_are_joined_where_they_are_named(tools: list[str], made: int):
    box = calculator()
    box.script.pop("tools/call")
    async with House({"box": box}, batching={"tools": tools}).open() as place:
        calls = [place.begin("tools/call", {"name": "box__send", "arguments": {"x": 1}}) for _ in range(3)]
        for _ in range(made):
            (await box.next("tools/call")).answer({"content": []})
        await asyncio.gather(*calls)
        assert box.count("tools/call") == made


async def test_rules_follow_the_configuration():
    box = calculator()
    async with House({"box": box}).open() as place:
        for _ in range(2):
            await place.call("box__add")
        place.config = place.config.model_copy(
            update={"cache": place.config.cache.model_validate({"tools": {"box__add": {"ttl_seconds": 9}}})}
        )
        for _ in range(2):
            await place.call("box__add")
        assert box.count("tools/call") == 3


# --- lists ----------------------------------------------------------------------------------------------------


async def test_a_thousand_clients_that_list_ten_cold_servers_at_once_make_ten_calls():
    boxes = {
        f"s{number}": StubServer(MODERN if number % 2 else LEGACY, tools=[tool("t")]) for number in range(10)
    }
    async with House(boxes).open() as place:
        assert len(await place.names()) == 10
        place.gateway.clear_cache()
        before = [box.count("tools/list") for box in boxes.values()]
        pages = await asyncio.gather(*(place.names() for _ in range(1000)))
        assert all(page == pages[0] and len(page) == 10 for page in pages)
        assert [box.count("tools/list") for box in boxes.values()] == [count + 1 for count in before]
        counts = place.gateway.flights.counts["tools/list", "s0"]
        assert (counts.asked, counts.made, counts.saved) == (1000, 1, 999)


async def test_five_lists_within_the_window_make_one_call():
    box = StubServer(tools=[tool("t")])
    async with House({"box": box}, batching={"window_ms": 100}).open() as place:
        place.gateway.clear_cache()

        async def later(number: int) -> list[str]:
            await asyncio.sleep(number / 100)
            return await place.names()

        await asyncio.gather(*(later(number) for number in range(5)))
        assert box.count("tools/list") == 2


@pytest.mark.requirement("C05")
async def test_a_list_that_changed_is_never_given_as_it_was():
    box = StubServer(tools=[tool("old")])
    async with House({"box": box}, batching={"window_ms": 0}).open() as place:
        assert await place.names() == ["box__old"]
        box.script.pop("tools/list")
        box.tells("notifications/tools/list_changed")
        reading = await box.next("tools/list")
        asked = place.begin("tools/list", {})
        # Changed once more while it is read: what comes of this reading is old.
        box.tells("notifications/tools/list_changed")
        late = place.begin("tools/list", {})
        await asyncio.sleep(0.01)
        reading.answer({"tools": [tool("older")]})
        (await box.next("tools/list")).answer({"tools": [tool("new")]})
        assert [each["name"] for each in (await late)["tools"]] == ["box__new"]
        assert (await asked)["tools"][0]["name"] in ("box__older", "box__new")


async def test_hits_and_misses_of_lists_are_on_each_servers_account(clock: FakeClock):
    boxes = {"box": StubServer(tools=[tool("a")]), "web": StubServer(tools=[tool("b")])}
    async with House(boxes, clock).open() as place:
        for _ in range(3):
            await place.names()
            clock.advance(1)
        place.gateway.clear_cache("box")
        await place.names()
        place.gateway.listing.count_hits()
        box, web = (place.gateway.cache.counts["tools/list", server] for server in boxes)
        assert ((box.hits, box.misses), (web.hits, web.misses)) == ((3, 1), (4, 0))
        assert (web.age_s, web.max_age_s) == (0 + 1 + 2 + 3, 3)


# --- a model: whatever happens, in whatever order -------------------------------------------------------------


@dataclass
class Waiting:
    principal: str
    uri: str
    begun_after: int
    """The last invalidation of its URI when it was asked, as a moment."""
    begun_at: float
    task: "asyncio.Task[Item]"


class Model(RuleBasedStateMachine):
    """The oracle knows moments: an answer carries when its server was asked, and for whom.

    It may be no older than the last invalidation before the client asked, nor past its time, and a private one
    is its principal's.
    """

    @initialize(scope=st.sampled_from(["public", "private"]), revision=st.sampled_from([MODERN, LEGACY]))
    def begin(self, scope: str, revision: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.moment = 0
        self.is_private = scope == "private" or revision == LEGACY
        self.revision, self.scope = revision, scope
        self.pending: list[tuple[Asked, str, int]] = []
        self.waiting: list[Waiting] = []
        self.invalidated: dict[str, int] = {}
        self.box = library(revision)
        self.box.on(READ, self._asked)
        self.house = house(self.box, self.clock)
        self.opened = self.house.open()
        self.run(self.opened.__aenter__())
        self.channels: dict[int, str] = {}
        for principal in (FOR_ANN, FOR_BOB):
            # Of its own, so that no kept answer stands in for opening a connection.
            self._ask(principal, f"file:///{principal}")
            self.channels[self.box.channels.index(self.pending[-1][0].channel)] = principal
            self.answer(0)

    def run(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    def settle(self) -> None:
        async def turns() -> None:
            for _ in range(30):
                await asyncio.sleep(0)

        self.run(turns())

    def _asked(self, asked: Asked) -> None:
        self.pending.append((asked, asked.params["uri"], self.moment))

    def _ask(self, principal: str, uri: str) -> None:
        self.moment += 1
        caller = client(MODERN, principal=principal)
        task = self.loop.create_task(self.house.ask(READ, {"uri": uri}, caller))
        since = self.invalidated.get(uri, -1)
        self.waiting.append(Waiting(principal, uri, since, self.clock.monotonic(), task))
        self.settle()
        self._check()

    @rule(principal=st.sampled_from([FOR_ANN, FOR_BOB]), uri=st.sampled_from(["file:///a", "file:///b"]))
    def ask(self, principal: str, uri: str) -> None:
        self._ask(principal, uri)

    @rule(principal=st.sampled_from([FOR_ANN, FOR_BOB]), uri=st.sampled_from(["file:///a", "file:///b"]))
    def read(self, principal: str, uri: str) -> None:
        """Answered at once, if its server is asked at all."""
        before = len(self.pending)
        self._ask(principal, uri)
        if len(self.pending) > before:
            self.answer(before)

    @rule(place=st.integers(0, 3))
    def answer(self, place: int) -> None:
        if not self.pending:
            return
        self.moment += 1
        asked, uri, moment = self.pending.pop(place % len(self.pending))
        # Its time counts from when it is answered, however long ago it was asked.
        said = {
            "moment": moment,
            "at": self.clock.monotonic(),
            "channel": self.box.channels.index(asked.channel),
        }
        result = {"contents": [{"uri": uri, "text": json.dumps(said)}]}
        if self.revision == MODERN:
            result |= {"ttlMs": 10_000, "cacheScope": self.scope}
        asked.answer(result)
        self.settle()
        self._check()

    @rule(uri=st.sampled_from(["file:///a", "file:///b"]))
    def update(self, uri: str) -> None:
        self._invalid(lambda: self.house.gateway.resource_updated("box", uri), uri)

    @rule()
    def change_list(self) -> None:
        self._invalid(
            lambda: self.house.gateway.lists_invalid("box", ("resources/list",)), "file:///a", "file:///b"
        )

    @rule()
    def clear(self) -> None:
        self._invalid(lambda: self.house.gateway.clear_cache(), "file:///a", "file:///b")

    def _invalid(self, do: Callable[[], Any], *uris: str) -> None:
        self.moment += 1

        async def done() -> None:
            do()

        self.run(done())
        for uri in uris:
            self.invalidated[uri] = self.moment
        self.settle()

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(place=st.integers(0, 5))
    def give_up(self, place: int) -> None:
        if self.waiting:
            each = self.waiting.pop(place % len(self.waiting))
            each.task.cancel()
            self.settle()

    def _check(self) -> None:
        for each in [each for each in self.waiting if each.task.done()]:
            self.waiting.remove(each)
            said = json.loads(text(each.task.result()))
            assert said["moment"] > each.begun_after, "an answer from before an invalidation"
            ttl_s = 10 if self.revision == MODERN else 60
            assert said["at"] + ttl_s > each.begun_at, "an answer past its time"
            if self.is_private and self.channels:
                assert self.channels.get(said["channel"]) in (each.principal, None), "another's answer"

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        for asked, uri, *_ in self.pending:
            asked.answer({"contents": [{"uri": uri, "text": "{}"}]})
        for each in self.waiting:
            each.task.cancel()
        self.settle()
        self.run(self.opened.__aexit__(None, None, None))
        self.run(asyncio.sleep(0))
        self.loop.close()


TestModel = Model.TestCase
TestModel.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


STEPS = {
    "read": 8,
    "ask": 3,
    "answer": 4,
    "update": 1,
    "change_list": 1,
    "clear": 1,
    "time_passes": 2,
    "give_up": 1,
}
"""What happens how often, so that answers are kept for a while and then something comes between."""


def long_run(seed: int, steps: int) -> None:
    """One long life of the model, where hypothesis tries many short ones."""
    chance = random.Random(seed)
    model = Model()
    model.begin(scope=chance.choice(["public", "private"]), revision=chance.choice([MODERN, LEGACY]))
    try:
        for _ in range(steps):
            principal, uri = chance.choice([FOR_ANN, FOR_BOB]), chance.choice(["file:///a", "file:///b"])
            match chance.choices(list(STEPS), list(STEPS.values()))[0]:
                case "read":
                    model.read(principal=principal, uri=uri)
                case "ask":
                    model.ask(principal=principal, uri=uri)
                case "answer":
                    model.answer(place=chance.randrange(4))
                case "update":
                    model.update(uri=uri)
                case "change_list":
                    model.change_list()
                case "clear":
                    model.clear()
                case "time_passes":
                    model.time_passes(seconds=chance.choice([1.0, 6.0, 11.0]))
                case "give_up":
                    model.give_up(place=chance.randrange(6))
        counts = model.house.gateway.cache.counts[READ, "box"]
        assert counts.hits > steps / 20, "the run showed next to nothing"
    finally:
        model.teardown()


@pytest.mark.parametrize("seed", range(8))
def test_a_long_life_of_the_model(seed: int):
    long_run(seed, 300)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_long_lives_of_the_model():
    for seed in range(100, 300):
        long_run(seed, 500)


@pytest.mark.long
@pytest.mark.timeout(900)
class TestModelLong(Model.TestCase):
    settings = hypothesis_settings(
        max_examples=600, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
