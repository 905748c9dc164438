"""The last probes of each replica."""

from only1mcp_tui.view.probes import probe_lines, trend
from only1mcp_tui.view.text import plain
from proxy_core.telemetry.snapshot import Probe, ProbedReplica, ServerDetail
from tests.support.fake_control import NOW, WALL, row_of

ANSWERED = tuple(Probe(NOW + at, 10.0 * at, None) for at in (1, 2, 3))
MISSED = Probe(NOW + 4, 390.0, "HTTP status 500 from a very long way away", 500)


def told(*replicas: ProbedReplica, chosen: str = "") -> list[str]:
    detail = ServerDetail(row_of("box"), probes=replicas)
    return [plain(line) for line in probe_lines(detail, WALL - NOW, 60, chosen)]


def test_the_share_the_trend_and_each_probe_newest_first():
    lines = told(ProbedReplica("main", (*ANSWERED, MISSED)))
    assert lines[:3] == [
        " 75.0 % answered  of the last 4 probes",
        " ▃▆█×  10ms to 30ms, half of them under 20ms",
        "",
    ]
    assert [line.split(maxsplit=1)[1] for line in lines[3:4]] == ["390ms  ✖ HTTP 500"]
    assert " ".join(lines[4:6]).split() == "HTTP status 500 from a very long way away".split()
    assert [line.split()[1] for line in lines[6:]] == ["30ms", "20ms", "10ms"]


def test_where_nothing_answered_there_is_no_trend():
    assert told(ProbedReplica("main", (MISSED,)))[0] == " 0 % answered  of the last 1 probe"
    assert "×" not in told(ProbedReplica("main", (MISSED,)))[1]


def test_probes_of_no_time_have_a_trend_too():
    assert trend([Probe(NOW, 0.0, None), Probe(NOW, None, None)]) == [("▁▁", "trend")]


def test_each_replica_is_told_by_itself_the_chosen_one_first():
    lines = told(ProbedReplica("a", ANSWERED), ProbedReplica("b", (MISSED,)), ProbedReplica("c"), chosen="b")
    assert (lines[0], " a" in lines, " c" in lines) == (" b", True, False)


def test_one_that_was_never_probed_says_which_key_does_it():
    assert told(ProbedReplica("main")) == [" Not probed yet. p probes it now."]
