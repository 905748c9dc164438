"""Which rule decides about a name, and that a rule about a resource holds whatever a client calls it."""

import posixpath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.access import policy as policy_module
from proxy_core.access.policy import NO_RULE, UNKNOWN, Policies, Policy
from proxy_core.config.models import Config, NameRules, ProfileConfig, ServerConfig, StdioTransport, ToolRules

CALL, READ, GET, COMPLETE = "tools/call", "resources/read", "prompts/get", "completion/complete"
STUB = StdioTransport(command="stub")
SERVERS = (
    ServerConfig(id="files", transport=STUB, tools=ToolRules(deny=("format_*", "wipe"))),
    ServerConfig(id="github", transport=STUB, tools=ToolRules(allow=("star",))),
)
REVIEW = ProfileConfig(
    servers=("g*", "files"),
    tools=NameRules(deny=("*__delete_*",)),
    prompts=NameRules(allow=("files__sum", "github__*"), deny=("*_draft",)),
    resources=NameRules(allow=("file:///pub/*", "github+*"), deny=("*/.git/*",)),
)


def policies(servers: tuple[ServerConfig, ...] = SERVERS, **profiles: ProfileConfig) -> Policies:
    return Policies(Config(servers=servers, profiles=profiles or {"review": REVIEW}))


def rules(**resources: tuple[str, ...]) -> Policy:
    return Policy("p", ProfileConfig(resources=NameRules(**resources)))


RULES: list[tuple[str, str, bool, str]] = [
    (CALL, "files__read", True, "profiles.review.tools.allow[0]"),
    (CALL, "files__delete_all", False, "profiles.review.tools.deny[0]"),
    (CALL, "files__wipe", False, "servers.files.tools.deny[1]"),
    (CALL, "github__fork", False, "servers.github.tools.allow"),
    (CALL, "github__star", True, "profiles.review.tools.allow[0]"),
    (CALL, "nobody__read", False, UNKNOWN),
    (CALL, "read", False, UNKNOWN),
    (GET, "files__sum", True, "profiles.review.prompts.allow[0]"),
    (GET, "github__a_draft", False, "profiles.review.prompts.deny[0]"),
    (GET, "files__other", False, "profiles.review.prompts.allow"),
    (READ, "file:///pub/a", True, "profiles.review.resources.allow[0]"),
    (READ, "github+anything:///x", True, "profiles.review.resources.allow[1]"),
    (READ, "files+file:///pub/.git/x", False, "profiles.review.resources.deny[0]"),
    (READ, "file:///etc/passwd", False, "profiles.review.resources.allow"),
    (READ, "file:///pub/../../../etc/passwd", False, "profiles.review.resources"),
    ("resources/subscribe", "file:///pub/a", True, "profiles.review.resources.allow[0]"),
    (COMPLETE, "files__other", False, "profiles.review.prompts.allow"),
    (COMPLETE, "file:///etc/{name}", False, "profiles.review.resources.allow"),
    ("tools/list", "", True, "profiles.review"),
]


@pytest.mark.parametrize(("method", "name", "is_allowed", "rule"), RULES)
def test_the_rule_that_decides_is_named(method: str, name: str, is_allowed: bool, rule: str):
    verdict = policies().verdict("review", method, name)
    assert (verdict.is_allowed, verdict.rule) == (is_allowed, rule)


def test_the_server_decides_before_its_names():
    one = policies(review=ProfileConfig(servers=("git*",)))
    assert one.verdict("review", CALL, "files__read").rule == "profiles.review.servers"
    assert one.verdict("review", GET, "files__sum").rule == "profiles.review.servers"
    assert one.verdict("review", READ, "files+x:///1").rule == "profiles.review.servers"
    assert one.verdict("review", READ, "x:///1", "files").rule == "profiles.review.servers"
    assert one.verdict("review", "tasks/get", "sealed", "files").rule == "profiles.review.servers"
    assert one.verdict("review", "tasks/get", "sealed", "github").rule == "profiles.review.servers[0]"


def test_without_a_profile_a_server_s_own_rules_decide_and_else_none():
    everything = policies()
    assert everything.verdict("", CALL, "files__read").rule == "servers.files.tools.allow[0]"
    assert everything.verdict("", CALL, "files__wipe").rule == "servers.files.tools.deny[1]"
    for method, name in ((GET, "files__sum"), (READ, "file:///etc/passwd"), ("tools/list", "")):
        verdict = everything.verdict("", method, name)
        assert (verdict.is_allowed, verdict.rule) == (True, NO_RULE)


def test_a_profile_that_is_gone_allows_nothing_and_says_its_name():
    verdict = policies().verdict("gone", CALL, "files__read")
    assert (verdict.is_allowed, verdict.rule) == (False, "profiles.gone")


def test_the_glob_is_told_with_the_rule():
    verdict = policies().verdict("review", CALL, "files__delete_all")
    assert (verdict.glob, verdict.server) == ("*__delete_*", "files")
    assert policies().verdict("review", GET, "files__other").glob == ""


def test_a_tool_that_is_called_by_its_server_s_own_name_is_judged_by_the_one_in_lists():
    found = policies()
    for name in ("delete_all", "files__delete_all"):
        assert found.verdict("review", CALL, name, "files").rule == "profiles.review.tools.deny[0]"
    assert found.verdict("review", CALL, "wipe", "files").rule == "servers.files.tools.deny[1]"


def test_a_server_s_own_rules_are_about_its_own_names():
    """A name that was shortened does not tell them; whoever knows the tool says it."""
    found = policies()
    assert found.verdict("", CALL, "files__a-1b2c3d", "files", "wipe").rule == "servers.files.tools.deny[1]"
    bare = policies((SERVERS[0].model_copy(update={"prefix": "none"}),))
    assert bare.verdict("", CALL, "wipe").rule == "servers.files.tools.deny[1]"
    assert bare.verdict("review", CALL, "files__delete_x").rule == "profiles.review.tools.deny[0]"


# --- resources ----------------------------------------------------------------------------------------------


WAYS = [
    "file:///secret/key",
    "file:///secret/%6bey",
    "file:///pub/../secret/key",
    "file:////secret/key",
    "file://localhost/secret/key",
    "FILE:///secret/key",
    "file:///secret/key?x",
    "file:///secret/a/%2e%2e/key",
    "file:///../../secret/key",
]


@pytest.mark.parametrize("uri", WAYS)
def test_what_is_denied_is_denied_however_it_is_said(uri: str):
    for deny in (("file:///secret/*",), ("box+file:///secret/*",), ("file:///secret/key",)):
        assert not rules(deny=deny).resource("box", uri)


@pytest.mark.parametrize("uri", WAYS)
def test_what_only_looks_allowed_is_not(uri: str):
    assert not rules(allow=("file:///pub/*",)).resource("box", uri)
    assert rules(allow=("file:///pub/*",)).resource("box", "file:///pub/a/../b")


def test_a_resource_is_judged_alike_whichever_of_its_names_a_list_has():
    mine = rules(allow=("box+*",), deny=("*.key",))
    assert mine.resource("box", "file:///a")
    assert not mine.resource("other", "file:///a")
    assert not mine.resource("box", "file:///a.key")


def test_answers_about_uris_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy_module, "_MAX_URIS", 10)
    mine = rules(deny=("x:///3",))
    for _ in range(2):
        assert [mine.resource("box", f"x:///{n}") for n in range(30)].count(False) == 1
    assert not mine.resource("box", "x:///" + "3" * 5000 + "/../../x:///3")
    assert len(mine._uris) <= 10 and max(len(uri) for _, uri in mine._uris) < 20


def test_rules_that_allow_everything_are_not_asked_about_uris():
    mine = rules()
    assert mine.shows_all_resources and mine.resource("box", "file:///../%25252525252525x")
    assert not mine._uris
    assert not rules(deny=("x",)).shows_all_resources
    assert not rules(allow=("x",)).shows_all_resources


@pytest.mark.parametrize("hint", [{"readOnlyHint": True}, {"destructiveHint": False}])
def test_what_an_item_says_of_itself_is_not_even_asked(hint: dict[str, Any]):
    """Rules see names and nothing else (A10)."""
    from proxy_core.catalog.merge import ServerLists, merge
    from proxy_core.catalog.profiles import part_of
    from proxy_core.config.models import RoutingConfig

    tools = ({"name": "delete_all", "inputSchema": {"type": "object"}, "annotations": hint},)
    house = merge([ServerLists(server="files", title="f", rules=ToolRules(), tools=tools)], RoutingConfig())
    found = policies().of("review")
    assert found is not None
    assert part_of(house, found).tools == ()


# --- servers that open what a URI says ----------------------------------------------------------------------


def as_written(uri: str) -> str:
    return uri.removeprefix("file://")


def by_the_book(uri: str) -> str:
    return unquote(urlsplit(uri).path)


def twice(uri: str) -> str:
    return unquote(by_the_book(uri))


def before_it_is_split(uri: str) -> str:
    return urlsplit(unquote(uri)).path


def with_backslashes(uri: str) -> str:
    return by_the_book(uri).replace("\\", "/")


READERS = (as_written, by_the_book, twice, before_it_is_split, with_backslashes)
PLAIN = ["pub", "secret", "..", ".", "", "a", "a?b", "#c"]
WRITTEN = ["s%65cret", "%2e%2e", "%252e%252e", "%2f", "x\\..\\..\\secret", "%3fx"]
HOSTS = ["", "", "", "localhost", "LOCALHOST", "pub", "secret"]


@given(
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(PLAIN + WRITTEN), min_size=1, max_size=7),
    st.sampled_from(["/", "%2F"]),
)
def test_no_way_of_writing_a_uri_leads_a_server_past_a_rule(host: str, segments: list[str], slash: str):
    uri = f"file://{host}/{slash.join(segments)}"
    allowing = rules(allow=("file:///pub/*",))
    denying = rules(deny=("file:///secret", "file:///secret/*"))
    for reader in READERS:
        opened = posixpath.normpath("/" + reader(uri).lstrip("/"))
        if allowing.resource("box", uri):
            assert opened == "/pub" or opened.startswith("/pub/"), reader
        if denying.resource("box", uri):
            assert opened != "/secret" and not opened.startswith("/secret/"), reader
