from typing import Any

from proxy_core.facts import RequestFinished
from proxy_core.telemetry.clients import MAX_CLIENTS, Clients
from proxy_core.telemetry.snapshot import ClientRow


def finished(
    client: str = "Host", server: str | None = "box", at: float = 100.0, **more: Any
) -> RequestFinished:
    fact: dict[str, Any] = {
        "principal": "anon",
        "era": "legacy",
        "revision": "2025-06-18",
        "method": "tools/call",
        "target": None,
        "duration_ms": 20.0,
        "error_code": None,
        "is_tool_error": False,
        "bytes_out": 2,
    }
    return RequestFinished(at=at, client=client, server=server, **fact | more)


def test_a_client_is_counted_by_what_it_calls_itself_its_principal_and_its_revision():
    clients = Clients()
    clients.fold(finished(at=1.0))
    clients.fold(finished(at=2.0, server=None))
    clients.fold(finished(at=3.0, era="modern", revision="2026-07-28"))
    clients.fold(finished(at=4.0, principal="token:ci"))
    assert clients.rows() == (
        ClientRow("Host", "token:ci", "legacy", "2025-06-18", 1, 4.0, (("box", 1),)),
        ClientRow("Host", "anon", "modern", "2026-07-28", 1, 3.0, (("box", 1),)),
        ClientRow("Host", "anon", "legacy", "2025-06-18", 2, 2.0, (("box", 1),)),
    )


def test_the_client_seen_last_is_first():
    clients = Clients()
    for client in ("a", "b", "a"):
        clients.fold(finished(client))
    assert [row.name for row in clients.rows()] == ["a", "b"]


def test_made_up_names_push_out_the_oldest():
    clients = Clients()
    for number in range(MAX_CLIENTS + 3):
        clients.fold(finished(f"c{number}"))
    rows = clients.rows()
    assert len(rows) == MAX_CLIENTS
    assert rows[-1].name == "c3"


def test_servers_that_are_gone_are_forgotten():
    clients = Clients()
    clients.fold(finished(server="box"))
    clients.fold(finished(server="old"))
    clients.keep({"box"})
    assert clients.rows()[0].calls == (("box", 1),)
