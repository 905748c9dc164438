"""The admin API on its socket and on the port: every route, every error, and what is no request of it."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.admin_wire import decoded
from proxy_core.config.models import AdminConfig, Config
from proxy_core.config.tokens import new_token
from proxy_core.control import Action, PlannedServer, ReloadPlan
from proxy_core.errors import (
    BackendError,
    BackendTimeout,
    ConfigError,
    ConfigProblem,
    InvalidParams,
    NothingToRollBack,
    Only1Error,
    Overloaded,
    UnknownReplica,
    UnknownServer,
)
from proxy_core.frontend import admin
from proxy_core.frontend.admin import AdminApi, AdminEndpoint, socket_guard
from proxy_core.frontend.admin_routes import ROUTES
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.wire import Streamed, WireHead, WireRequest
from proxy_core.telemetry.snapshot import LogLine, NamedItem, ServerDetail, Snapshot
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff, ToolText
from tests.support.admin_house import House, Said, config_of, house
from tests.support.clock import FakeClock
from tests.support.fake_control import NOW, FakeControl, row_of, snapshot_of
from tests.support.open_wire import OpenWire

ITEM = NamedItem("tool", "search__find", "find", "search", arguments=(("q", True),))
PLAN = ReloadPlan((PlannedServer("search", Action.REPLACE, ("transport.url",)),))


class Control(FakeControl):
    """Remembers what a tool was called with, and fails as nobody foresaw."""

    def __init__(self) -> None:
        super().__init__(snapshot_of([row_of("search"), row_of("notes")]))
        self.items = (ITEM,)
        self.plan = PLAN
        self.arguments: list[dict[str, Any]] = []
        self.bug: Exception | None = None
        self.cancelled = 0

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.arguments.append(arguments)
        return await super().call(name, arguments)

    async def _ask(self, verb: str, target: str) -> None:
        if self.bug is not None:
            raise self.bug
        try:
            await super()._ask(verb, target)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def set_log_level(self, level: str) -> None:
        if level not in {"debug", "info", "warning", "error"}:
            raise InvalidParams("level must be debug, info, warning or error.")
        await super().set_log_level(level)


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
async def served(control: Control) -> AsyncIterator[House]:
    async with house(control) as served:
        yield served


# --- what is seen ---------------------------------------------------------------------------------------------


async def test_the_picture_a_server_and_the_names_are_read(served: House, control: Control):
    snapshot = await served.ask("GET", "snapshot")
    assert (snapshot.status, snapshot.headers["Content-Type"]) == (200, "application/json")
    assert decoded(snapshot.body, Snapshot) == control.current
    control.details["notes"] = ServerDetail(row_of("notes"), (ITEM,), stderr=("\x1b[2J",))
    detail = decoded((await served.ask("GET", "servers/notes")).body, ServerDetail)
    assert (detail.items, detail.stderr) == ((ITEM,), ("\x1b[2J",))
    assert (await served.ask("GET", "names")).json[0]["name"] == "search__find"


async def test_log_lines_are_read_from_a_place_on_and_the_newest_of_them(served: House, control: Control):
    control.log(*(LogLine(1.0, "info", "search", f"line {number}") for number in range(1, 6)))
    page = (await served.ask("GET", "logs?after=1&limit=2")).json
    assert ([line["text"] for line in page["lines"]], page["seq"]) == (["line 4", "line 5"], 5)
    assert len((await served.ask("GET", "logs")).json["lines"]) == 5
    assert (await served.ask("GET", "logs?limit=0")).json == {"seq": 5, "lines": []}


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=%31%", "limit=1e9", "after=" + "9" * 30, "a=1&" * 50]
)
async def test_a_query_that_makes_no_sense_is_refused(served: House, query: str):
    refused = await served.ask("GET", f"logs?{query}")
    assert (refused.status, refused.error) == (400, "bad_request")


async def test_the_plan_is_looked_at_and_put_in_force_by_different_methods(served: House, control: Control):
    assert (await served.ask("GET", "reload")).json["servers"][0]["action"] == "replace"
    assert (control.plans, control.reloads) == (1, 0)
    assert (await served.ask("POST", "reload")).status == 200
    assert (await served.ask("POST", "rollback")).json["servers"][0]["changed"] == ["transport.url"]
    assert (control.reloads, control.rollbacks) == (1, 1)


# --- the verbs ------------------------------------------------------------------------------------------------

VERBS = ("drain", "undrain", "probe", "restart", "enable", "disable")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("place", "target"), [("servers/search", "search"), ("servers/search/replicas/a1", "search/a1")]
)
async def test_a_verb_reaches_its_server_or_replica(
    served: House, control: Control, verb: str, place: str, target: str
):
    assert (await served.ask("POST", f"{place}/{verb}")).status == 200
    assert control.asked == [(verb, target)]


async def test_a_drain_is_given_its_time_and_answers_how_it_ended(served: House, control: Control):
    ended = await served.ask("POST", "servers/search/drain", {"grace_s": 2.5})
    assert ended.json == {"finished": 2, "abandoned": 0, "calls": []}
    await served.ask("POST", "servers/search/drain", {})
    await served.ask("POST", "servers/search/drain", {"grace_s": None})
    assert control.graces_s == [2.5, None, None]
    for bad in (-1, 3601, 1e400, "x", True):
        assert (await served.ask("POST", "servers/search/drain", {"grace_s": bad})).status == 400
    assert len(control.graces_s) == 3


async def test_all_servers_are_asked_at_the_same_time_and_each_answers_for_itself(
    served: House, control: Control
):
    control.held = asyncio.Event()
    asked = asyncio.ensure_future(served.ask("POST", "drain", {"grace_s": 1}))
    while len(control.asked) < 2:
        await asyncio.sleep(0.01)
    control.held.set()
    assert (await asked).json["search"] == {"outcome": {"finished": 2, "abandoned": 0, "calls": []}}
    assert (await served.ask("POST", "undrain")).json == {"search": {}, "notes": {}}
    probed = (await served.ask("POST", "probe")).json
    assert probed["notes"]["probe"]["latency_ms"] == 12.0
    control.refusal = BackendTimeout("search", "too slow")
    failed = (await served.ask("POST", "probe")).json
    assert failed["search"]["error"]["type"] == "server_fault"


async def test_a_tool_is_called_with_its_arguments(served: House, control: Control):
    answered = await served.ask("POST", "call", {"name": "search__find", "arguments": {"q": ["é", None]}})
    assert answered.json == {"content": [], "isError": False}
    assert (control.asked, control.arguments) == ([("call", "search__find")], [{"q": ["é", None]}])


async def test_changes_are_looked_at_and_approved_in_the_name_of_who_asks(served: House, control: Control):
    change = ToolChange("search", "read/x y", "changed", "a" * 32, ("description",), True)
    control.diffs = [ToolDiff(change, ToolText(description="new"), ToolText(description="old"))]
    assert decoded((await served.ask("GET", "changes")).body, list[ToolChange]) == [change]
    assert (await served.ask("GET", "servers/notes/changes")).json == []
    one = await served.ask("GET", "servers/search/change?tool=read%2Fx+y")
    assert decoded(one.body, ToolDiff) == control.diffs[0]
    other = await served.ask("GET", f"servers/search/change?tool=read%2Fx+y&digest={'b' * 32}")
    assert (other.status, other.error) == (409, "unknown_change")
    assert (await served.ask("GET", "servers/search/change")).status == 400
    assert (await served.ask("POST", "servers/search/approve", {"tool": ""})).status == 400
    body = {"tool": "read/x y", "digest": "a" * 32}
    assert (await served.ask("POST", "servers/search/approve", body)).json == {"tools": ["read/x y"]}
    assert control.approved == [("search", "read/x y", "a" * 32)]
    assert all(control.by)
    assert (await served.ask("POST", "servers/search/approve")).error == "unknown_change"


async def test_a_question_is_answered_and_a_drill_begun_in_the_name_of_who_asks(
    served: House, control: Control
):
    body = {"action": "accept", "content": {"name": "é"}}
    assert (await served.ask("POST", "questions/ab12/answer", body)).json == {}
    assert control.answers == [("ab12", "accept", {"name": "é"})]
    assert (await served.ask("POST", "servers/search/drill", {"kind": "kill"})).json == {}
    assert (await served.ask("POST", "servers/search/replicas/a/drill/end")).json == {}
    assert control.asked == [("answer", "ab12"), ("drill", "search"), ("end_drill", "search/a")]
    assert (await served.ask("POST", "servers/search/drill", {})).status == 400
    assert (await served.ask("POST", "questions/AB/answer", body)).status == 404
    assert len(control.by) == 3
    assert all(control.by)


async def test_the_log_level_is_set(served: House, control: Control):
    assert (await served.ask("POST", "log-level", {"level": "debug"})).status == 200
    assert control.level == "debug"
    assert (await served.ask("POST", "log-level", {"level": "loud"})).status == 400


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnknownServer("search"), 404, "unknown_server"),
        (UnknownReplica("search", "z", ("a",)), 404, "unknown_replica"),
        (NothingToRollBack(), 409, "nothing_to_roll_back"),
        (BackendTimeout("search", "too slow", "secret detail"), 502, "server_fault"),
        (BackendError("search", -32001, "no", b'{"x":1}'), 502, "server_error"),
        (Overloaded("busy"), 503, "overloaded"),
        (Only1Error("other"), 500, "internal"),
    ],
)
async def test_an_error_has_its_status_and_its_words(
    served: House, control: Control, error: Only1Error, status: int, kind: str
):
    control.refusal = error
    failed = await served.ask("POST", "servers/search/restart")
    assert (failed.status, failed.error, failed.json["error"]["message"]) == (status, kind, error.message)
    assert b"secret" not in failed.body


async def test_a_bad_configuration_names_every_fault_and_its_line(served: House, control: Control):
    control.fault = ConfigError("/etc/only1mcp.yaml", (ConfigProblem("proxy.port", "not a number", 3),))
    for method in ("GET", "POST"):
        failed = await served.ask(method, "reload")
        assert (failed.status, failed.error) == (422, "bad_config")
        problem = {"key": "proxy.port", "message": "not a number", "line": 3}
        assert failed.json["error"]["problems"] == [problem]
    assert control.reloads == 0


async def test_what_nobody_foresaw_is_logged_whole_and_told_without_internals(
    served: House, control: Control, caplog: pytest.LogCaptureFixture
):
    control.bug = ValueError("secret internals")
    failed = await served.ask("POST", "servers/search/restart")
    assert failed.json == {"error": {"type": "internal", "message": "Internal error"}}
    assert failed.status == 500
    assert "secret internals" in caplog.text


# --- who hangs up, and who stops ------------------------------------------------------------------------------


async def until(look: Any) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.01)


async def hang_up_during(served: House, control: Control, path: str, body: bytes) -> None:
    control.held = asyncio.Event()
    async with served.raw() as (_, writer):
        head = f"POST /admin/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: control.asked)


async def test_a_verb_goes_on_if_who_asked_hangs_up(served: House, control: Control):
    await hang_up_during(served, control, "servers/search/drain", b"{}")
    await until(lambda: served.is_idle)
    assert control.cancelled == 0
    assert control.held is not None
    control.held.set()


async def test_a_call_is_cancelled_if_who_asked_hangs_up(served: House, control: Control):
    await hang_up_during(served, control, "call", b'{"name":"search__find"}')
    await until(lambda: control.cancelled == 1)


async def test_while_it_stops_a_gateway_may_be_watched_but_not_steered(served: House, control: Control):
    await served.frontend.stop_listening()
    assert (await served.ask("GET", "snapshot")).status == 200
    refused = await served.ask("POST", "servers/search/drain")
    assert (refused.status, refused.json["error"]["message"]) == (503, "The gateway is stopping.")
    assert control.asked == []


async def test_a_verb_under_way_is_given_up_with_the_gateway_and_answered(served: House, control: Control):
    control.held = asyncio.Event()
    asked = asyncio.ensure_future(served.ask("POST", "servers/search/drain"))
    await until(lambda: control.asked)
    await served.frontend.aclose()
    assert (await asked).status == 503
    assert control.cancelled == 1


async def test_verbs_under_way_are_bounded(served: House, control: Control, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin, "MAX_VERBS", 1)
    control.held = asyncio.Event()
    asked = asyncio.ensure_future(served.ask("POST", "servers/search/drain"))
    await until(lambda: control.asked)
    assert (await served.ask("POST", "servers/notes/drain")).status == 503
    assert (await served.ask("GET", "snapshot")).status == 200
    control.held.set()
    assert (await asked).status == 200


# --- what was done is in the log ------------------------------------------------------------------------------


async def test_every_verb_leaves_a_line_and_no_secret(served: House, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "proxy_core.frontend.admin")
    await served.ask("POST", "servers/search/replicas/a/drain", {"grace_s": 1})
    await served.ask("POST", "call", {"name": "search__find", "arguments": {"q": "hunter2"}})
    await served.ask("POST", "probe")
    await served.ask("GET", "snapshot")
    assert caplog.messages == ["admin: drain search/a", "admin: call search__find", "admin: probe all"]


# --- hostile input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "snapshot/",
        "snapshot//",
        "/snapshot",
        "Snapshot",
        "snapshot%00",
        "%73napshot",
        "servers",
        "servers/",
        "servers//drain",
        "servers/../snapshot",
        "servers/..%2fsnapshot",
        "servers/%2e%2e/drain",
        "servers/search%2Fa/drain",
        "servers/SEARCH",
        "servers/search;x",
        "servers/" + "a" * 25,
        "servers/search/replicas/drain",
        "servers/search/replicas//drain",
        "servers/search/replicas/a/b/drain",
        "servers/search/explode",
        "exchanges/",
        "exchanges/x",
        "exchanges/-1",
        "exchanges/1e3",
        "exchanges/" + "1" * 19,
        "exchanges/1/replay/2",
        "../v1/snapshot",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_path_that_is_none_leads_nowhere(served: House, control: Control, method: str, path: str):
    async with served.raw() as (reader, writer):
        writer.write(
            f"{method} /admin/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        )
        status = await asyncio.wait_for(reader.readline(), 20)
    assert b" 404 " in status
    assert control.asked == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "snapshot", "GET"),
        ("GET", "servers/search/drain", "POST"),
        ("DELETE", "servers/search", "GET"),
        ("PUT", "reload", "GET, POST"),
        ("HEAD", "snapshot", "GET"),
        ("OPTIONS", "snapshot", "GET"),
        ("TRACE", "call", "POST"),
    ],
)
async def test_another_method_is_refused_with_those_that_are_served(
    served: House, control: Control, method: str, path: str, allow: str
):
    refused = await served.ask(method, path)
    assert (refused.status, refused.headers["Allow"]) == (405, allow)
    assert not any(name.startswith("Access-Control") for name in refused.headers)
    assert control.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"grace_s": "1"}',
        b'{"grace_s": NaN}',
        b'{"grace": 1}',
        b'{"grace_s": 1} {}',
    ],
)
async def test_a_body_that_is_not_what_the_route_takes_is_refused(served: House, control: Control, body: bytes):
    refused = await served.ask("POST", "servers/search/drain", body)
    assert (refused.status, refused.error) == (400, "bad_request")
    assert control.asked == []


@pytest.mark.parametrize(
    "body", [{}, {"name": 7}, {"name": ""}, {"name": "x" * 1025}, {"name": "x", "arguments": []}]
)
async def test_a_call_that_is_none_is_refused(served: House, control: Control, body: object):
    assert (await served.ask("POST", "call", body)).status == 400
    assert control.asked == []


async def test_a_verb_without_a_body_takes_none(served: House, control: Control):
    assert (await served.ask("POST", "servers/search/restart", {"force": True})).status == 400
    assert (await served.ask("POST", "servers/search/restart", b"")).status == 200
    assert control.asked == [("restart", "search")]


async def test_a_body_in_another_form_is_refused(served: House, control: Control):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await served.ask("POST", "servers/search/drain", b"{}", headers=form)).status == 415
    packed = {"Content-Encoding": "gzip"}
    assert (await served.ask("POST", "servers/search/drain", b"{}", headers=packed)).status == 415
    assert control.asked == []


async def test_a_body_beyond_the_bound_is_refused(control: Control):
    async with house(control, config_of(max_body_bytes=2048)) as served:
        arguments = {"q": "x" * 2048}
        refused = await served.ask("POST", "call", {"name": "search__find", "arguments": arguments})
        assert (refused.status, refused.error) == (413, "refused")
    assert control.asked == []


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://evil.example", "null", ""])
async def test_no_page_gets_in_by_the_socket(served: House, control: Control, origin: str):
    for method, path in (("GET", "snapshot"), ("POST", "servers/search/drain"), ("OPTIONS", "snapshot")):
        refused = await served.ask(method, path, headers={"Origin": origin})
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
    assert control.asked == []


async def test_another_name_than_this_machines_is_refused_on_the_socket(served: House):
    for host, status in (("evil.example", 421), ("localhost:9", 200), ("127.0.0.1", 200)):
        assert (await served.ask("GET", "snapshot", headers={"Host": host})).status == status


async def test_every_route_has_a_path_of_its_own_and_a_sentence():
    places = [(route.method, route.path) for route in ROUTES]
    assert len(set(places)) == len(places)
    for route in ROUTES:
        assert route.does.endswith(".")
        assert bool(route.verb) == (route.method == "POST")
        assert re.fullmatch(r"[a-z{}/-]+", route.path)


# --- on the port ----------------------------------------------------------------------------------------------


async def test_the_port_has_it_only_if_asked_for(served: House):
    assert (await served.ask_port("GET", "/admin/v1/snapshot")).status == 404


async def test_without_a_token_to_ask_for_the_port_lets_nobody_in(control: Control):
    async with house(control, config_of(admin=AdminConfig(on_port=True))) as served:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}):
            assert (await served.ask_port("GET", "/admin/v1/snapshot", headers=headers)).status == 401
        assert (await served.ask("GET", "snapshot")).status == 200


async def test_on_the_port_every_request_needs_a_token_and_a_name_of_ours(
    control: Control, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "proxy_core.frontend.admin")
    token, entry = new_token("ci", admin="steer")
    bearer = {"Authorization": f"Bearer {token}"}
    async with house(control, config_of(tokens=(entry,), admin=AdminConfig(on_port=True))) as served:
        path = "/admin/v1/servers/search/drain"
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer o1_wrong"}, 401),
            ({"Authorization": "Bearer"}, 400),
            (bearer | {"Origin": "http://localhost:1"}, 403),
            (bearer | {"Host": "evil.example"}, 421),
            (bearer, 200),
        ):
            assert (await served.ask_port("POST", path, {}, headers=headers)).status == status
        unknown = await served.ask_port("GET", "/admin/v1/nothing")
        assert unknown.status == 401
        assert (await served.ask_port("GET", f"{path}?token={token}")).status == 401
    assert control.asked == [("drain", "search")]
    assert caplog.messages == ["admin: drain search by token:ci"]
    assert token not in caplog.text


async def test_the_token_of_a_profile_steers_nothing(control: Control):
    token, entry = new_token("ci")
    bearer = {"Authorization": f"Bearer {token}"}
    bound = entry.model_copy(update={"profile": "review"})
    async with house(control, config_of(tokens=(bound,), admin=AdminConfig(on_port=True))) as served:
        for method, path in (("GET", "snapshot"), ("POST", "call"), ("GET", "events")):
            refused = await served.ask_port(method, f"/admin/v1/{path}", {}, headers=bearer)
            assert refused.status == 403
    assert control.asked == []


async def test_a_token_may_look_and_steers_only_if_its_entry_says_so(control: Control):
    token, entry = new_token("ci")
    bearer = {"Authorization": f"Bearer {token}"}
    verbs = [route for route in ROUTES if route.verb]

    def with_admin(word: str) -> Config:
        tokens = (entry.model_copy(update={"admin": word}),)
        return config_of(tokens=tokens, admin=AdminConfig(on_port=True))

    async with house(control, with_admin("read")) as served:

        async def ask(method: str, path: str) -> Said:
            return await served.ask_port(method, f"/admin/v1/{path}", {}, headers=bearer)

        for route in verbs:
            path = route.path.format(server="search", replica="a", exchange="1", question="q1")
            refused = await ask(route.method, path)
            assert (refused.status, refused.error) == (403, "refused"), path
            assert "may look and not steer" in refused.json["error"]["message"]
        assert control.asked == [] and control.reloads == 0 and control.level == "info"
        assert (await ask("GET", "session")).json == {"principal": "token:ci", "may_steer": False}
        assert (await ask("GET", "snapshot")).status == 200
        served.frontend.use(with_admin("steer"))
        assert (await ask("GET", "session")).json == {"principal": "token:ci", "may_steer": True}
        assert (await ask("POST", "servers/search/drain")).status == 200
        served.frontend.use(with_admin("none"))
        for path in ("snapshot", "events", "session"):
            assert (await ask("GET", path)).status == 403
        assert (await served.ask_port("GET", "/metrics", headers=bearer)).status == 403
    assert control.asked == [("drain", "search")]


async def test_the_owner_on_the_socket_may_do_everything(served: House):
    assert (await served.ask("GET", "session")).json == {"principal": "owner", "may_steer": True}


async def test_tokens_and_the_port_change_with_the_configuration(control: Control):
    token, entry = new_token("ci")
    bearer = {"Authorization": f"Bearer {token}"}
    with_it = config_of(tokens=(entry,), admin=AdminConfig(on_port=True))
    async with house(control, config_of()) as served:

        async def status() -> int:
            return (await served.ask_port("GET", "/admin/v1/snapshot", headers=bearer)).status

        assert await status() == 404
        served.frontend.use(with_it)
        assert await status() == 200
        served.frontend.use(config_of(admin=AdminConfig(on_port=True)))
        assert await status() == 401
        served.frontend.use(config_of(tokens=(entry,)))
        assert await status() == 404


async def test_the_picture_shows_nothing_older_than_now(served: House, control: Control):
    control.use(row_of("other"))
    answer = await served.ask("GET", "snapshot")
    assert [row["id"] for row in answer.json["servers"]] == ["other"]
    assert (answer.json["at"], answer.headers["Cache-Control"]) == (NOW, "no-store")


# --- anything at all ------------------------------------------------------------------------------------------

PIECES = [
    "servers",
    "search",
    "replicas",
    "a",
    "drain",
    "reload",
    "call",
    "snapshot",
    "..",
    "%2e",
    "",
    "\x00",
    "é",
]
BODIES = st.binary(max_size=40) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["grace_s", "name", "arguments", "level", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "", "get"]),
    path=st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=6).map("/".join),
    prefix=st.sampled_from(["/admin/v1/", "/admin/v1", "/admin/v2/", "/"]),
    query=st.text(max_size=20) | st.sampled_from(["after=1", "limit=x", "logs=1&logs_after=9"]),
    body=BODIES,
)
def test_whatever_comes_is_answered_and_what_is_no_verb_does_nothing(
    method: str, path: str, prefix: str, query: str, body: bytes
):
    async def ask() -> tuple[int, Control]:
        control, clock = Control(), FakeClock()
        streams = EventStreams(clock)
        api = AdminApi(control, streams, clock)
        endpoint = AdminEndpoint(api, socket_guard(1 << 20), None)
        head = WireHead(
            method,
            prefix + path,
            [],
            "",
            {"host": "localhost", "content-type": "application/json"},
            query=query,
        )
        head.headers = list(head.values.items())
        wire = OpenWire()
        wire.is_gone = True
        answer = endpoint.admit(head) or await endpoint.answer(WireRequest(head, body, wire.open))
        await api.aclose()
        await streams.aclose()
        return (200 if isinstance(answer, Streamed) else answer.status), control

    status, control = asyncio.run(ask())
    assert status in {200, 400, 404, 405}
    acted = bool(control.asked or control.reloads or control.rollbacks or control.level != "info")
    assert not acted or (status == 200 and method == "POST")
