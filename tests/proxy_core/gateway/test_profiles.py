"""What a profile hides is absent from every list and unknown to every method, by whatever name."""

from typing import Any

import pytest

from proxy_core.config.models import AuthConfig, Config, NameRules, ProfileConfig, TokenConfig
from proxy_core.errors import Only1Error, UnknownResource
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.profiles import Profiles
from proxy_core.gateway.subscriptions import ALL_KINDS
from proxy_core.gateway.task_tokens import TaskPlace, UnknownTask
from proxy_core.protocol.capabilities import TASKS, ClientCapabilities
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import MODERN
from proxy_core.telemetry.snapshot import ServerState
from tests.support.scripted_channel import Asked, result, until
from tests.support.stub_backends import (
    LEGACY,
    House,
    Outbox,
    StubServer,
    client,
    dead,
    echo,
    many_tools,
    prompt,
    resource,
    template,
    text_of,
    tool,
)

REVIEW = ProfileConfig(servers=("files",), tools=NameRules(deny=("*__delete_*",)))
PROFILES = {"review": REVIEW, "ops": ProfileConfig(servers=("git*",))}
PARTIAL = "dev.only1mcp/partial"


def complete(asked: Asked) -> None:
    asked.answer({"completion": {"values": ["x"]}})


def contents(asked: Asked) -> None:
    asked.answer({"contents": [{"uri": asked.params["uri"], "text": "x"}]})


def whole(revision: str, name: str, *tools: str, **more: Any) -> StubServer:
    """A server that has one of everything, named after it."""
    script = {
        "tools/call": echo,
        "resources/read": contents,
        "resources/subscribe": result({}),
        "resources/unsubscribe": result({}),
        "prompts/get": result({"messages": []}),
        "completion/complete": complete,
    }
    return StubServer(
        revision,
        tools=[tool(each) for each in tools],
        resources=[resource(f"{name}:///r")],
        templates=[template(f"{name}:///t/{{x}}")],
        prompts=[prompt("ask")],
        offers={"completions": {}, "resources": {"subscribe": True}} | more.pop("offers", {}),
        instructions=f"I am {name}.",
        script=script,
        **more,
    )


def house(**config: Any) -> House:
    servers = {
        "files": whole(LEGACY, "files", "read", "delete_all"),
        "github": whole(LEGACY, "github", "star"),
    }
    return House(servers, profiles=PROFILES, **config)


def under(profile: str, revision: str = MODERN, **more: Any) -> Caller:
    return client(revision, profile=profile, **more)


async def said(house: House, caller: Caller, method: str, params: dict[str, Any]) -> str:
    """The error, as the client would read it."""
    try:
        await house.ask(method, params, caller)
    except Only1Error as error:
        return f"{type(error).__name__} {error.code} {error.message} {error.data()}"
    raise AssertionError(f"{method} was answered")


# --- lists --------------------------------------------------------------------------------------------------


async def test_every_list_has_what_the_profile_shows_under_the_same_names():
    async with house().open() as home:
        for method in LIST_METHODS:
            everything = await home.names(method)
            review = await home.names(method, under("review"))
            assert review == [name for name in everything if "files" in name and "delete" not in name]
            assert review, method
        assert await home.names(caller=under("ops")) == ["github__star"]


async def test_instructions_and_capabilities_are_those_of_the_profiles_servers():
    async with house().open() as home:
        for told in (
            (await home.ask("server/discover", {}, under("review")))["instructions"],
            home.gateway.initialize(LEGACY, "review").decode(),
        ):
            assert "I am files." in told
            assert "github" not in told
        assert "I am github." in (await home.ask("server/discover"))["instructions"]


async def test_extensions_are_those_of_the_profiles_servers():
    servers = {
        "files": whole(MODERN, "files", "read"),
        "github": whole(MODERN, "github", "star", offers={"extensions": {TASKS: {}}}),
    }
    async with House(servers, profiles=PROFILES).open() as home:
        found = [
            (await home.ask("server/discover", {}, under(each)))["capabilities"].get("extensions")
            for each in ("", "review", "ops")
        ]
        assert found == [{TASKS: {}}, None, {TASKS: {}}]


async def test_a_server_that_is_down_is_missing_only_where_it_would_be_shown():
    servers = {"files": whole(LEGACY, "files", "read"), "github": dead()}
    async with House(servers, profiles=PROFILES).open() as home:
        await home.reached("github", ServerState.UNHEALTHY)
        assert "_meta" in await home.ask("tools/list")
        assert PARTIAL not in (await home.ask("tools/list", {}, under("review")))["_meta"]
        error = await said(home, under("ops"), "tools/list", {})
        assert "None of the servers is available." in error


async def test_a_list_does_not_wait_for_servers_that_it_does_not_show():
    slow = StubServer(LEGACY, tools=[tool("star")], script={"server/discover": lambda asked: None})
    async with House({"files": whole(LEGACY, "files", "read"), "github": slow}, profiles=PROFILES).open(
        settled=False
    ) as home:
        await until(lambda: not home.backend("files").is_settling)
        assert await home.names(caller=under("review")) == ["files__read"]
        assert home.backend("github").is_settling


async def test_a_cursor_is_good_under_its_own_profile_alone():
    servers = {"files": StubServer(MODERN, tools=many_tools(2500))}
    async with House(servers, profiles={"review": REVIEW}).open() as home:
        page = await home.ask("tools/list", {}, under("review"))
        assert len(page["tools"]) == 1000
        params = {"cursor": page["nextCursor"]}
        for other in (under(""), under("ops"), under("review", principal="token:ann")):
            assert "Invalid or expired cursor." in await said(home, other, "tools/list", params)
        second = await home.ask("tools/list", params, under("review"))
        assert second["tools"][0]["name"] == "files__t01000"


async def test_a_list_may_be_shared_only_where_tokens_do_not_choose_what_is_in_it():
    modern = {"files": whole(MODERN, "files", "read", hints={"ttlMs": 1000, "cacheScope": "public"})}

    async def scope(profile: str | None) -> Any:
        tokens = (TokenConfig(name="ann", sha256="ab" * 32, profile=profile),)
        async with House(modern, profiles=PROFILES, auth=AuthConfig(tokens=tokens)).open() as home:
            return (await home.ask("tools/list", {}, under("", principal="token:ann")))["cacheScope"]

    assert [await scope(None), await scope("review")] == ["public", "private"]


# --- what is asked of one server ----------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_tool_outside_is_as_unknown_as_one_that_nobody_has(revision: str):
    async with house().open() as home:
        for name in ("github__star", "star", "files__delete_all", "delete_all", "github__nope", "nope"):
            error = await said(home, under("review", revision), "tools/call", {"name": name})
            assert error == f"UnknownName -32602 Unknown tool: {name} None"
        assert home.servers["github"].count("tools/call") == 0
        assert home.servers["files"].count("tools/call") == 0
        assert text_of(await home.call("files__read", under("review", revision)))["name"] == "read"
        assert text_of(await home.call("star", under("ops", revision)))["name"] == "star"


async def test_a_prompt_outside_is_unknown():
    async with house().open() as home:
        error = await said(home, under("review"), "prompts/get", {"name": "github__ask"})
        assert error == "UnknownName -32602 Unknown prompt: github__ask None"
        await home.ask("prompts/get", {"name": "files__ask"}, under("review"))


OUTSIDE = ["github:///r", "github:///t/1", "github+github:///r", "github+anything:///", "ui://github.page/x"]


@pytest.mark.parametrize("uri", OUTSIDE)
async def test_a_resource_outside_is_unknown_by_list_template_and_alias(uri: str):
    async with house().open() as home:
        with pytest.raises(UnknownResource):
            await home.ask("resources/read", {"uri": uri}, under("review"))
        with pytest.raises(UnknownResource):
            await home.ask("resources/subscribe", {"uri": uri}, under("review", LEGACY))
        heard, end = await home.gateway.updates.listen(under("review"), [uri, "files:///r"], lambda uri: None)
        assert heard == ["files:///r"]
        end()
        assert [server.count("resources/read") for server in home.servers.values()] == [0, 0]


async def test_completions_outside_are_as_unknown_as_those_that_nobody_has():
    argument = {"argument": {"name": "x", "value": ""}}
    refs = [
        {"type": "ref/prompt", "name": "github__ask"},
        {"type": "ref/prompt", "name": "nobody__ask"},
        {"type": "ref/resource", "uri": "github:///t/{x}"},
        {"type": "ref/resource", "uri": "github+github:///t/{x}"},
        {"type": "ref/resource", "uri": "nobody:///t/{x}"},
    ]
    async with house().open() as home:
        errors = {
            await said(home, under("review"), "completion/complete", {"ref": ref} | argument) for ref in refs
        }
        assert errors == {"UnknownReference -32602 The ref names nothing that is known here. None"}
        for ref in (
            {"type": "ref/prompt", "name": "files__ask"},
            {"type": "ref/resource", "uri": "files:///t/{x}"},
        ):
            answer = await home.ask("completion/complete", {"ref": ref} | argument, under("review"))
            assert answer["completion"]["values"] == ["x"]


async def test_a_link_is_good_under_the_profile_in_which_it_was_told():
    def link(asked: Asked) -> None:
        asked.answer({"content": [{"type": "resource_link", "uri": "x:///1", "name": "x"}]})

    async with house().open() as home:
        home.servers["github"].on("tools/call", link)
        await home.call("github__star", under("ops"))
        await home.ask("resources/read", {"uri": "x:///1"}, under("ops"))
        for profile in ("review", ""):
            with pytest.raises(UnknownResource):
                await home.ask("resources/read", {"uri": "x:///1"}, under(profile))


async def test_what_is_kept_of_a_read_is_kept_for_its_own_profile():
    """Under what names links can be read is each profile's own."""
    cache = {"methods": {"resources/read": {"ttl_seconds": 60}}}
    async with house(cache=cache).open() as home:
        for profile, reads in (("review", 1), ("review", 1), ("", 2)):
            await home.ask("resources/read", {"uri": "files:///r"}, under(profile))
            assert home.servers["files"].count("resources/read") == reads
        with pytest.raises(UnknownResource):
            await home.ask("resources/read", {"uri": "files:///r"}, under("ops"))


async def test_a_task_outside_is_unknown():
    knows = ClientCapabilities(extensions={TASKS: {}})
    github = whole(MODERN, "github", "star", offers={"extensions": {TASKS: {}}})
    servers = {"files": whole(LEGACY, "files", "read"), "github": github}
    async with House(servers, profiles=PROFILES).open() as home:
        tasks = home.gateway.asking.tasks
        caller = under("ops", capabilities=knows)
        token = tasks._tokens.seal(TaskPlace("github", "main", "t1", "star"), caller.viewer)
        tasks.find(token, caller)
        for profile in ("review", ""):
            with pytest.raises(UnknownTask):
                tasks.find(token, under(profile, capabilities=knows))
        # Its profile shows the server no more.
        home.config = home.config.model_copy(update={"profiles": {"ops": REVIEW}})
        home.gateway.servers_changed()
        with pytest.raises(UnknownTask):
            tasks.find(token, caller)


async def test_a_profile_that_the_configuration_has_no_more_shows_nothing():
    async with house().open() as home:
        assert await home.names(caller=under("gone")) == []
        assert "Unknown tool" in await said(home, under("gone"), "tools/call", {"name": "files__read"})


# --- changes ------------------------------------------------------------------------------------------------


def listening(home: House, *profiles: str) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    for profile in profiles:
        home.hub.add(
            ALL_KINDS,
            lambda kind, profile=profile: told.append((profile, kind)),
            profile,
        )
    return told


async def test_a_change_is_told_to_those_who_see_it():
    async with house().open() as home:
        for profile in ("", "review", "ops"):
            await home.names(caller=under(profile))
        told = listening(home, "", "review", "ops")
        home.servers["github"].changes("tools", [tool("star"), tool("fork")])
        await until(lambda: len(told) >= 2)
        assert sorted(told) == [("", "tools"), ("ops", "tools")]
        assert "github__fork" in await home.names(caller=under("ops"))
        home.servers["files"].changes("tools", [tool("read"), tool("delete_all"), tool("delete_one")])
        await until(lambda: len(told) >= 3)
        assert sorted(told[2:]) == [("", "tools")]
        # What was not told the second time was still known for the third.
        home.servers["files"].changes("tools", [tool("read"), tool("write")])
        await until(lambda: len(told) >= 5)
        assert sorted(told[3:]) == [("", "tools"), ("review", "tools")]


async def test_who_listens_and_has_never_asked_is_told_of_every_change():
    async with house().open() as home:
        told = listening(home, "review")
        home.servers["github"].changes("tools", [tool("star"), tool("fork")])
        await until(lambda: told)
        assert told == [("review", "tools")]


async def test_a_reload_of_a_profile_is_told_to_its_own_clients_and_in_force_at_once():
    async with house().open() as home:
        for profile in ("", "review", "ops"):
            await home.names(caller=under(profile))
        told = listening(home, "", "review", "ops")
        wider = PROFILES | {"review": ProfileConfig(servers=("files", "github"), tools=REVIEW.tools)}
        home.config = home.config.model_copy(update={"profiles": wider})
        home.gateway.servers_changed()
        assert await home.names(caller=under("review")) == ["files__read", "github__star"]
        await until(lambda: len(told) >= 3)
        assert sorted(told) == [("review", "prompts"), ("review", "resources"), ("review", "tools")]


async def test_a_reload_is_told_to_principals_that_have_lists_of_their_own_too():
    private = whole(MODERN, "files", "read", hints={"ttlMs": 60_000, "cacheScope": "private"})
    servers = {"files": private, "github": whole(MODERN, "github", "star")}
    async with House(servers, profiles=PROFILES).open() as home:
        ann = under("review", principal="token:ann")
        assert await home.names(caller=ann) == ["files__read"]
        told = listening(home, "review")
        home.config = home.config.model_copy(update={"profiles": {"review": ProfileConfig()}})
        home.gateway.servers_changed()
        await until(lambda: ("review", "tools") in told)
        assert await home.names(caller=ann) == ["files__read", "github__star"]


async def test_a_subscription_ends_with_the_sight_of_its_server_and_comes_back_with_it():
    async with house().open() as home:
        outbox = Outbox()
        caller = under("ops", LEGACY, session="s1", stream=outbox)
        await home.ask("resources/subscribe", {"uri": "github:///r"}, caller)
        updated = "notifications/resources/updated"

        def only(servers: tuple[str, ...]) -> None:
            profiles = {"ops": ProfileConfig(servers=servers)}
            home.config = home.config.model_copy(update={"profiles": profiles})
            home.gateway.servers_changed()

        only(("files",))
        await until(lambda: home.servers["github"].count("resources/unsubscribe") == 1)
        home.gateway.resource_updated("github", "github:///r")
        assert outbox.of(updated) == []
        only(("github",))
        await until(lambda: outbox.of(updated))
        assert outbox.of(updated) == [{"uri": "github:///r"}]


def test_no_profile_at_all_shows_everything():
    profiles = Profiles(lambda: Config(profiles=PROFILES))
    assert profiles.shows_server("", "anything")
    assert not profiles.shows_server("review", "github")
    assert not profiles.shows_server("unheard-of", "files")
    assert not profiles.go_by_principal


def test_the_rule_for_a_name_is_that_of_the_configuration_in_force():
    config = Config(profiles=PROFILES, servers=house().configs)
    profiles = Profiles(lambda: config)
    assert profiles.rule_for("review", "tools/call", "files__delete_x", "") == "profiles.review.tools.deny[0]"
    assert profiles.rule_for("review", "tools/call", "read", "files") == "profiles.review.tools.allow[0]"
    assert profiles.rule_for("ops", "prompts/get", "files__ask", "") == "profiles.ops.servers"
    assert profiles.rule_for("", "resources/read", "x:///1", "files") == "everything"
    config = config.model_copy(update={"profiles": {}})
    assert profiles.rule_for("review", "tools/call", "files__read", "files") == "profiles.review"
