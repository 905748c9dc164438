"""Probes on real servers: they use the connection that carries the calls, and leave no session behind."""

from pathlib import Path

import pytest

from tests.support.faults import journal
from tests.support.faults.http_server import LEGACY, SSE, HttpHost
from tests.support.faults.plain import on_host
from tests.support.gateway_process import serving
from tests.support.wire import call_text, comes_true, connected, once_listed

HEALTH = {"probe_interval": 0.1, "timeout": 1}
PROBED_TIMES = 20
KINDS = (LEGACY, SSE)


@pytest.mark.parametrize("probe", ["mcp", "http"])
async def test_probes_open_no_session_of_their_own(tmp_path: Path, probe: str) -> None:
    """One session for each replica however often it is asked; none is left open when the gateway has gone."""
    host = HttpHost(tmp_path, "well")
    servers = [on_host(host, kind, kind, 2) for kind in KINDS]
    names = [f"{kind}-{letter}" for kind in KINDS for letter in "ab"]

    def probes() -> list[int]:
        return [journal.probes(tmp_path, name) for name in names]

    def open_sessions(name: str) -> set[str]:
        return journal.open_sessions(tmp_path, name)

    host.start()
    try:
        host.ready()
        with serving(tmp_path, servers, health=HEALTH | {"probe": probe}) as gateway:
            async with connected(gateway.url) as client:
                for kind in KINDS:
                    await once_listed(client, f"{kind}__who")
                    for number in range(4):
                        assert await call_text(client, f"{kind}__who", {"key": f"call-{kind}-{number}."})
                opened = {name: journal.sessions_opened(tmp_path, name) for name in names}
                await comes_true(
                    lambda: all(journal.probes(tmp_path, name) >= PROBED_TIMES for name in names),
                    "all are probed",
                )
            assert {name: journal.sessions_opened(tmp_path, name) for name in names} == opened
            assert {name: len(open_sessions(name)) for name in names} == opened
        # The end of an event stream is noticed by the server a little later.
        await comes_true(
            lambda: not any(journal.open_sessions(tmp_path, name) for name in names),
            "all sessions are closed",
            10,
        )
    finally:
        host.close()
