import asyncio
import time

import pytest

from proxy_core.clock import SystemClock
from proxy_core.telemetry import lag
from proxy_core.telemetry.lag import LoopLag
from tests.support.scripted_channel import until


class _Times:
    """A clock that says what it was told to, in order."""

    def __init__(self, *times: float) -> None:
        self._times = iter(times)

    def monotonic(self) -> float:
        return next(self._times)

    def wall(self) -> float:
        return 0.0


async def watched(*late_s: float) -> float:
    """The percentile after a watch whose samples were late by so much."""
    times = [at for late in late_s for at in (0.0, lag.EVERY_S + late)]
    watch = LoopLag(_Times(*times))
    with pytest.raises(RuntimeError):
        await watch.watch()
    return watch.p99_ms


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "EVERY_S", 0.001)


def test_before_the_first_sample_there_is_no_lag():
    assert LoopLag(SystemClock()).p99_ms == 0


@pytest.mark.parametrize(
    ("late_s", "p99_ms"),
    [([0.02], 20), ([0.0, 0.02], 20), ([0.02, *[0.0] * 9], 20), ([0.02, *[0.0] * 99], 0), ([-1.0], 0)],
)
async def test_the_99th_percentile_is_by_nearest_rank(late_s: list[float], p99_ms: float):
    assert await watched(*late_s) == pytest.approx(p99_ms)


async def test_a_callback_that_holds_the_loop_is_felt():
    watch = LoopLag(SystemClock())
    task = asyncio.ensure_future(watch.watch())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(time.sleep, 0.05)
    await until(lambda: watch.p99_ms)
    task.cancel()
    assert watch.p99_ms >= 40
