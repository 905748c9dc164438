"""What a reload changes, beside what is going on at the servers that it touches."""

from proxy_core.backends.backend import Backend
from proxy_core.backends.registry import BackendRegistry
from proxy_core.config.changes import ConfigChanges, ServerChange
from proxy_core.control import PlannedReplica, PlannedServer, ReloadPlan


def planned(changes: ConfigChanges, registry: BackendRegistry) -> ReloadPlan:
    """The plan of these changes, with the calls in flight and the sessions of now."""
    return ReloadPlan(
        tuple(_server(change, registry.find(change.id)) for change in changes.servers),
        changes.settings,
        changes.restart,
    )


def _server(change: ServerChange, backend: Backend | None) -> PlannedServer:
    members = {member.id: member for member in backend.members} if backend is not None else {}
    replicas = tuple(
        PlannedReplica(
            each.id,
            each.change,
            members[each.id].in_flight if each.id in members else 0,
            len(members[each.id].replica.further) if each.id in members else 0,
        )
        for each in change.replicas
    )
    return PlannedServer(
        change.id,
        change.change,
        change.changed,
        replicas,
        sum(each.in_flight for each in replicas),
        sum(each.sessions for each in replicas),
    )
