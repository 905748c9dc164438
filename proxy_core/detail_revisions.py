"""When a server's detail, as it was fetched, is another by now: told from what the event stream brings anyway.

Pure. A screen that looks at a server where nothing happens asks the gateway nothing.
"""

from typing import TypeAlias

from proxy_core.telemetry.snapshot import ServerRow

Revision: TypeAlias = tuple[object, ...]


class Revisions:
    def __init__(self) -> None:
        self._lists = 0
        self._known: dict[str, Revision] = {}

    def lists_changed(self) -> None:
        self._lists += 1

    def forget(self) -> None:
        """Another run of the gateway: nothing that is known of it is sure."""
        self._known.clear()

    def of(self, row: ServerRow, config_version: int) -> Revision:
        """What a detail depends on beside its row's numbers, which come with every picture."""
        lists = (row.tools, row.resources, row.templates, row.prompts, self._lists)
        run = (row.state, row.reason, row.since_at, row.pid, row.restarts, row.revision, row.server_info)
        replicas = tuple(
            (one.id, one.state, one.pid, one.tools, one.breaker, one.probe) for one in row.replicas
        )
        suspects = (row.changed, row.withheld, row.naming)
        return (*run, *lists, *replicas, *suspects, config_version, row.stderr_lines)

    def is_known(self, server: str, revision: Revision) -> bool:
        return self._known.get(server) == revision

    def know(self, server: str, revision: Revision) -> None:
        """The detail was fetched when it had this revision, or a later one."""
        self._known[server] = revision
