"""A backend as the screens see it: frozen rows and details, made from what its owners keep."""

from collections.abc import Callable, Sequence

from proxy_core.backends.backend import Backend
from proxy_core.backends.breaker import Breaker
from proxy_core.backends.member import Member
from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.config.secrets import masked_address, masked_settings
from proxy_core.telemetry.context_bill import Cost
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import (
    BreakerState,
    ChildRow,
    NamedItem,
    Probe,
    ReplicaRow,
    ServerDetail,
    ServerRow,
)

_BREAKERS_BEST_FIRST = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)


def row_of(
    backend: Backend,
    metrics: Metrics,
    now: float,
    processes: Callable[[str], Sequence[ChildRow]] = lambda server: (),
    tokens: Callable[[str], Cost | None] = lambda server: None,
) -> ServerRow:
    """`processes`: the children of a server, as last sampled. `tokens`: what its tools cost a model."""
    members, peer, series = backend.all_members, backend.peer, metrics.of(backend.id)
    first, lists = backend.members[0], backend.lists
    breaker = _breaker(members)
    return ServerRow(
        id=backend.id,
        name=backend.settings.title,
        state=backend.state,
        reason=backend.reason,
        transport="/".join(dict.fromkeys(member.replica.transport for member in backend.members)),
        address=_address(backend),
        since_at=backend.since_at,
        era=str(peer.era) if peer is not None else None,
        revision=peer.revision if peer is not None else None,
        server_info=peer.server_info if peer is not None else "",
        pid=first.replica.pid,
        restarts=sum(member.replica.restarts for member in members),
        retry_at=first.replica.retry_at if len(members) == 1 else None,
        tools=len(lists.get("tools/list").items),
        resources=len(lists.get("resources/list").items),
        templates=len(lists.get("resources/templates/list").items),
        prompts=len(lists.get("prompts/list").items),
        in_flight=backend.in_flight,
        calls=series.calls,
        errors=series.errors,
        calls_per_s=series.rate.per_s(now),
        errors_per_s=series.error_rate.per_s(now),
        latency=series.latency.latency(now),
        last_error=next((member.last_error for member in members if member.last_error), ""),
        probe=_last_probe(members),
        breaker=breaker.state,
        breaker_retry_at=breaker.retry_at,
        replicas=tuple(_replica_row(member) for member in members),
        balance=backend.choice.balance if len(members) > 1 else "",
        differences=backend.differences,
        drain_until=max((m.drain_until for m in members if m.drain_until is not None), default=None),
        is_remembered=backend.is_remembered,
        queued=backend.queued,
        retries=backend.repeating.count,
        processes=tuple(processes(backend.id)),
        tokens=tokens(backend.id),
    )


def _replica_row(member: Member) -> ReplicaRow:
    replica, peer = member.replica, member.peer
    return ReplicaRow(
        id=member.id,
        state=member.state,
        reason=member.reason,
        address=masked_address(member.settings.transport),
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
    )


def _address(backend: Backend) -> str:
    first, *others = (masked_address(member.settings.transport) for member in backend.members)
    return f"{first} and {len(others)} more" if others else first


def _breaker(members: Sequence[Member]) -> Breaker:
    """The best one: as long as it lets calls through, the server takes them."""
    return min((member.breaker for member in members), key=lambda b: _BREAKERS_BEST_FIRST.index(b.state))


def _last_probe(members: Sequence[Member]) -> Probe | None:
    probes = [member.last_probe for member in members if member.last_probe is not None]
    return max(probes, key=lambda probe: probe.at, default=None)


def detail_of(backend: Backend, row: ServerRow, catalog: Catalog) -> ServerDetail:
    return ServerDetail(
        row=row,
        items=tuple(item for item in named_items(catalog) if item.server == backend.id),
        stderr=_stderr(backend),
        settings=masked_settings(backend.settings),
        instructions=backend.peer.instructions if backend.peer is not None else "",
        hidden=tuple((each.name, each.reason) for each in catalog.hidden if each.server == backend.id),
    )


def _stderr(backend: Backend) -> tuple[str, ...]:
    members = backend.all_members
    if len(members) == 1:
        return tuple(members[0].stderr)
    return tuple(f"{member.id}: {line}" for member in members for line in member.stderr)


def named_items(catalog: Catalog) -> tuple[NamedItem, ...]:
    """Everything that clients see, in list order."""
    return (
        *(_named("tool", entry) for entry in catalog.tools),
        *(_named("resource", entry) for entry in catalog.resources),
        *(_named("template", entry) for entry in catalog.templates),
        *(_named("prompt", entry) for entry in catalog.prompts),
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
        read_only=kind == "tool" and _reads_only(item.get("annotations")),
    )


def _reads_only(annotations: object) -> bool:
    return isinstance(annotations, dict) and annotations.get("readOnlyHint") is True


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
