"""A backend as the screens see it: frozen rows and details, made from what its owners keep."""

from proxy_core.backends.backend import Backend
from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.config.secrets import masked_address, masked_settings
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import NamedItem, ServerDetail, ServerRow


def row_of(backend: Backend, metrics: Metrics, now: float) -> ServerRow:
    replica, peer, series = backend.replica, backend.peer, metrics.of(backend.id)
    lists = backend.lists
    return ServerRow(
        id=backend.id,
        name=backend.settings.title,
        state=replica.state,
        reason=replica.reason,
        transport=replica.transport,
        address=masked_address(backend.settings.transport),
        since_at=replica.since_at,
        era=str(peer.era) if peer is not None else None,
        revision=peer.revision if peer is not None else None,
        server_info=peer.server_info if peer is not None else "",
        pid=replica.pid,
        restarts=replica.restarts,
        retry_at=replica.retry_at,
        tools=len(lists.get("tools/list").items),
        resources=len(lists.get("resources/list").items),
        templates=len(lists.get("resources/templates/list").items),
        prompts=len(lists.get("prompts/list").items),
        in_flight=replica.in_flight,
        calls=series.calls,
        errors=series.errors,
        calls_per_s=series.rate.per_s(now),
        errors_per_s=series.error_rate.per_s(now),
        latency=series.latency.latency(now),
        last_error=backend.last_error,
        probe=backend.last_probe,
        breaker=replica.breaker.state,
        breaker_retry_at=replica.breaker.retry_at,
    )


def detail_of(backend: Backend, row: ServerRow, catalog: Catalog) -> ServerDetail:
    return ServerDetail(
        row=row,
        items=tuple(item for item in named_items(catalog) if item.server == backend.id),
        stderr=tuple(backend.stderr),
        settings=masked_settings(backend.settings),
        instructions=backend.peer.instructions if backend.peer is not None else "",
        hidden=tuple((each.name, each.reason) for each in catalog.hidden if each.server == backend.id),
    )


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
    )


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
