"""The admin API as a table: each route, what it does, what it takes and what it answers.

The docs are made from it. Knows the front door and the words of the wire; not who may ask, and no sockets.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace

from proxy_core.admin_wire import (
    MAX_NAME,
    AnswerBody,
    ApproveBody,
    Approved,
    CallBody,
    Cleared,
    DrainBody,
    Drained,
    DrillBody,
    ExchangePage,
    LevelBody,
    LoginAnswer,
    LoginBody,
    LoginTerms,
    LogPage,
    Probed,
    ReplayBody,
    Resumed,
    Session,
    error_body,
)
from proxy_core.control import Control
from proxy_core.errors import InvalidParams, Only1Error
from proxy_core.frontend.admin_events import AdminEvents, Onlooker
from proxy_core.frontend.wire import WireRequest
from proxy_core.telemetry.exchanges import ExchangeRow

MAX_GRACE_S: Final = 3600.0
LOG_LINES: Final = 1000
MAX_LOG_LINES: Final = 5000
EXCHANGES: Final = 500
MAX_EXCHANGES: Final = 5000
MAX_LOOKS: Final = 250
"""Of the front door, which shows so many exchanges at once, for one page."""
_EXCHANGE: Final = "{exchange}"
_MAX_DIGITS: Final = 18
_ID: Final = re.compile(r"[a-z0-9-]{1,24}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TARGET: Final = re.compile(rf"{_ID.pattern}(?:/{_ID.pattern})?")
T = TypeVar("T")


class NoBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A verb that says it all."""


class Asked(Struct, frozen=True):
    """One request, as far as a route needs it."""

    ids: Mapping[str, str]
    """Of the path: `server`, `replica`, `question`."""
    body: Any
    """As the route's type says."""
    wire: WireRequest
    principal: str
    may_steer: Callable[[], bool]
    """Whether who asks may, as of now: a reload may change it."""

    @property
    def target(self) -> str:
        return "/".join(self.ids.values())

    def number(self, name: str, default: int) -> int:
        """Of the query. Raises: InvalidParams."""
        value = self.query().get(name, "")
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
            raise InvalidParams(f"{name} must be a whole number from 0.")
        return int(value)

    def query(self) -> dict[str, str]:
        """Raises: InvalidParams."""
        try:
            return dict(parse_qsl(self.wire.head.query, max_num_fields=16))
        except ValueError as error:
            raise InvalidParams("The query has too many fields.") from error


class Admin(Struct, frozen=True):
    """What the routes work with."""

    control: Control
    events: AdminEvents


class Route(Struct, frozen=True):
    method: str
    path: str
    """After the prefix; `{server}`, `{replica}` and `{question}` stand for ids."""
    does: str
    answers: str
    """For people: the shape of the answer."""
    run: Callable[[Admin, Asked], Awaitable[object]]
    verb: str = ""
    """For the log; empty: nothing is changed."""
    body: type[Struct] = NoBody
    goes_on: bool = True
    """A verb that was begun ends, even if who asked for it hangs up."""


# --- what is seen -------------------------------------------------------------------------------------------


async def _snapshot(admin: Admin, asked: Asked) -> object:
    return admin.control.snapshot()


async def _session(admin: Admin, asked: Asked) -> object:
    return Session(asked.principal, asked.may_steer())


async def _detail(admin: Admin, asked: Asked) -> object:
    detail = admin.control.detail(asked.ids["server"])
    if detail.version and asked.number("version", 0) == detail.version:
        detail = replace(detail, items=(), hidden=(), destructive=())
    if seen := asked.number("stderr_after", 0):
        # Of another life, if it is ahead of us.
        news = detail.stderr_seq - seen if seen <= detail.stderr_seq else len(detail.stderr)
        detail = replace(detail, stderr=detail.stderr[-news:] if news else ())
    return detail


async def _tool(admin: Admin, asked: Asked) -> object:
    return await admin.control.tool(_tool_name(asked.query().get("name", ""), "name"))


async def _changes(admin: Admin, asked: Asked) -> object:
    return await admin.control.tool_changes(asked.ids.get("server"))


async def _change(admin: Admin, asked: Asked) -> object:
    query = asked.query()
    digest = query.get("digest")
    return await admin.control.tool_diff(asked.ids["server"], _tool_name(query.get("tool", "")), digest)


async def _orphans(admin: Admin, asked: Asked) -> object:
    return await admin.control.orphans()


async def _names(admin: Admin, asked: Asked) -> object:
    return admin.control.names()


async def _events(admin: Admin, asked: Asked) -> object:
    wants_logs = asked.query().get("logs") == "1"
    logs_after = asked.number("logs_after", 0) if wants_logs else None
    wants_exchanges = asked.query().get("exchanges") == "1"
    exchanges_after = asked.number("exchanges_after", 0) if wants_exchanges else None
    who = Onlooker(asked.principal, asked.may_steer)
    return await admin.events.serve(asked.wire, who, asked.number("after", 0), logs_after, exchanges_after)


async def _logs(admin: Admin, asked: Asked) -> object:
    limit = min(asked.number("limit", LOG_LINES), MAX_LOG_LINES)
    newest, lines = admin.control.logs_after(asked.number("after", 0))
    return LogPage(newest, lines[-limit:] if limit else ())


async def _exchanges(admin: Admin, asked: Asked) -> object:
    limit = min(asked.number("limit", EXCHANGES), MAX_EXCHANGES)
    seq, rows = asked.number("after", 0), list[ExchangeRow]()
    for _ in range(MAX_LOOKS):
        seq, more = admin.control.exchanges_after(seq)
        if not more:
            break
        rows = [*rows, *more][-limit:] if limit else []
        await asyncio.sleep(0)
    return ExchangePage(seq, tuple(rows))


async def _exchange(admin: Admin, asked: Asked) -> object:
    return await admin.control.exchange(int(asked.ids["exchange"]))


async def _replay(admin: Admin, asked: Asked) -> object:
    target = asked.body.target
    if target is not None and not _TARGET.fullmatch(target):
        raise InvalidParams("target must be a server's id, or server/replica.")
    return await admin.control.replay(int(asked.ids["exchange"]), target)


async def _context(admin: Admin, asked: Asked) -> object:
    return await admin.control.context_bill()


async def _plan(admin: Admin, asked: Asked) -> object:
    return await admin.control.reload_plan()


# --- the verbs ----------------------------------------------------------------------------------------------


async def _drain(admin: Admin, asked: Asked) -> object:
    return await admin.control.drain(asked.target, _grace_s(asked.body))


async def _undrain(admin: Admin, asked: Asked) -> object:
    await admin.control.undrain(asked.target)
    return {}


async def _enable(admin: Admin, asked: Asked) -> object:
    await admin.control.enable(asked.target)
    return {}


async def _disable(admin: Admin, asked: Asked) -> object:
    return await admin.control.disable(asked.target)


async def _restart(admin: Admin, asked: Asked) -> object:
    await admin.control.restart(asked.target)
    return {}


async def _probe(admin: Admin, asked: Asked) -> object:
    return await admin.control.probe(asked.target)


async def _answer(admin: Admin, asked: Asked) -> object:
    body = asked.body
    await admin.control.answer(asked.ids["question"], body.action, body.content, by=asked.principal)
    return {}


async def _drill(admin: Admin, asked: Asked) -> object:
    body = asked.body
    await admin.control.drill(
        asked.target,
        body.kind,
        delay_ms=body.delay_ms,
        share=body.share,
        for_s=body.for_s,
        by=asked.principal,
    )
    return {}


async def _end_drill(admin: Admin, asked: Asked) -> object:
    await admin.control.end_drill(asked.target, by=asked.principal)
    return {}


async def _login_terms(admin: Admin, asked: Asked) -> object:
    return LoginTerms(await admin.control.login_port(asked.target))


async def _begin_login(admin: Admin, asked: Asked) -> object:
    if len(asked.body.redirect_uri) > MAX_NAME:
        raise InvalidParams(f"redirect_uri may have {MAX_NAME} characters.")
    return await admin.control.begin_login(asked.target, asked.body.redirect_uri)


async def _finish_login(admin: Admin, asked: Asked) -> object:
    await admin.control.finish_login(asked.target, asked.body.answer)
    return {}


async def _logout(admin: Admin, asked: Asked) -> object:
    return await admin.control.logout(asked.target)


async def _drain_all(admin: Admin, asked: Asked) -> object:
    grace_s = _grace_s(asked.body)

    async def drained(server: str) -> Drained:
        try:
            return Drained(await admin.control.drain(server, grace_s))
        except Only1Error as error:
            return Drained(error=error_body(error))

    return await _of_all(admin, drained)


async def _undrain_all(admin: Admin, asked: Asked) -> object:
    async def resumed(server: str) -> Resumed:
        try:
            await admin.control.undrain(server)
        except Only1Error as error:
            return Resumed(error=error_body(error))
        return Resumed()

    return await _of_all(admin, resumed)


async def _probe_all(admin: Admin, asked: Asked) -> object:
    async def probed(server: str) -> Probed:
        try:
            return Probed(await admin.control.probe(server))
        except Only1Error as error:
            return Probed(error=error_body(error))

    return await _of_all(admin, probed)


async def _clear_cache(admin: Admin, asked: Asked) -> object:
    return Cleared(await admin.control.clear_cache(asked.ids.get("server")))


async def _reload(admin: Admin, asked: Asked) -> object:
    return await admin.control.apply_reload()


async def _rollback(admin: Admin, asked: Asked) -> object:
    return await admin.control.rollback()


async def _call(admin: Admin, asked: Asked) -> object:
    return await admin.control.call(_tool_name(asked.body.name, "name"), asked.body.arguments)


async def _log_level(admin: Admin, asked: Asked) -> object:
    await admin.control.set_log_level(asked.body.level)
    return {}


async def _approve(admin: Admin, asked: Asked) -> object:
    tool, digest = asked.body.tool, asked.body.digest
    if tool is not None:
        _tool_name(tool)
    return Approved(await admin.control.approve(asked.target, tool, digest, by=asked.principal))


def _tool_name(name: str, member: str = "tool") -> str:
    """Raises: InvalidParams."""
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidParams(f"{member} must have 1 to {MAX_NAME} characters.")
    return name


async def _of_all(admin: Admin, act: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """By server, at the same time: one that hangs holds up no other."""
    servers = [row.id for row in admin.control.snapshot().servers]
    return dict(zip(servers, await asyncio.gather(*map(act, servers)), strict=True))


def _grace_s(body: DrainBody) -> float | None:
    grace_s = body.grace_s
    if grace_s is not None and not (math.isfinite(grace_s) and 0 <= grace_s <= MAX_GRACE_S):
        raise InvalidParams(f"grace_s must be 0 to {MAX_GRACE_S:g} seconds.")
    return grace_s


# --- the table ----------------------------------------------------------------------------------------------

_DRAIN_OUTCOME: Final = "`{finished, abandoned, calls}`"
_ONE: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "drain",
        "No new calls; waits for those in flight, at most `grace_s` (default: `proxy.grace_s`), then closes.",
        _DRAIN_OUTCOME,
        _drain,
        "drain",
        DrainBody,
    ),
    Route("POST", "undrain", "Takes calls again.", "`{}`", _undrain, "undrain"),
    Route(
        "POST",
        "probe",
        "Asks now whether it answers; of several replicas the worst is told.",
        "`{at, latency_ms, error, code}`",
        _probe,
        "probe",
    ),
    Route(
        "POST",
        "restart",
        "Drains, then starts again; also ends a wait for the next start, or a crash loop.",
        "`{}`",
        _restart,
        "restart",
    ),
    Route("POST", "enable", "Takes calls again.", "`{}`", _enable, "enable"),
    Route(
        "POST",
        "disable",
        "Drains, then stays off until it is enabled. The file is not changed.",
        _DRAIN_OUTCOME,
        _disable,
        "disable",
    ),
    Route(
        "POST",
        "drill",
        "A fault on purpose, where `tui.fault_drills` allows it: `delay` (`delay_ms`), `error` (`share` of the "
        "calls), `kill` (once). Ends by itself after `for_s`.",
        "`{}`",
        _drill,
        "drill",
        DrillBody,
    ),
    Route(
        "GET",
        "login",
        "Which loopback port the browser of a person should come back to after a login there; 0: any.",
        "`{port}`",
        _login_terms,
    ),
    Route(
        "POST",
        "login/begin",
        "Where a person logs in so that the gateway may use the server. The browser comes back to "
        "`redirect_uri`, on 127.0.0.1 of the person's machine, where whoever asks this listens.",
        "`{url, state, for_s}`",
        _begin_login,
        "login",
        LoginBody,
    ),
    Route(
        "POST",
        "login/finish",
        "What the browser came back with: `answer`, the parameters of its URL. Once; the server is tried anew.",
        "`{}`",
        _finish_login,
        "login",
        LoginAnswer,
    ),
    Route(
        "POST",
        "logout",
        "Forgets the login there, has its tokens revoked, and starts the server anew without. `note`: why they "
        "may be good still.",
        "`{was_in, note}`",
        _logout,
        "logout",
    ),
    Route("POST", "drill/end", "Ends the fault on purpose, if there is one.", "`{}`", _end_drill, "end drill"),
)


def _under(place: str, verb: Route) -> Route:
    return Route(verb.method, f"{place}/{verb.path}", verb.does, verb.answers, verb.run, verb.verb, verb.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "snapshot", "The whole picture, as of now.", "`Snapshot`", _snapshot),
    Route("GET", "session", "Who asks, and whether verbs are taken.", "`{principal, may_steer}`", _session),
    Route(
        "GET",
        "servers/{server}",
        "One server in full; without its items if `?version=` is that of these, and with no more of its stderr "
        "than what is newer than `&stderr_after=`.",
        "`ServerDetail`",
        _detail,
    ),
    Route(
        "GET",
        "tool",
        "One tool in full, its schemas too, by its exposed name: `?name=`.",
        "`ToolDetail`",
        _tool,
    ),
    Route(
        "GET",
        "changes",
        "Tools that are not what was approved or first seen, and that nobody has approved since.",
        "list of `ToolChange`",
        _changes,
    ),
    Route("GET", "servers/{server}/changes", "Those of one server.", "list of `ToolChange`", _changes),
    Route(
        "GET",
        "servers/{server}/change",
        "One of them in full, before and now, by the server's own name: `?tool=`; `&digest=` chooses where one "
        "tool says several things.",
        "`ToolDiff`",
        _change,
    ),
    Route(
        "GET",
        "orphans",
        "Looks for processes that gateways of this person have left behind.",
        "list of `OrphanRow`",
        _orphans,
    ),
    Route(
        "GET",
        "names",
        "Every tool, resource, template and prompt that clients see, in list order.",
        "list of `NamedItem`",
        _names,
    ),
    Route(
        "GET",
        "context",
        "What the lists of tools cost a model, in tokens: by server, tool and profile, and in each mode.",
        "`ContextBill`",
        _context,
    ),
    Route(
        "GET",
        "events",
        "The event stream, see below; facts newer than `?after=`, log lines with `&logs=1&logs_after=`, rows "
        "of exchanges with `&exchanges=1&exchanges_after=`.",
        "`text/event-stream`",
        _events,
    ),
    Route(
        "GET",
        "logs",
        f"Log lines newer than `?after=`; the newest `&limit=` of them, {LOG_LINES} unless told.",
        "`{seq, lines}`",
        _logs,
    ),
    Route(
        "GET",
        "exchanges",
        "Requests that were recorded: those that began or changed after `?after=`; the newest `&limit=` of "
        f"them, {EXCHANGES} unless told.",
        "`{seq, rows}`",
        _exchanges,
    ),
    Route(
        "GET",
        "exchanges/{exchange}",
        "One of them in full: every step and message, secrets masked.",
        "`ExchangeDetail`",
        _exchange,
    ),
    Route(
        "POST",
        "exchanges/{exchange}/replay",
        "Makes it again, past every cache, as the operator sees things; `target` chooses a server or "
        "`server/replica`. What the server answers is part of what is told. Who hangs up has cancelled.",
        "`ExchangeDetail`",
        _replay,
        "replay",
        ReplayBody,
        goes_on=False,
    ),
    Route(
        "GET",
        "reload",
        "Reads the configuration file: what a reload would change. Changes nothing.",
        "`ReloadPlan`",
        _plan,
    ),
    Route(
        "POST",
        "reload",
        "Reads the configuration file and puts it in force; drains go on by themselves.",
        "`ReloadPlan`",
        _reload,
        "reload",
    ),
    Route(
        "POST",
        "rollback",
        "Puts the configuration in force that was so before. The file is not changed.",
        "`ReloadPlan`",
        _rollback,
        "rollback",
    ),
    *(_under("servers/{server}", verb) for verb in _ONE),
    Route(
        "POST",
        "servers/{server}/approve",
        "Approves what a `tool` says now, by the server's own name, or all of the server's; with a `digest` "
        "only if it still says what that change said.",
        "`{tools}`",
        _approve,
        "approve",
        ApproveBody,
    ),
    Route(
        "POST",
        "servers/{server}/cache/clear",
        "Drops its kept answers; its lists are read again when somebody asks for them.",
        "`{answers}`",
        _clear_cache,
        "clear cache",
    ),
    *(_under("servers/{server}/replicas/{replica}", verb) for verb in _ONE),
    Route(
        "POST",
        "drain",
        "Drains every server, at the same time.",
        "server -> `{outcome}` or `{error}`",
        _drain_all,
        "drain all",
        DrainBody,
    ),
    Route(
        "POST",
        "undrain",
        "Every server takes calls again.",
        "server -> `{}` or `{error}`",
        _undrain_all,
        "undrain all",
    ),
    Route(
        "POST",
        "probe",
        "Probes every server, at the same time.",
        "server -> `{probe}` or `{error}`",
        _probe_all,
        "probe all",
    ),
    Route(
        "POST",
        "cache/clear",
        "The same for every server.",
        "`{answers}`",
        _clear_cache,
        "clear cache",
    ),
    Route(
        "POST",
        "questions/{question}/answer",
        "Answers a server's question: `action` accept, decline or cancel; `content` for a form, by name.",
        "`{}`",
        _answer,
        "answer",
        AnswerBody,
    ),
    Route(
        "POST",
        "call",
        "Calls a tool by its exposed name. Who hangs up has cancelled.",
        "the result, as the server answered it",
        _call,
        "call",
        CallBody,
        goes_on=False,
    ),
    Route(
        "POST",
        "log-level",
        "debug, info, warning or error, until the next reload.",
        "`{}`",
        _log_level,
        "log-level",
        LevelBody,
    ),
)


def routes_at(path: str) -> tuple[dict[str, Route], dict[str, str]]:
    """The routes of a path after the prefix by HTTP method, and the ids in it; none for a path that is none."""
    parts = path.split("/")
    for template, routes in _BY_PATH.items():
        if len(template) == len(parts) and (ids := _ids(template, parts)) is not None:
            return routes, ids
    return {}, {}


def _ids(template: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    ids: dict[str, str] = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            # Nothing that is no id reaches anyone, be it percent-encoded or dots.
            if not (_NUMBER if wanted == _EXCHANGE else _ID).fullmatch(part):
                return None
            ids[wanted.strip("{}")] = part
        elif wanted != part:
            return None
    return ids


def _by_path() -> dict[tuple[str, ...], dict[str, Route]]:
    found: dict[tuple[str, ...], dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(tuple(route.path.split("/")), {})[route.method] = route
    return found


_BY_PATH: Final = _by_path()
