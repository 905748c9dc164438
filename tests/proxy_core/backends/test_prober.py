"""When a replica is probed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest

from proxy_core.backends import prober
from proxy_core.backends.prober import JITTER, Prober
from proxy_core.config.models import HealthConfig
from tests.support.scripted_channel import until

LONG_S = 3600.0


class Probed:
    """A replica that counts its probes."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.at: list[float] = []
        self.hold: asyncio.Event | None = None
        self.prober = Prober(lambda: HealthConfig(probe_interval=self.interval_s), self._probe)

    async def _probe(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        if self.hold is not None:
            await self.hold.wait()

    async def rest(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def beats(self, count: int) -> None:
        """So many more probes."""
        whole = len(self.at) + count
        await until(lambda: len(self.at) >= whole)


@pytest.fixture
async def probe() -> AsyncIterator[Callable[[float], Probed]]:
    made: list[Probed] = []

    def new(interval_s: float) -> Probed:
        made.append(Probed(interval_s))
        return made[-1]

    yield new
    for each in made:
        await each.prober.stop()


@pytest.fixture
async def metronome(probe: Callable[[float], Probed]) -> Probed:
    """Another replica that is probed often: how long is long enough for a probe that must not come."""
    beating = probe(0.001)
    beating.prober.start()
    return beating


async def test_it_is_probed_again_and_again_and_never_too_soon(probe: Callable[[float], Probed]) -> None:
    probed = probe(0.02)
    began_at = asyncio.get_running_loop().time()
    probed.prober.start()
    await until(lambda: len(probed.at) >= 5)
    waits = [later - earlier for earlier, later in pairwise([began_at, *probed.at])]
    assert min(waits) >= 0.02 * (1 - JITTER) - 0.001


async def test_a_random_share_of_each_wait_is_left_off(
    probe: Callable[[float], Probed], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return 1 - 1e-6

    monkeypatch.setattr(prober.random, "uniform", uniform)
    probed = probe(LONG_S)
    probed.prober.start()
    await until(lambda: len(probed.at) >= 2)
    assert set(drawn) == {(0, JITTER)}


async def test_the_first_probe_waits_its_turn(probe: Callable[[float], Probed]) -> None:
    probed = probe(LONG_S)
    probed.prober.start()
    await probed.rest()
    assert probed.at == []


async def test_started_twice_it_probes_once(probe: Callable[[float], Probed], metronome: Probed) -> None:
    probed = probe(0.002)
    probed.hold = asyncio.Event()
    probed.prober.start()
    probed.prober.start()
    await until(lambda: probed.at)
    await metronome.beats(5)
    assert len(probed.at) == 1


async def test_the_next_probe_waits_for_the_last_one(
    probe: Callable[[float], Probed], metronome: Probed
) -> None:
    probed = probe(0.001)
    probed.hold = asyncio.Event()
    probed.prober.start()
    await until(lambda: probed.at)
    await metronome.beats(5)
    assert len(probed.at) == 1
    probed.hold.set()
    await until(lambda: len(probed.at) > 1)


async def test_another_interval_holds_at_once(probe: Callable[[float], Probed], metronome: Probed) -> None:
    probed = probe(LONG_S)
    probed.prober.start()
    await probed.rest()
    probed.interval_s = 0.001
    probed.prober.rules_changed()
    await until(lambda: len(probed.at) > 1)
    probed.interval_s = LONG_S
    probed.prober.rules_changed()
    await probed.rest()
    probes = len(probed.at)
    await metronome.beats(5)
    assert len(probed.at) == probes


async def test_changed_rules_are_no_probe(probe: Callable[[float], Probed]) -> None:
    probed = probe(LONG_S)
    probed.prober.start()
    for more_s in range(1, 6):
        await probed.rest()
        probed.interval_s = LONG_S + more_s
        probed.prober.rules_changed()
    await probed.rest()
    assert probed.at == []


async def test_rules_with_the_same_interval_wake_nobody(probe: Callable[[float], Probed]) -> None:
    probed = probe(LONG_S)
    probed.prober.start()
    await probed.rest()
    probed.prober.rules_changed()
    assert not probed.prober._changed.is_set()


async def test_stopped_it_probes_no_more_and_can_be_started_again(
    probe: Callable[[float], Probed], metronome: Probed
) -> None:
    probed = probe(0.001)
    probed.hold = asyncio.Event()
    probed.prober.start()
    await until(lambda: probed.at)
    await probed.prober.stop()
    probes = len(probed.at)
    await metronome.beats(5)
    assert len(probed.at) == probes
    probed.prober.start()
    await until(lambda: len(probed.at) > probes)
