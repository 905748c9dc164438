"""Prompts, resources and templates that a profile denies: absent, unknown by any name, never heard of."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.config.models import AuthConfig, NameRules, ProfileConfig, TokenConfig
from proxy_core.errors import Only1Error
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.subscriptions import ALL_KINDS
from proxy_core.gateway.task_tokens import TaskPlace, UnknownTask
from proxy_core.protocol.capabilities import TASKS, ClientCapabilities
from tests.support.scripted_channel import Asked, acknowledges, result, until
from tests.support.stub_backends import (
    LEGACY,
    MODERN,
    House,
    Outbox,
    StubServer,
    client,
    echo,
    prompt,
    resource,
    template,
    tool,
)

READ, SUBSCRIBE, COMPLETE = "resources/read", "resources/subscribe", "completion/complete"
UPDATED = "notifications/resources/updated"
PUB, KEY, OPEN = "file:///pub/a", "file:///secret/key", "file:///{+path}"
REVIEW = ProfileConfig(
    tools=NameRules(deny=("*__delete_*",)),
    prompts=NameRules(deny=("*_draft",)),
    resources=NameRules(deny=("file:///secret/*", "box+note:*")),
)
PICKY = ProfileConfig(resources=NameRules(allow=("file:///pub/*",)), prompts=NameRules(allow=()))
PROFILES = {"review": REVIEW, "picky": PICKY}


def read(asked: Asked) -> None:
    asked.answer({"contents": [{"uri": asked.params["uri"], "text": "x"}]})


def box(revision: str = LEGACY) -> StubServer:
    offers = {"completions": {}, "resources": {"subscribe": True, "listChanged": True}}
    script = {
        "tools/call": echo,
        READ: read,
        SUBSCRIBE: result({}),
        "resources/unsubscribe": result({}),
        "subscriptions/listen": acknowledges,
        "prompts/get": result({"messages": []}),
        COMPLETE: result({"completion": {"values": ["x"]}}),
    }
    return StubServer(
        revision,
        tools=[tool("read"), tool("delete_all")],
        resources=[resource(PUB), resource(KEY), resource("note://one")],
        templates=[template(OPEN), template("file:///secret/{name}"), template("file:///pub/{name}")],
        prompts=[prompt("sum"), prompt("a_draft")],
        offers=offers | {"extensions": {TASKS: {}}},
        script=script,
    )


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with House({"box": box()}, profiles=PROFILES).open() as home:
        yield home


def under(profile: str, revision: str = MODERN, **more: Any) -> Caller:
    return client(revision, profile=profile, **more)


async def fault(home: House, caller: Caller, method: str, params: dict[str, Any]) -> tuple[str, int, str, Any]:
    try:
        await home.ask(method, params, caller)
    except Only1Error as error:
        return type(error).__name__, error.code, error.message, error.data()
    raise AssertionError(f"{method} of {params} was answered")


def reload(home: House, **profiles: ProfileConfig) -> None:
    """As `Proxy` puts a configuration in force."""
    before, home.config = home.config, home.config.model_copy(update={"profiles": profiles})
    home.gateway.reloaded(before)
    home.gateway.servers_changed()


# --- lists --------------------------------------------------------------------------------------------------


async def test_lists_have_what_the_globs_leave(home: House):
    async def names(method: str, profile: str) -> set[str]:
        return set(await home.names(method, under(profile)))

    assert await names("prompts/list", "review") == {"box__sum"}
    assert await names("resources/list", "review") == {PUB}
    assert await names("resources/templates/list", "review") == {OPEN, "file:///pub/{name}"}
    assert await names("prompts/list", "picky") == set()
    assert await names("resources/list", "picky") == {PUB}
    assert await names("resources/templates/list", "picky") == {"file:///pub/{name}"}


# --- one of them --------------------------------------------------------------------------------------------


@pytest.mark.requirement("A09")
@pytest.mark.parametrize("profile", ["review", "picky"])
@pytest.mark.parametrize(
    "uri",
    [
        KEY,
        "file:///secret/other",
        "file:///secret/%6bey",
        "file:///pub/../secret/key",
        "file:////secret/key",
        "box+file:///secret/key",
        "box+file:///pub/%2e%2e/secret/key",
        "note://one",
        "box+note://one",
    ],
)
async def test_a_denied_uri_is_unknown_by_list_template_and_alias_however_it_is_said(
    home: House, profile: str, uri: str
):
    unknown = await fault(home, under(profile), READ, {"uri": "else://x"})
    said = await fault(home, under(profile), READ, {"uri": uri})
    assert said == (*unknown[:3], {"uri": uri})
    assert said == await fault(home, under(profile, LEGACY), SUBSCRIBE, {"uri": uri})
    heard, end = await home.gateway.updates.listen(under(profile), [uri], lambda uri: None)
    end()
    assert heard == []
    for method in (READ, SUBSCRIBE):
        assert home.servers["box"].count(method) == 0


@pytest.mark.parametrize("uri", [PUB, "file:///pub/other", "file:///pub/x/../a", "box+file:///pub/a"])
async def test_what_a_template_fits_is_judged_by_its_own_uri(home: House, uri: str):
    """`picky` does not show the template by which the last ones are found."""
    for profile in ("review", "picky", ""):
        await home.ask(READ, {"uri": uri}, under(profile))
    assert home.servers["box"].count(READ) == 3


@pytest.mark.requirement("A09")
async def test_a_denied_prompt_is_unknown(home: House):
    unknown = await fault(home, under("review"), "prompts/get", {"name": "box__nothing"})
    denied = await fault(home, under("review"), "prompts/get", {"name": "box__a_draft"})
    assert denied[2].replace("box__a_draft", "box__nothing") == unknown[2]
    assert (denied[:2], denied[3]) == (unknown[:2], unknown[3])
    await home.ask("prompts/get", {"name": "box__sum"}, under("review"))


@pytest.mark.requirement("A09")
async def test_what_is_denied_is_completed_as_what_nobody_has(home: House):
    argument = {"argument": {"name": "name", "value": ""}}

    async def said(profile: str, **ref: str) -> Any:
        return await fault(home, under(profile), COMPLETE, {"ref": ref} | argument)

    unknown = await said("review", type="ref/prompt", name="box__nothing")
    for ref in (
        {"type": "ref/prompt", "name": "box__a_draft"},
        {"type": "ref/resource", "uri": "file:///secret/{name}"},
        {"type": "ref/resource", "uri": "box+file:///secret/{name}"},
        {"type": "ref/resource", "uri": KEY},
    ):
        assert await said("review", **ref) == unknown
    assert await said("picky", type="ref/resource", uri=OPEN) == unknown
    shown = {"type": "ref/resource", "uri": "file:///pub/{name}"}
    for profile in ("review", "picky"):
        await home.ask(COMPLETE, {"ref": shown} | argument, under(profile))


async def test_a_link_to_what_is_denied_stays_what_it_was_and_leads_nowhere(home: House):
    def link(asked: Asked) -> None:
        links = [{"type": "resource_link", "uri": uri, "name": "x"} for uri in (KEY, "else:///1")]
        asked.answer({"content": links})

    home.servers["box"].on("tools/call", link)
    answer = await home.call("box__read", under("review"))
    assert [each["uri"] for each in answer["content"]] == [KEY, "else:///1"]
    await home.ask(READ, {"uri": "else:///1"}, under("review"))
    assert (await fault(home, under("review"), READ, {"uri": KEY}))[3] == {"uri": KEY}


async def test_the_page_of_a_tool_is_a_resource_as_others_are():
    page = "ui://box/page"
    server = StubServer(LEGACY, tools=[tool("show", _meta={"ui": {"resourceUri": page}})], script={READ: read})
    profiles = {"picky": PICKY, "pages": ProfileConfig(resources=NameRules(allow=("ui://*",)))}
    async with House({"box": server}, profiles=profiles).open() as home:
        await home.ask(READ, {"uri": page}, under("pages"))
        assert (await fault(home, under("picky"), READ, {"uri": page}))[0] == "UnknownResource"


# --- changes ------------------------------------------------------------------------------------------------


def legacy_listener(profile: str) -> tuple[Caller, Outbox]:
    stream = Outbox()
    return under(profile, LEGACY, session="s", stream=stream), stream


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_who_loses_a_resource_by_a_reload_hears_of_it_no_more_and_again_when_it_is_back(revision: str):
    async with House({"box": box(revision)}, profiles={"review": ProfileConfig()}).open() as home:
        caller, stream = legacy_listener("review")
        told: list[str] = []
        for uri in (KEY, PUB):
            await home.ask(SUBSCRIBE, {"uri": uri}, caller)
        heard, end = await home.gateway.updates.listen(under("review"), [KEY, PUB], told.append)
        assert heard == [KEY, PUB]

        reload(home, review=REVIEW)
        # At once, before anything was followed up.
        for uri in (KEY, PUB):
            home.gateway.resource_updated("box", uri)
        assert (told, stream.of(UPDATED)) == ([PUB], [{"uri": PUB}])
        await until(lambda: len(home.gateway.updates._held["box"]) == 1)

        reload(home, review=ProfileConfig())
        await until(lambda: KEY in told and {"uri": KEY} in stream.of(UPDATED))
        end()


async def test_of_a_directory_only_what_is_not_denied_is_told(home: House):
    told: list[str] = []
    everything, end = await home.gateway.updates.listen(under(""), ["file:///"], told.append)
    mine: list[str] = []
    heard, end_mine = await home.gateway.updates.listen(under("review"), ["file:///"], mine.append)
    assert everything == heard == ["file:///"]
    for uri in (KEY, PUB):
        home.gateway.resource_updated("box", uri)
    assert (told, mine) == ([KEY, PUB], [PUB])
    end()
    end_mine()


async def test_a_reload_of_names_is_told_to_those_whose_lists_are_others_and_in_force_at_once(home: House):
    lists = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
    for profile in ("", "review", "picky"):
        for method in lists:
            await home.names(method, under(profile))
    told: list[tuple[str, str]] = []
    for profile in ("", "review", "picky"):
        home.hub.add(ALL_KINDS, lambda kind, profile=profile: told.append((profile, kind)), profile)
    narrower = NameRules(deny=("*",))
    reload(home, review=REVIEW.model_copy(update={"prompts": narrower, "resources": narrower}), picky=PICKY)
    assert [await home.names(method, under("review")) for method in lists[1:]] == [[], [], []]
    assert (await fault(home, under("review"), READ, {"uri": PUB}))[0] == "UnknownResource"
    await home.hub.settled()
    assert sorted(told) == [("review", "prompts"), ("review", "resources")]


async def test_who_has_lists_of_its_own_is_told_of_another_policy():
    """What is listed for one principal alone is not known when everybody's lists are compared."""
    private = StubServer(MODERN, tools=[tool("read")], hints={"ttlMs": 60_000, "cacheScope": "private"})
    async with House({"box": private}, profiles={"review": ProfileConfig(), "ops": PICKY}).open() as home:
        ann = under("review", principal="token:ann")
        await home.names(caller=ann)
        told: list[str] = []
        for profile in ("review", "ops"):
            home.hub.add(ALL_KINDS, lambda kind, profile=profile: told.append(f"{profile} {kind}"), profile)
        reload(home, review=ProfileConfig(tools=NameRules(deny=("box__only_ann_has_it",))), ops=PICKY)
        await home.hub.settled()
        assert told == ["review tools"]


async def test_who_waits_while_its_token_gets_another_profile_is_shown_nothing_of_the_one_before(home: House):
    """Its old profile may show by now what was never for it."""
    tokens = tuple(
        TokenConfig(name=name, sha256=sha256 * 32, profile=profile)
        for name, sha256, profile in (("ann", "ab", "picky"), ("bob", "cd", None))
    )
    home.config = home.config.model_copy(update={"auth": AuthConfig(tokens=tokens)})
    reload(home, **PROFILES)
    for principal in ("token:bob", "issuer|sub"):
        await home.ask(READ, {"uri": PUB}, under("review", principal=principal))
    await home.ask(READ, {"uri": PUB}, under("picky", principal="token:ann"))
    before = under("review", principal="token:ann")
    assert await home.names(caller=before) == []
    for method, params in (
        ("tools/call", {"name": "box__read"}),
        ("prompts/get", {"name": "box__sum"}),
        (READ, {"uri": PUB}),
    ):
        assert (await fault(home, before, method, params))[1] == -32602


async def test_a_task_of_a_tool_that_is_denied_by_now_is_unknown_and_not_told_of(home: House):
    knows = ClientCapabilities(extensions=((TASKS, b"{}"),))
    tasks = home.gateway.asking.tasks
    for tool_name in ("read", "a tool of any length " * 9):
        caller = under("review", capabilities=knows)
        token = tasks._tokens.seal(TaskPlace("box", "main", "t1", tool_name), caller.viewer)
        reload(home, review=REVIEW)
        assert tasks.find(token, caller)[2] == "t1"
        reload(home, review=ProfileConfig(tools=NameRules(deny=("*",))))
        with pytest.raises(UnknownTask):
            tasks.find(token, caller)
