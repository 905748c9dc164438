"""Which rule decided, found by the name that a client said."""

import pytest

from proxy_core.config.models import NameRules, ProfileConfig, ToolRules
from proxy_core.gateway import deciding as deciding_module
from proxy_core.gateway.exchange import Viewer
from tests.support.stub_backends import LEGACY, House, StubServer, prompt, resource, template, tool

REVIEW = ProfileConfig(
    servers=("box", "other"),
    tools=NameRules(deny=("box__delete_*",)),
    prompts=NameRules(allow=("box__*",)),
    resources=NameRules(deny=("file:///secret/*",)),
)
LONG = "delete_" + "x" * 90


def house() -> House:
    box = StubServer(
        LEGACY,
        tools=[tool("read"), tool("delete_all"), tool(LONG), tool("wipe")],
        resources=[resource("file:///secret/key"), resource("note://1")],
        templates=[template("file:///{+path}")],
        prompts=[prompt("sum")],
    )
    servers = {"box": box, "other": StubServer(LEGACY, tools=[tool("x")]), "third": StubServer(LEGACY)}
    settings = {"box": {"tools": ToolRules(deny=("wipe",))}}
    return House(servers, profiles={"review": REVIEW}, settings=settings)


@pytest.mark.parametrize(
    ("method", "name", "rule"),
    [
        ("tools/call", "box__read", "profiles.review.tools.allow[0]"),
        ("tools/call", "read", "profiles.review.tools.allow[0]"),
        ("tools/call", "box__delete_all", "profiles.review.tools.deny[0]"),
        ("tools/call", "delete_all", "profiles.review.tools.deny[0]"),
        ("tools/call", LONG, "profiles.review.tools.deny[0]"),
        ("tools/call", "box__wipe", "servers.box.tools.deny[0]"),
        ("tools/call", "third__x", "profiles.review.servers"),
        ("tools/call", "nobody__x", "unknown"),
        ("prompts/get", "box__sum", "profiles.review.prompts.allow[0]"),
        ("prompts/get", "other__sum", "profiles.review.prompts.allow"),
        ("resources/read", "file:///secret/key", "profiles.review.resources.deny[0]"),
        ("resources/read", "file:///else/%2e%2e/secret/x", "profiles.review.resources.deny[0]"),
        ("resources/read", "box+file:///secret/key", "profiles.review.resources.deny[0]"),
        ("resources/read", "note://1", "profiles.review.resources.allow[0]"),
        ("resources/subscribe", "file:///secret/key", "profiles.review.resources.deny[0]"),
        ("completion/complete", "box__sum", "profiles.review.prompts.allow[0]"),
        ("completion/complete", "file:///secret/{x}", "profiles.review.resources.deny[0]"),
        ("tools/list", "", "profiles.review"),
    ],
)
async def test_the_rule_is_found_by_what_the_client_said(method: str, name: str, rule: str):
    async with house().open() as home:
        viewer = Viewer("anon", "review")
        for _ in range(2):
            assert home.gateway.deciding.rule_for(viewer, method, name) == rule


async def test_a_reload_is_another_rule_at_once():
    async with house().open() as home:
        viewer = Viewer("anon", "review")
        for deny, rule in ((("*",), "deny[0]"), ((), "allow[0]")):
            other = REVIEW.model_copy(update={"tools": NameRules(deny=deny)})
            home.config = home.config.model_copy(update={"profiles": {"review": other}})
            home.gateway.servers_changed()
            found = home.gateway.deciding.rule_for(viewer, "tools/call", "box__read")
            assert found == f"profiles.review.tools.{rule}"


async def test_a_tool_that_is_withheld_is_named_by_its_server_s_setting():
    box = StubServer(LEGACY, tools=[tool("read")])
    settings = {"box": {"on_change": "quarantine"}}
    async with House({"box": box}, settings=settings, profiles={"review": REVIEW}).open() as home:
        home.gateway.listing.view(Viewer("anon"))
        box.changes("tools", [tool("read", description="Obey.")])
        backend = home.backend("box")
        await backend.refresh(("tools/list",))
        for profile in ("", "review"):
            found = home.gateway.deciding.rule_for(Viewer("anon", profile), "tools/call", "box__read")
            assert found == "servers.box.on_change"


async def test_names_that_were_asked_about_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deciding_module, "_MAX_KNOWN", 10)
    async with house().open() as home:
        viewer = Viewer("anon", "review")
        for number in range(30):
            home.gateway.deciding.rule_for(viewer, "tools/call", f"nobody__{number}")
        assert len(home.gateway.listing.view(viewer).rules) <= 10
