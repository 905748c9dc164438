"""A backend as the screens see it: frozen rows and details, made from what its owners keep."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from proxy_core.backends.backend import Backend
from proxy_core.backends.lists import EMPTY
from proxy_core.backends.member import Member
from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.config.models import ServerConfig
from proxy_core.config.secrets import default_settings, masked_settings
from proxy_core.telemetry.context_bill import Cost
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import (
    BreakerState,
    Change,
    ChildRow,
    NamedItem,
    Probe,
    ProbedReplica,
    ReplicaRow,
    ServerDetail,
    ServerRow,
)
from proxy_core.telemetry.tool_changes import ToolChange

_BREAKERS_BEST_FIRST = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)


class Suspects(NamedTuple):
    """How many tools of a server want a person's eye; as in `ServerRow`."""

    changed: int = 0
    withheld: int = 0
    naming: int = 0


NO_SUSPECTS: Final = Suspects()
MAX_TOLD: Final = 200
"""Changes, and tools that name others, of one detail."""


def row_of(
    backend: Backend,
    metrics: Metrics,
    now: float,
    processes: Callable[[str], Sequence[ChildRow]] = lambda server: (),
    tokens: Callable[[str], Cost | None] = lambda server: None,
    suspects: Callable[[str], Suspects] = lambda server: NO_SUSPECTS,
    login: Callable[[str], str] = lambda server: "",
) -> ServerRow:
    """`processes`: the children of a server, as last sampled. `tokens`: what its tools cost a model.
    `suspects`: of its tools. `login`: what a person has to log in for there.

    Made four times a second for every server: what its replicas' rows say is taken from those.
    """
    members, series, lists = backend.all_members, metrics.of(backend.id), backend.lists.by_method
    suspect = suspects(backend.id)
    replicas = tuple([_replica_row(member, now) for member in members])
    first, is_one, peer = replicas[0], len(replicas) == 1, backend.peer
    best = first if is_one else min(replicas, key=_rank_of_breaker)
    return ServerRow(
        id=backend.id,
        name=backend.settings.title,
        state=backend.state,
        reason=backend.reason,
        transport=first.transport if is_one else _transports(backend),
        address=first.address if is_one else _address(backend),
        since_at=backend.since_at,
        era=str(peer.era) if peer is not None else None,
        revision=peer.revision if peer is not None else None,
        server_info=peer.server_info if peer is not None else "",
        pid=first.pid,
        restarts=first.restarts if is_one else sum(row.restarts for row in replicas),
        retry_at=first.retry_at if is_one else None,
        tools=len(lists.get("tools/list", EMPTY).items),
        resources=len(lists.get("resources/list", EMPTY).items),
        templates=len(lists.get("resources/templates/list", EMPTY).items),
        prompts=len(lists.get("prompts/list", EMPTY).items),
        in_flight=first.in_flight if is_one else sum(row.in_flight for row in replicas),
        calls=series.calls,
        errors=series.errors,
        calls_per_s=series.rate.per_s(now),
        errors_per_s=series.error_rate.per_s(now),
        latency=series.latency.latency(now),
        last_error=next((member.last_error for member in members if member.last_error), ""),
        probe=first.probe if is_one else _last_probe(replicas),
        breaker=best.breaker,
        breaker_retry_at=best.breaker_retry_at,
        replicas=replicas,
        balance="" if is_one else backend.choice.balance,
        differences=backend.differences,
        drain_until=first.drain_until if is_one else _drain_until(replicas),
        is_remembered=backend.is_remembered,
        queued=backend.queued,
        retries=backend.repeating.count,
        processes=tuple(processes(backend.id)),
        stderr_lines=backend.stderr.last_seq,
        tokens=tokens(backend.id),
        drill=first.drill if is_one else _drill(replicas),
        changed=suspect.changed,
        withheld=suspect.withheld,
        naming=suspect.naming,
        login=login(backend.id),
    )


def _replica_row(member: Member, now: float) -> ReplicaRow:
    replica, peer = member.replica, member.peer
    return ReplicaRow(
        id=member.id,
        state=member.state,
        reason=member.reason,
        address=member.address,
        transport=replica.transport,
        since_at=replica.since_at,
        weight=member.weight,
        era=str(peer.era) if peer is not None else None,
        revision=peer.revision if peer is not None else None,
        pid=replica.pid,
        restarts=replica.restarts,
        retry_at=replica.retry_at,
        in_flight=member.in_flight,
        calls=member.calls,
        failures=member.failures,
        tools=len(member.lists.get("tools/list").items),
        probe=member.last_probe,
        breaker=member.breaker.state,
        breaker_retry_at=member.breaker.retry_at,
        drain_until=member.drain_until,
        is_leaving=member.is_leaving,
        drill=replica.drilling.words(now),
    )


def _drill(replicas: Sequence[ReplicaRow]) -> str:
    """Of all replicas, or which it is at."""
    told = {row.id: row.drill for row in replicas if row.drill}
    if len(told) == len(replicas) and len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{replica}: {words}" for replica, words in told.items())


def _transports(backend: Backend) -> str:
    return "/".join(dict.fromkeys(member.replica.transport for member in backend.members))


def _address(backend: Backend) -> str:
    first, *others = (member.address for member in backend.members)
    return f"{first} and {len(others)} more" if others else first


def _rank_of_breaker(row: ReplicaRow) -> int:
    """The best one counts: as long as it lets calls through, the server takes them."""
    return _BREAKERS_BEST_FIRST.index(row.breaker)


def _last_probe(replicas: Sequence[ReplicaRow]) -> Probe | None:
    probes = [row.probe for row in replicas if row.probe is not None]
    return max(probes, key=lambda probe: probe.at, default=None)


def _drain_until(replicas: Sequence[ReplicaRow]) -> float | None:
    return max((row.drain_until for row in replicas if row.drain_until is not None), default=None)


def detail_of(
    backend: Backend,
    row: ServerRow,
    catalog: "Catalog | Offers",
    changes: Sequence[Change] = (),
    tool_changes: Sequence[ToolChange] = (),
    naming: Sequence[tuple[str, tuple[str, ...]]] = (),
) -> ServerDetail:
    """`catalog`: as it is, or as a keeper of what was made of it already."""
    offers = catalog if isinstance(catalog, Offers) else Offers(catalog)
    offer, told = offers.of(backend.id), offers.settings_of(backend.settings)
    return ServerDetail(
        row=row,
        items=offer.items,
        stderr=tuple(line for _, line in backend.stderr.after(0)),
        settings=told.given,
        instructions=backend.peer.instructions if backend.peer is not None else "",
        hidden=offer.hidden,
        destructive=offer.destructive,
        version=offers.version,
        stderr_seq=backend.stderr.last_seq,
        changes=tuple(changes),
        probes=tuple(ProbedReplica(m.id, tuple(m.checks.history)) for m in backend.all_members),
        defaults=told.defaults,
        tool_changes=tuple(tool_changes[:MAX_TOLD]),
        naming=tuple(naming[:MAX_TOLD]),
    )


class _Offer(Struct, frozen=True):
    """What one server has in the catalog."""

    items: tuple[NamedItem, ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    destructive: tuple[str, ...] = ()


class _Settings(Struct, frozen=True):
    of: ServerConfig
    given: tuple[tuple[str, str], ...]
    defaults: tuple[tuple[str, str], ...]


class Offers:
    """What was made of the catalog and of the settings for the screens, until there is another: a screen asks
    four times a second, and a thousand tools take milliseconds."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog or Catalog()
        self._names: tuple[NamedItem, ...] | None = None
        self._offers: dict[str, _Offer] = {}
        self._settings: dict[str, _Settings] = {}
        self.version = 1
        """Grows with every other catalog."""

    def use(self, catalog: Catalog) -> "Offers":
        if catalog is not self._catalog:
            self._catalog, self._names, self._offers = catalog, None, {}
            self.version += 1
        return self

    @property
    def names(self) -> tuple[NamedItem, ...]:
        """Everything that clients see, in list order."""
        if self._names is None:
            self._names = named_items(self._catalog)
        return self._names

    def of(self, server: str) -> _Offer:
        offer = self._offers.get(server)
        if offer is None:
            catalog = self._catalog
            offer = self._offers[server] = _Offer(
                tuple(item for item in self.names if item.server == server),
                tuple((each.name, each.reason) for each in catalog.hidden if each.server == server),
                tuple(tool.exposed for tool in catalog.tools if tool.server == server and destructive(tool)),
            )
        return offer

    def settings_of(self, settings: ServerConfig) -> _Settings:
        known = self._settings.get(settings.id)
        if known is None or known.of is not settings:
            known = _Settings(settings, masked_settings(settings), default_settings(settings))
            self._settings[settings.id] = known
        return known


def named_items(catalog: Catalog, server: str | None = None) -> tuple[NamedItem, ...]:
    """Everything that clients see, in list order; or what they see of one server."""
    lists = {
        "tool": catalog.tools,
        "resource": catalog.resources,
        "template": catalog.templates,
        "prompt": catalog.prompts,
    }
    return tuple(
        _named(kind, entry)
        for kind, entries in lists.items()
        for entry in entries
        if server is None or entry.server == server
    )


def _named(kind: str, entry: Entry) -> NamedItem:
    item = entry.item
    return NamedItem(
        kind=kind,
        name=entry.exposed,
        origin=entry.origin,
        server=entry.server,
        title=_text(item.get("title")),
        description=_text(item.get("description")),
        arguments=_tool_arguments(item.get("inputSchema"))
        if kind == "tool"
        else _arguments(item.get("arguments")),
        read_only=kind == "tool" and is_read_only(entry),
    )


def is_read_only(tool: Entry) -> bool:
    """It says that it changes nothing: a hint of the server's, no promise."""
    return _hint(tool, "readOnlyHint") is True


def destructive(tool: Entry) -> bool | None:
    """What it says of whether it may destroy something; None: nothing."""
    return _hint(tool, "destructiveHint")


def _hint(tool: Entry, name: str) -> bool | None:
    annotations = tool.item.get("annotations")
    hint = annotations.get(name) if isinstance(annotations, dict) else None
    return hint if isinstance(hint, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _tool_arguments(schema: object) -> tuple[tuple[str, bool], ...]:
    if not isinstance(schema, dict) or not isinstance(properties := schema.get("properties"), dict):
        return ()
    required = schema.get("required")
    wanted = required if isinstance(required, list) else []
    return tuple((str(name), name in wanted) for name in properties)


def _arguments(arguments: object) -> tuple[tuple[str, bool], ...]:
    if not isinstance(arguments, list):
        return ()
    return tuple(
        (each["name"], each.get("required") is True)
        for each in arguments
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    )
