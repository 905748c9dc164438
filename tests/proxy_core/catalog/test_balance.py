"""Which replica takes the next call: fair shares, keys that stay, nobody overrun."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.catalog.balance import MAX_KEPT, MAX_POINTS, MAX_WEIGHT, Balancer, Policy, _ring, balancer_for
from proxy_core.config.models import Balance, ReplicaConfig

PICKS = 100_000
POLICIES: tuple[Policy, ...] = get_args(Policy)
NODES = 150
KEYS = tuple(f"tool-{n}" for n in range(PICKS))


@dataclass(eq=False, slots=True)
class Replica:
    id: str
    weight: int = 1
    in_flight: int = 0


def replicas(count: int, weights: Iterable[int] = ()) -> tuple[Replica, ...]:
    made = tuple(Replica(f"r{n}") for n in range(count))
    for each, weight in zip(made, weights, strict=False):
        each.weight = weight
    return made


def seeded(policy: Policy, virtual_nodes: int = NODES) -> Balancer:
    return balancer_for(policy, virtual_nodes, Random(7))


def shares(balancer: Balancer, candidates: tuple[Replica, ...], keys: Iterable[str] = KEYS) -> dict[str, float]:
    """Part of the picks, by replica."""
    counts = Counter(balancer.choose(candidates, key).id for key in keys)
    return {each.id: counts[each.id] / counts.total() for each in candidates}


def test_the_words_are_those_of_the_configuration():
    assert get_args(Policy) == get_args(Balance)
    weight = ReplicaConfig.model_json_schema()["properties"]["weight"]
    assert (weight["minimum"], weight["maximum"]) == (1, MAX_WEIGHT)


# --- fair shares --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("policy", ["round_robin", "random", "weighted_random"])
def test_each_gets_its_share_within_five_percent(policy: Policy, count: int):
    got = shares(seeded(policy), replicas(count))
    assert got == {each: pytest.approx(1 / count, rel=0.05) for each in got}


@pytest.mark.parametrize("weights", [(1, 2, 5), (10, 1), (300, 500, 200, 1000)])
def test_a_share_is_as_large_as_the_weight(weights: tuple[int, ...]):
    candidates = replicas(len(weights), weights)
    got = shares(seeded("weighted_random"), candidates)
    assert got == {each.id: pytest.approx(each.weight / sum(weights), rel=0.05) for each in candidates}


@pytest.mark.parametrize("policy", ["round_robin", "random"])
def test_a_weight_means_nothing_where_the_policy_knows_none(policy: Policy):
    got = shares(seeded(policy), replicas(2, (1, 9)))
    assert got["r0"] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize("name", ["r{}", "search-{}", "10-0-0-{}"])
def test_keys_are_shared_out_within_a_quarter(name: str, count: int):
    """150 points each. A share strays by about 8 %, so with very many replicas some would be beyond."""
    candidates = tuple(Replica(name.format(n)) for n in range(count))
    got = shares(seeded("consistent_hash"), candidates)
    assert got == {each: pytest.approx(1 / count, rel=0.25) for each in got}


def test_keys_are_shared_out_by_weight():
    candidates = replicas(3, (1, 2, 5))
    got = shares(seeded("consistent_hash"), candidates)
    assert got == {each.id: pytest.approx(each.weight / 8, rel=0.25) for each in candidates}


# --- in turn ------------------------------------------------------------------------------------------------


def test_in_turn_goes_on_where_it_was_when_the_candidates_change():
    balancer, three = seeded("round_robin"), replicas(3)
    assert [balancer.choose(three, "").id for _ in range(4)] == ["r0", "r1", "r2", "r0"]
    assert [balancer.choose(three[:2], "").id for _ in range(2)] == ["r0", "r1"]
    assert balancer.choose(three, "").id == "r0"


# --- the least busy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("picks", [10_000, pytest.param(PICKS, marks=pytest.mark.long)])
@pytest.mark.parametrize("count", [2, 3, 4, 10, 100])
@pytest.mark.parametrize(("each_has", "swing"), [(0.3, 0), (1, 0), (3, 0), (20, 0), (3, 0.1), (20, 0.1)])
def test_nobody_has_more_than_twice_the_mean(count: int, each_has: float, swing: float, picks: int):
    """Calls end in any order. Nobody has ever more than one call or twice the mean of all, whichever is more.

    Where the load swings about a small mean, that is said of whom was picked: a few calls that end elsewhere
    halve the mean, and no policy takes back what it gave.
    """
    rng, balancer, candidates = Random(count), seeded("least_connections"), replicas(count)
    running: list[Replica] = []
    for _ in range(picks):
        picked = balancer.choose(candidates, "")
        picked.in_flight += 1
        running.append(picked)
        assert picked.in_flight <= max(1, 2 * len(running) / count)
        while len(running) > max(1.0, each_has * count * rng.uniform(1 - swing, 1 + swing)):
            ended = rng.randrange(len(running))
            running[ended].in_flight -= 1
            running[ended] = running[-1]
            running.pop()
        if not swing or each_has >= 20:
            assert max([each.in_flight for each in candidates]) <= max(1, 2 * len(running) / count)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30), st.integers())
def test_nobody_is_given_more_than_twice_the_mean_however_uneven_they_are(loads: list[int], seed: int):
    candidates = tuple(Replica(f"r{n}", in_flight=load) for n, load in enumerate(loads))
    picked = balancer_for("least_connections", NODES, Random(seed)).choose(candidates, "")
    after = picked.in_flight + 1
    assert after == 1 or after * len(loads) <= 2 * (sum(loads) + 1)


def test_a_call_at_a_time_goes_round():
    for count in (2, 3, 10):
        got = shares(seeded("least_connections"), replicas(count))
        assert got == {each: pytest.approx(1 / count, rel=0.05) for each in got}


def test_the_busy_one_of_a_few_is_spared():
    candidates = replicas(3)
    candidates[0].in_flight, candidates[1].in_flight = 2, 1
    assert {seeded("least_connections").choose(candidates, "").id for _ in range(100)} == {"r2"}


# --- the same for the same key ------------------------------------------------------------------------------


def test_a_key_keeps_its_replica_whatever_the_order():
    balancer, candidates = seeded("consistent_hash"), replicas(5, (1, 2, 3))
    other, turned = seeded("consistent_hash"), tuple(reversed(candidates))
    assert all(balancer.choose(candidates, key) is other.choose(turned, key) for key in KEYS[:5000])


@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize("weights", [(), (3, 1)])
def test_when_a_replica_leaves_only_its_own_keys_move(count: int, weights: tuple[int, ...]):
    balancer, before = seeded("consistent_hash"), replicas(count, weights)
    after, keys = before[:-1], KEYS[:20_000]
    was = {key: balancer.choose(before, key) for key in keys}
    moved = [key for key in keys if balancer.choose(after, key) is not was[key]]
    assert {was[key] for key in moved} == {before[-1]}
    assert len(moved) / len(keys) <= 1 / count + 0.05
    assert all(balancer.choose(before, key) is was[key] for key in keys), "back, and all is as it was"


def test_a_weight_that_changes_counts_from_the_next_tuple_on():
    balancer, candidates = seeded("consistent_hash"), replicas(2)
    shares(balancer, candidates)
    candidates[0].weight = 9
    got = shares(balancer, (candidates[0], candidates[1]))
    assert got["r0"] == pytest.approx(0.9, rel=0.05)


def test_without_a_key_they_take_turns():
    candidates = replicas(3)
    balancer = seeded("consistent_hash")
    assert [balancer.choose(candidates, "").id for _ in range(4)] == ["r0", "r1", "r2", "r0"]


CHOSEN = "from proxy_core.catalog.balance import balancer_for\n"
CHOSEN += "from tests.proxy_core.catalog.test_balance import replicas\n"
CHOSEN += "balancer, candidates = balancer_for('consistent_hash', 150), replicas(5)\n"
CHOSEN += "print(*(balancer.choose(candidates, f'key {n}').id for n in range(16)))"
EXPECTED = "r1 r3 r2 r1 r2 r2 r1 r2 r4 r2 r4 r2 r3 r1 r1 r0"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_it_is_the_same_in_every_process(hash_seed: str):
    done = subprocess.run(
        [sys.executable, "-c", CHOSEN],
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == EXPECTED


def test_a_ring_of_any_weights_has_an_end_and_keeps_the_shares():
    ring = _ring(replicas(64, [MAX_WEIGHT, 1, *[500] * 62]), 10_000)
    assert len(ring.points) <= MAX_POINTS
    points = Counter(ring.owners[:-1])
    assert points[0] / points[2] == pytest.approx(2, rel=0.01)
    assert points[1] >= 1


def test_a_ring_is_built_once_for_each_set_of_candidates(monkeypatch: pytest.MonkeyPatch):
    built: list[int] = []

    def counted(candidates, virtual_nodes):
        built.append(len(candidates))
        return _ring(candidates, virtual_nodes)

    monkeypatch.setattr("proxy_core.catalog.balance._ring", counted)
    balancer, three = seeded("consistent_hash"), replicas(3)
    for _ in range(5):
        for candidates in (three, three[:2], three[1:]):
            balancer.choose(candidates, "a")
    assert built == [3, 2, 2]
    many = tuple(Replica(f"other-{n}") for n in range(MAX_KEPT + 2))
    for n in range(MAX_KEPT):
        balancer.choose(many[n : n + 2], "a")
    balancer.choose(three, "a")
    assert built[3:] == [2] * MAX_KEPT + [3], "the oldest was given up"


# --- whatever happens ---------------------------------------------------------------------------------------


candidate_sets = st.lists(
    st.builds(Replica, st.text(), st.integers(), st.integers()),
    min_size=1,
    max_size=20,
    unique_by=lambda r: r.id,
).map(tuple)


@settings(deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(candidate_sets, st.text(st.characters(exclude_categories=()))), max_size=5),
    st.integers(-1, 200),
)
def test_one_of_the_candidates_is_chosen_whatever_they_are(
    policy: Policy, picks: list[tuple[tuple[Replica, ...], str]], virtual_nodes: int
):
    balancer = seeded(policy, virtual_nodes)
    for candidates, key in picks:
        chosen = balancer.choose(candidates, key)
        assert any(chosen is each for each in candidates)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_only_one_is_chosen(policy: Policy):
    (only,) = replicas(1)
    assert seeded(policy).choose((only,), "a") is only
