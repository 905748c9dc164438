"""Requests that need not be asked of a server, or once for many: kept answers first, then those under way.

Which requests those are is the configuration's to say for tools, and the protocol's for everything else. Whose
an answer is follows from its server's cacheScope; nothing that a client brought or was asked for is ever kept.
Spec: 2026-07-28 server/utilities/caching; basic/patterns/mrtr (answers after input are good for one request).
"""

import re
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Raw, Struct

from proxy_core.backends.backend import Backend
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.routes import Route
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.config.saving import ToolCache
from proxy_core.errors import BackendFault, Kind
from proxy_core.gateway import answers
from proxy_core.gateway.asking import Asking
from proxy_core.gateway.cache import EVERYONE, Entry, Key, ResponseCache, packed
from proxy_core.gateway.coalescing import Subject
from proxy_core.gateway.exchange import Exchange
from proxy_core.gateway.sharing import Sharing
from proxy_core.protocol import jsonrpc, results
from proxy_core.protocol.canonical import canonical_params
from proxy_core.protocol.methods import OWN_META
from proxy_core.protocol.revisions import Era

STALE: Final = OWN_META + "stale"
"""In `_meta`: seconds since an answer was current, where its server is down."""
CALL: Final = "tools/call"
READ: Final = "resources/read"
MAX_NAMES: Final = 10_000
"""Of tools whose rules are remembered."""
_DOWN: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.EXITED, Kind.STREAM_LOST})
_HAS_LINKS: Final = re.compile(rb'"(?:uri|resourceUri)"')


class _Keys(Struct, frozen=True):
    """Under which an answer may be found, or kept."""

    shared: Key
    own: Key
    ttl_s: float
    """As the configuration has it."""
    may_be_shared: bool
    """Of a tool: whether the configuration says so. A read is shared if its server says so."""


class Saving:
    def __init__(
        self,
        config: Callable[[], Config],
        registry: Callable[[], BackendRegistry],
        clock: Clock,
        asking: Asking,
        cache: ResponseCache,
    ) -> None:
        self._config = config
        self._registry = registry
        self._clock = clock
        self._asking = asking
        self._cache = cache
        self._rules = _ToolRules(config())

    def ask(
        self, exchange: Exchange, route: Route, replace: dict[str, bytes], uri: str | None = None
    ) -> Awaitable[bytes]:
        """As `Asking.ask`, for less where that is safe. Raises: Only1Error."""
        if self.is_plain(exchange) or exchange.replay_of is not None:
            # Nearly every call of a tool: nothing more stands in its way, not even a coroutine. And what an
            # operator makes again is to reach the server.
            return self._asking.ask(exchange, route, replace, uri)
        return self._ask_for_less(exchange, route, replace, uri)

    def is_plain(self, exchange: Exchange) -> bool:
        """Whether its answer is neither kept nor shared: a call of a tool that no rule names."""
        return exchange.method == CALL and self.is_plain_tool(exchange.target or "")

    def is_plain_tool(self, name: str) -> bool:
        """The same of all calls of a tool, by its exposed name."""
        return not self._tool_rules().is_named(name)

    async def _ask_for_less(
        self, exchange: Exchange, route: Route, replace: dict[str, bytes], uri: str | None
    ) -> bytes:
        params = canonical_params(exchange.params)
        if params is None:
            return await self._asking.ask(exchange, route, replace, uri)
        backend = self._registry().get(route.server)
        whose = self._whose(exchange, backend)
        keys = self._keys(exchange, route, packed(params), whose)
        if keys is not None and (entry := self._cache.get(keys.shared, keys.own)) is not None:
            # No server was reached, so no server is named.
            _record(exchange, "hit")
            return self._told(exchange, entry)
        if keys is not None and exchange.trace is not None:
            exchange.trace.step("cache", "miss")
        may_join = exchange.method != CALL or self._tool_rules().joins(exchange.target or "")
        sharing = Sharing(
            Subject(route.server, exchange.method, route.origin),
            (exchange.method, route, params, whose, exchange.caller.capabilities, exchange.caller.log_level)
            if may_join
            else None,
        )
        try:
            body = await self._asking.ask(exchange, route, replace, uri, sharing)
        except BackendFault as fault:
            if keys is not None and fault.kind in _DOWN:
                stale = self._cache.get_stale(keys.shared, keys.own)
                if stale is not None:
                    _record(exchange, "stale")
                    return self._stale(exchange, stale)
            raise
        if keys is not None:
            self._keep(exchange, keys, sharing, body)
        return body

    # --- keys -------------------------------------------------------------------------------------------------

    def _keys(self, exchange: Exchange, route: Route, params: bytes, whose: str) -> _Keys | None:
        """None: answers to this are not kept."""
        config = self._config().cache
        if not config.enabled:
            return None
        if exchange.method == CALL:
            rule = self._tool_rules().cached(exchange.target or "")
            ttl_s, may_be_shared = (rule.ttl_seconds, rule.scope == "public") if rule else (0.0, False)
        else:
            ttl_s = config.ttl_of(exchange.method) if exchange.method == READ else 0.0
            may_be_shared = True
        if ttl_s <= 0:
            return None
        shared = Key(exchange.method, route.server, params, exchange.caller.revision, EVERYONE)
        return _Keys(shared, shared._replace(owner=whose), ttl_s, may_be_shared)

    def _whose(self, exchange: Exchange, backend: Backend) -> str:
        """Who is sure to be answered alike: a principal under a profile, or less where more is kept apart."""
        caller, routing = exchange.caller, self._config().routing
        # Under what names links can be read is each profile's own too.
        apart = [caller.principal, caller.profile, caller.affinity]
        if backend.settings.isolation == "session" or routing.hash_key == "session":
            apart.append(caller.session or "")
        if routing.hash_key == "client":
            apart.append(caller.client)
        # Only what a client calls itself may hold a NUL, and that comes last: it moves no border.
        return "\0".join(apart)

    def _tool_rules(self) -> "_ToolRules":
        config = self._config()
        if self._rules.config is not config:
            self._rules = _ToolRules(config)
        return self._rules

    # --- keeping ----------------------------------------------------------------------------------------------

    def _keep(self, exchange: Exchange, keys: _Keys, sharing: Sharing, body: bytes) -> None:
        answer = sharing.answer
        if answer is None or sharing.is_void:
            return
        ttl_s, is_shared, hints = keys.ttl_s, keys.may_be_shared, None
        if exchange.method == READ:
            if answer.era is Era.MODERN:
                ttl_ms, scope = results.cache_hints(jsonrpc.members(answer.result))
                ttl_s, is_shared = min(ttl_s, ttl_ms / 1000), scope == "public"
            else:
                # A legacy server has no way to say whose an answer is.
                is_shared = False
            if exchange.caller.era is Era.MODERN:
                body, hints = _without_hints(body)
        elif answers.says_is_error(body):
            return
        elif _HAS_LINKS.search(body):
            # Under what names its links can be read is each principal's own.
            is_shared = False
        key = keys.shared if is_shared else keys.own
        self._cache.put(key, sharing.subject, body, ttl_s, hints)

    def _told(self, exchange: Exchange, entry: Entry) -> bytes:
        if entry.hints is None:
            return entry.body
        ttl_ms, scope = entry.hints
        age_ms = int((self._clock.monotonic() - entry.stored_at) * 1000)
        return _with_hints(entry.body, max(0, ttl_ms - age_ms), scope)

    def _stale(self, exchange: Exchange, entry: Entry) -> bytes:
        members = jsonrpc.members(entry.body)
        meta = jsonrpc.decode(members.get("_meta", jsonrpc.NO_JSON))
        age_s = round(self._clock.monotonic() - entry.stored_at, 1)
        marked = (meta if isinstance(meta, dict) else {}) | {STALE: age_s}
        body = jsonrpc.encode(members | {"_meta": Raw(jsonrpc.encode(marked))})
        return body if entry.hints is None else _with_hints(body, 0, entry.hints[1])


class _ToolRules:
    """What a configuration says of tools, each name looked up once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._cache = config.cache.tools if config.cache.enabled else {}
        self._joined = config.batching.tools
        self._known: dict[str, tuple[ToolCache | None, bool]] = {}

    def is_named(self, tool: str) -> bool:
        if not (self._cache or self._joined):
            return False
        rule, joins = self._of(tool)
        return joins or rule is not None

    def cached(self, tool: str) -> ToolCache | None:
        return self._of(tool)[0]

    def joins(self, tool: str) -> bool:
        return self._of(tool)[1]

    def _of(self, tool: str) -> tuple[ToolCache | None, bool]:
        known = self._known.get(tool)
        if known is None:
            rule = next((rule for glob, rule in self._cache.items() if fnmatchcase(tool, glob)), None)
            known = rule, any(fnmatchcase(tool, glob) for glob in self._joined)
            if len(self._known) >= MAX_NAMES:
                self._known.clear()
            self._known[tool] = known
        return known


def _record(exchange: Exchange, saved: str) -> None:
    if exchange.trace is not None:
        exchange.trace.saved = saved
        exchange.trace.step("cache", saved)


def _without_hints(body: bytes) -> tuple[bytes, tuple[int, str]]:
    members = jsonrpc.members(body)
    hints = results.cache_hints(members)
    members.pop("ttlMs", None)
    members.pop("cacheScope", None)
    return jsonrpc.encode(members), hints


def _with_hints(body: bytes, ttl_ms: int, scope: str) -> bytes:
    return b'%s,"ttlMs":%d,"cacheScope":"%s"}' % (body[:-1], ttl_ms, scope.encode())
