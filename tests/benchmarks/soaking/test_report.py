"""How a soak is told."""

import json
from dataclasses import replace

from tests.benchmarks.soaking.report import SHOWN, Soak, as_json, rows, slope_text
from tests.benchmarks.soaking.verdict import Sample, Slope, Tally

CALM = Sample(0, 90.0, 60, 12, 5, sessions=0, in_flight=0, answered=10_000, p50_ms=1.0, p99_ms=5.0)
SAMPLES = [replace(CALM, at_s=number * 10.0, p99_ms=float(number)) for number in range(1, 181)]
SOAK = Soak(
    seed=7,
    minutes=30,
    capacity_per_s=5000,
    per_s=2500,
    events={"kill a child": 4},
    tally=Tally(4_500_000, [], [], 321, []),
    errors={"The server is not available.": 321},
    before=CALM,
    after=replace(CALM, rss_mb=91.5),
    slope=Slope(1.0, -0.5, 2.5),
    faults=[],
    samples=SAMPLES,
)


def test_the_table_of_a_soak_that_passed():
    table = rows(SOAK)
    assert table[0] == "| 30 minutes, seed 7 | |"
    assert "| calls/s, of 5,000 that go through | 2,500 |" in table
    assert "| calls answered, each compared | 4,500,000 |" in table
    assert "| errors while a server was hurt or came back | 321 |" in table
    assert "| p99 ms, median and worst of 180 samples | 90.0, 180.0 |" in table
    assert "| its slope in the second half | +1.0 MB an hour (95 %: -0.5 to +2.5) |" in table
    assert table[-1] == "| verdict | passed |"


def test_one_that_did_not_pass_says_why():
    assert rows(replace(SOAK, faults=["a", "b"]))[-1] == "| verdict | a; b |"


def test_a_short_one_says_that_its_slope_is_no_judgement():
    assert slope_text(SOAK.slope, SAMPLES[:10]).endswith("; too short to judge")
    assert slope_text(None, []) == "too few samples"


def test_the_json_has_the_first_of_what_went_wrong_and_the_number_of_all():
    wrong = [f"answer {number}" for number in range(1000)]
    found = json.loads(json.dumps(as_json(replace(SOAK, tally=replace(SOAK.tally, wrong=wrong)))))
    assert found["tally"]["wrong"] == {"count": 1000, "first": wrong[:SHOWN]}
    assert len(found["samples"]) == 180
