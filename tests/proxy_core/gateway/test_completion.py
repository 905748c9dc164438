"""Completions from one revision to another."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.errors import (
    BackendProtocolError,
)
from proxy_core.gateway.completion import capped
from proxy_core.protocol.revisions import MODERN
from tests.support.scripted_channel import refuses, result
from tests.support.stub_backends import (
    LEGACY,
    House,
    StubServer,
    client,
    prompt,
    raw_result,
    resource,
    template,
)


def completer(values: list[str], revision: str = LEGACY, **more: Any) -> StubServer:
    return StubServer(
        revision,
        prompts=[prompt("ask")],
        templates=[template("file:///{path}")],
        resources=[resource("file:///a")],
        **{
            "offers": {"completions": {}},
            "script": {"completion/complete": result({"completion": {"values": values, "total": 7}})},
        }
        | more,
    )


ARGUMENT = {"name": "path", "value": "a"}


def completing(**ref: str) -> dict[str, Any]:
    return {"ref": ref, "argument": ARGUMENT, "context": {"arguments": {"x": "y"}}}


PROMPT_REF = completing(type="ref/prompt", name="box__ask")


@pytest.mark.requirement("N17")
@pytest.mark.parametrize(
    ("ref", "own"),
    [
        (
            {"type": "ref/prompt", "name": "box__ask", "title": "T"},
            {"type": "ref/prompt", "name": "ask", "title": "T"},
        ),
        ({"type": "ref/resource", "uri": "file:///{path}"}, None),
        ({"type": "ref/resource", "uri": "file:///a"}, None),
        (
            {"type": "ref/resource", "uri": "box+file:///a"},
            {"type": "ref/resource", "uri": "file:///a"},
        ),
    ],
)
async def test_a_completion_goes_to_the_owner_in_its_own_words(ref: dict[str, str], own: Any):
    async with House({"box": completer(["a"])}).open() as house:
        answer = await house.ask("completion/complete", completing(**ref))
        assert answer["completion"] == {"values": ["a"], "total": 7}
        assert house.servers["box"].asked[-1].params["ref"] == (own or ref)
        assert house.servers["box"].asked[-1].params["argument"] == ARGUMENT


@pytest.mark.requirement("N17")
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_at_most_a_hundred_values_are_passed_on(revision: str):
    async with House({"box": completer([str(n) for n in range(150)])}).open() as house:
        answer = await house.ask("completion/complete", PROMPT_REF, client(revision))
        assert answer["completion"] == {"values": [str(n) for n in range(100)], "total": 7, "hasMore": True}


@pytest.mark.requirement("N17")
@pytest.mark.parametrize(
    ("revision", "has_context"), [("2025-03-26", False), ("2025-06-18", True), (MODERN, True)]
)
async def test_the_context_is_left_out_for_servers_that_do_not_know_it(revision: str, has_context: bool):
    async with House({"box": completer([], revision)}).open() as house:
        await house.ask("completion/complete", PROMPT_REF)
        assert ("context" in house.servers["box"].asked[-1].params) is has_context


async def test_a_server_without_completions_is_not_asked_and_completes_nothing():
    async with House({"box": completer(["a"], offers={})}).open() as house:
        assert (await house.ask("completion/complete", PROMPT_REF))["completion"] == {"values": []}
        assert house.servers["box"].count("completion/complete") == 0


@pytest.mark.parametrize("reply", [result({"completion": {"values": ["a"]}}), refuses(-32601)])
async def test_the_oldest_servers_are_asked_because_they_cannot_say_what_they_offer(reply: Any):
    box = completer([], "2024-11-05", offers={}, script={"completion/complete": reply})
    async with House({"box": box}).open() as house:
        await house.ask("completion/complete", PROMPT_REF)
        assert box.count("completion/complete") == 1


@pytest.mark.parametrize(
    "ref",
    [
        {"type": "ref/prompt", "name": "box__no"},
        {"type": "ref/prompt"},
        {"type": "ref/resource", "uri": "http://elsewhere"},
        {"type": "ref/tool", "name": "box__ask"},
        {},
        7,
    ],
)
async def test_a_ref_that_names_nothing_is_refused(ref: Any):
    async with House({"box": completer([])}).open() as house:
        assert (await house.refused("completion/complete", {"ref": ref, "argument": ARGUMENT})).code == -32602


@pytest.mark.parametrize("body", [b"{}", b'{"completion":[]}', b"[]"])
async def test_a_completion_that_is_none_is_the_servers_fault(body: bytes):
    box = completer([], script={"completion/complete": raw_result(body)})
    async with House({"box": box}).open() as house:
        assert isinstance(await house.refused("completion/complete", PROMPT_REF), BackendProtocolError)


@pytest.mark.parametrize("count", [0, 1, 100])
def test_few_values_are_the_very_same_object(count: int):
    answer = Raw(json.dumps({"completion": {"values": ["x"] * count}}).encode())
    assert capped(answer) is answer
