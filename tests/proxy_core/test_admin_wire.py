"""What travels between the admin API and its client comes out as it went in."""

from typing import Any

import msgspec
import pytest

from proxy_core.admin_wire import NumberedFact, decoded, encoded, error_body, error_of, status_of
from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    BackendTimeout,
    CircuitOpen,
    ConfigError,
    ConfigProblem,
    InvalidParams,
    MethodNotFound,
    NothingToRollBack,
    Only1Error,
    Overloaded,
    UnknownReplica,
    UnknownServer,
)
from proxy_core.facts import BreakerTurned, ConfigApplied, Fact, ProbeFinished, VerbUsed
from proxy_core.telemetry.snapshot import (
    BreakerState,
    ChildRow,
    ClientRow,
    ConfigStatus,
    Latency,
    Notice,
    Probe,
    ServerState,
    Snapshot,
    Totals,
)
from tests.support.fake_control import replica_of, row_of, snapshot_of

PROBE = Probe(5.5, 12.0, "HTTP status 500", 500)
FULL = snapshot_of(
    [
        row_of(
            "search",
            ServerState.AUTH_REQUIRED,
            latency=Latency(1.0, 2.0, None),
            probe=PROBE,
            breaker=BreakerState.HALF_OPEN,
            replicas=(replica_of("a", probe=PROBE), replica_of("b", ServerState.FAILED, retry_at=7.25)),
            differences=("Only a has \x1b[31mred\u202e.",),
            processes=(ChildRow(7, "a", "token:ci", 1.0, 9, 2.5, ((8, "node"),)),),
        )
    ],
    clients=(ClientRow("Host", "anon", "legacy", "2025-06-18", 3, 9.0, (("search", 2),)),),
    totals=Totals(calls=3, latency=Latency(0.5)),
    notices=(Notice("error", "é\n\0"),),
    config=ConfigStatus(2, "abc", 1.0, 1, "line 3", True, True),
    config_path=None,
)
FACTS: list[Fact] = [
    BreakerTurned(1.0, "search", "a", "open", "five failures"),
    ProbeFinished(2.0, "search", "a", 1.5, None),
    VerbUsed(3.0, "search", "drain", "2 calls finished"),
    ConfigApplied(4.0, None, ("a",), (), ("b",), ("c",), True),
]


def test_a_picture_with_everything_in_it_comes_back_the_same():
    assert decoded(encoded(FULL), Snapshot) == FULL


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_as_the_kind_it_was(fact: Fact):
    assert decoded(encoded(NumberedFact(7, fact)), NumberedFact) == NumberedFact(7, fact)


def test_a_plan_comes_back_the_same():
    replicas = (PlannedReplica("a", Action.REPLACE, 1, 2),)
    plan = ReloadPlan(
        (PlannedServer("x", Action.UPDATE, ("tools.deny",), replicas, 1, 2),), ("limits",), ("p",)
    )
    assert decoded(encoded(plan), ReloadPlan) == plan


def test_a_name_that_is_no_unicode_is_shown_as_far_as_it_is():
    path = b"/home/\xff/only1mcp.yaml".decode(errors="surrogateescape")
    snapshot = decoded(encoded(snapshot_of([row_of("a")], config_path=path)), Snapshot)
    assert snapshot.config_path == "/home/?/only1mcp.yaml"
    assert snapshot.servers[0].id == "a"


@pytest.mark.parametrize("raw", [b"", b"{", b'{"seq": 1}', b"\xff", b"[" * 100_000, b'{"seq":"x"}'])
def test_what_is_not_a_picture_is_one_kind_of_error(raw: bytes):
    with pytest.raises(msgspec.DecodeError):
        decoded(raw, Snapshot)


PROBLEMS = (ConfigProblem("servers[0].id", "not an id", 3), ConfigProblem("", "empty", None))


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (UnknownServer("x"), 404, UnknownServer),
        (UnknownReplica("x", "b", ("a",)), 404, UnknownReplica),
        (NothingToRollBack(), 409, NothingToRollBack),
        (ConfigError("/etc/o.yaml", PROBLEMS), 422, ConfigError),
        (InvalidParams("no"), 400, InvalidParams),
        (MethodNotFound("no"), 400, InvalidParams),
        (BackendError("x", -32000, "broken", b'{"a":[1]}'), 502, BackendError),
        (BackendTimeout("x", "too slow", "a secret detail"), 502, BackendTimeout),
        (CircuitOpen("x", 3), 502, Only1Error),
        (BackendProtocolError("x", "odd"), 502, BackendProtocolError),
        (Overloaded("busy"), 503, Overloaded),
        (Only1Error("other"), 500, Only1Error),
    ],
)
def test_an_error_comes_back_as_the_exception_it_was(error: Only1Error, status: int, kind: type[Any]):
    body = error_body(error)
    raw = encoded(body)
    back = error_of(decoded(raw, type(body)))
    assert (status_of(body), back.message) == (status, error.message)
    assert isinstance(back, kind)
    assert b"secret" not in raw
    for name in ("path", "problems", "raw_data", "backend"):
        assert getattr(back, name, None) == getattr(error, name, None)
