"""Which of several replicas takes the next call: five policies behind one method. Pure.

Knows what a replica is called, what it weighs and how many calls it has; not whether it is well or why it is
among the candidates. Chance is given, so that a test can repeat it.
"""

from bisect import bisect
from collections.abc import Callable
from hashlib import blake2b
from itertools import accumulate
from operator import attrgetter
from random import Random
from struct import unpack
from typing import Final, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

Policy: TypeAlias = Literal["round_robin", "least_connections", "consistent_hash", "random", "weighted_random"]
"""The configuration's own words, which this room may not import; a test compares."""

MAX_WEIGHT: Final = 1000
MAX_POINTS: Final = 1 << 16
"""Of one ring. A longer one takes too long to build between two calls."""
MAX_KEPT: Final = 8
"""Sets of candidates whose rings or shares are kept: all there are of three replicas."""
SPARE: Final = 4
"""Candidates that are looked at beside those that should be enough."""
FEW: Final = 3
"""Up to so many candidates the least busy of all is found as fast as that of two."""

_in_flight: Final = attrgetter("in_flight")
_identity: Final = attrgetter("id", "weight")


class Candidate(Protocol):
    """A replica that may take the call."""

    @property
    def id(self) -> str: ...

    @property
    def weight(self) -> int: ...

    @property
    def in_flight(self) -> int: ...


C = TypeVar("C", bound=Candidate)
T = TypeVar("T")


class Balancer(Protocol):
    """Its state is in the object: keep it for as long as the policy is the same, whatever the candidates."""

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        """One of `candidates`, which are at least one. `key` is what consistent_hash goes by, "" for none.

        While nothing has changed, hand in the very same tuple: what is derived from it is kept.
        """


def balancer_for(policy: Policy, virtual_nodes: int, rng: Random | None = None) -> Balancer:
    """`virtual_nodes`: points of each replica on the ring of consistent_hash, for each unit of weight."""
    match policy:
        case "round_robin":
            return _RoundRobin()
        case "least_connections":
            return _LeastConnections(rng or Random())
        case "consistent_hash":
            return _ConsistentHash(virtual_nodes)
        case "random":
            return _AnyOf(rng or Random())
        case "weighted_random":
            return _Weighted(rng or Random())


class _RoundRobin:
    """Each in turn, whatever it weighs."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        turn = self._turn
        self._turn = turn + 1
        return candidates[turn % len(candidates)]


class _AnyOf:
    """Any, whatever it weighs."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        return candidates[int(self._random() * len(candidates))]


class _Weighted:
    """Any, as often as it weighs."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random
        self._shares = _Kept(_shares)

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        if len(candidates) == 1:
            return candidates[0]
        shares = self._shares.of(candidates)
        return candidates[bisect(shares, self._random() * shares[-1], 0, len(shares) - 1)]


class _LeastConnections:
    """The less busy of two drawn at random, but none that would have more than its part.

    What is picked has afterwards either one call or at most twice the mean of all. Weights do not count.
    """

    def __init__(self, rng: Random) -> None:
        self._random = rng.random
        self._turn = 0
        self._mean = 1.0
        """Calls of each candidate, when all were looked at last."""

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        count = len(candidates)
        if count == 1:
            return candidates[0]
        if count <= FEW:
            # Turned, so that one call at a time does not always go to the first.
            self._turn = turn = (self._turn + 1) % count
            return min(candidates[turn:] + candidates[:turn], key=_in_flight)
        index = int(self._random() * count)
        picked = candidates[index]
        busy = picked.in_flight
        if busy <= 0:
            return picked
        other = candidates[index - 1 - int(self._random() * (count - 1))]
        if (others := other.in_flight) < busy:
            picked, busy = other, others
            if busy <= 0:
                return picked
        # What all must have together, so that with one more call this one has at most twice the mean. Mostly so
        # many of them have it as would if each had as many as when all were looked at last.
        needed = (busy + 1) * count / 2 - 1
        some = int(needed / self._mean) + SPARE
        total = 0
        # A loop, which is the quickest here: no list is made, and adding small numbers costs next to nothing.
        for each in candidates[:some]:
            total += each.in_flight
        if total >= needed and some < count:
            return picked
        for each in candidates[some:]:
            total += each.in_flight
        self._mean = max(total / count, 1.0)
        return picked if total >= needed else min(candidates, key=_in_flight)


class _ConsistentHash:
    """The same for the same key, and most keys stay where they are when a replica comes or goes.

    The same in every process: it goes by ids, weights and virtual nodes alone.
    """

    def __init__(self, virtual_nodes: int) -> None:
        self._rings = _Kept(lambda candidates: _ring(candidates, virtual_nodes))
        self._without_key = _RoundRobin()

    def choose(self, candidates: tuple[C, ...], key: str) -> C:
        if len(candidates) == 1:
            return candidates[0]
        if not key:
            return self._without_key.choose(candidates, key)
        ring = self._rings.of(candidates)
        # A key may come from a client's JSON, where half a surrogate pair is a string like any other.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return candidates[ring.owners[bisect(ring.points, int.from_bytes(digest, "little"))]]


class _Ring(NamedTuple):
    points: list[int]
    """64 bits each, ascending."""
    owners: list[int]
    """Which candidate has what comes before each point; the last, as the first, has what is beyond all."""


def _ring(candidates: tuple[Candidate, ...], virtual_nodes: int) -> _Ring:
    counts = [max(1, virtual_nodes) * _weight(each) for each in candidates]
    # Halved for all alike, so that the shares stay. Only a set on the other side of this bound moves keys
    # between those that stay, and few of them: what is left of a replica's points are the same points.
    while sum(counts) > MAX_POINTS and max(counts) > 1:
        counts = [max(1, count // 2) for count in counts]
    marked = sorted(
        (point, candidate.id, index)
        for index, (candidate, count) in enumerate(zip(candidates, counts, strict=True))
        for point in _points(candidate.id, count)
    )
    owners = [index for _, _, index in marked]
    return _Ring([point for point, _, _ in marked], [*owners, owners[0]])


def _points(id: str, count: int) -> list[int]:
    """The first `count` places of one replica on the ring. Eight come out of one hash."""
    name = id.encode("utf-8", "surrogatepass")
    blocks = (blake2b(b"%d:%b" % (block, name)).digest() for block in range((count + 7) // 8))
    return [point for block in blocks for point in unpack("<8Q", block)][:count]


def _shares(candidates: tuple[Candidate, ...]) -> list[int]:
    """The weights added up, candidate by candidate."""
    return list(accumulate(map(_weight, candidates)))


def _weight(candidate: Candidate) -> int:
    return min(max(1, candidate.weight), MAX_WEIGHT)


class _Kept(Generic[T]):
    """What was derived from the last few tuples of candidates.

    The tuple of the last pick is known by being the same object. Any other, such as that of a second try, which
    leaves the replica of the first out, is compared with those kept.
    """

    def __init__(self, derive: Callable[[tuple[Candidate, ...]], T]) -> None:
        self._derive = derive
        self._last: object = None
        self._value: T
        self._kept: dict[tuple[tuple[str, int], ...], T] = {}
        """Least recently used first."""

    def of(self, candidates: tuple[Candidate, ...]) -> T:
        if candidates is not self._last:
            self._value = self._find(tuple(map(_identity, candidates)), candidates)
            self._last = candidates
        return self._value

    def _find(self, identity: tuple[tuple[str, int], ...], candidates: tuple[Candidate, ...]) -> T:
        value = self._kept.pop(identity) if identity in self._kept else self._derive(candidates)
        self._kept[identity] = value
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return value
