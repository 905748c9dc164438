"""What limits cost: the look and the step alone, and on a call that is forwarded.

The steps are part of `micro`. Run as `python -m tests.benchmarks.limiting` for a forwarded tools/call through
gateways with none, one and four limits, in turns; the unit is CPU microseconds a call.
"""

from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from proxy_core.access.limits import Limits, Permit
from proxy_core.clock import SystemClock
from proxy_core.config.models import Config
from proxy_core.errors import Overloaded
from proxy_core.facts import Fact
from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.intervals import Interval, median_interval
from tests.benchmarks.lines import opened
from tests.benchmarks.load import modern_call
from tests.benchmarks.processes import gateway, http_backend, settled, tools_ready
from tests.benchmarks.rounds import Way, cpu_us, in_turns, warm_up
from tests.benchmarks.standing import CONNECTIONS, OF_300_BYTES
from tests.benchmarks.timing import step_us

ROUNDS: Final = 16
TURN_S: Final = 0.4
RATE: Final = {"calls_per_s": 100_000, "burst": 1_000_000}
WIDE: Final = RATE | {"concurrent": 1_000_000}
"""None of these ever refuses."""
VIEWER: Final = ("anon", "")


def limiting_us() -> dict[str, Interval]:
    """Microseconds of each."""
    return {
        "limits off: the look": step_us(_Off().look),
        "one limit: in, and back": step_us(_call(_limits(RATE, {}))),
        "four limits: in, and back": step_us(
            _call(_limits(RATE, {"limits": WIDE, "tools": {"limits": {"*": WIDE}}}, WIDE), ("anon", "review"))
        ),
        "a call that is refused, told and counted": step_us(_refused(_limits({"calls_per_s": 0.001}, {}))),
    }


class _Off:
    """As the gateway is without limits."""

    def __init__(self) -> None:
        self._limits: Limits | None = None

    def look(self) -> None:
        if self._limits is not None:
            raise AssertionError


def _limits(general: dict[str, Any], box: dict[str, Any], review: dict[str, Any] | None = None) -> Limits:
    server = {"id": "web", "transport": {"type": "stdio", "command": "true"}} | box
    profiles = {"review": {"limits": review or {}}}
    config = Config.model_validate({"servers": [server], "limits": general, "profiles": profiles})
    return Limits(config, SystemClock(), _unheard)


def _unheard(fact: Fact) -> None:
    return


def _call(limits: Limits, viewer: tuple[str, str] = VIEWER) -> Any:
    now, meters = SystemClock().monotonic, limits.meters(viewer, "web", "echo")

    def call() -> None:
        limits.take(meters, now())
        Permit(limits, meters, True).leave()

    call()
    return call


def _refused(limits: Limits) -> Any:
    call = _call(limits)

    def refused() -> None:
        try:
            call()
        except Overloaded:
            return
        raise AssertionError("it was let in")

    return refused


async def forwarded() -> list[str]:
    """Lines of a table: each gateway, and what it takes more than the one without limits."""
    server = {"limits": WIDE, "tools": {"limits": {"*": WIDE}}}
    sections: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "no limits": ({}, {}),
        "none again": ({}, {}),
        "one: the principal's": ({}, {"limits": RATE | {"calls": 0}}),
        "three: and the server's and the tool's, with a place in flight at each": (
            server,
            {"limits": RATE | {"calls": 0}},
        ),
    }
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        port, pid = await stack.enter_async_context(http_backend(*OF_300_BYTES))
        pin(pid, FEEDING)
        ways = []
        for name, (settings, more) in sections.items():
            url = f"http://127.0.0.1:{port}/mcp"
            servers = [{"id": "web", "transport": {"type": "http", "url": url}} | settings]
            ours, our_pid, _ = await stack.enter_async_context(gateway(servers, **more))
            await tools_ready(ours, 1)
            lines = stack.enter_context(opened(ours, CONNECTIONS, modern_call("web__echo")))
            ways.append(Way(name, our_pid, lines))
            pin(our_pid, MEASURED)
        warm_up(ways)
        for way in ways:
            await settled(way.pid)
        in_turns(ways, ROUNDS, lambda way: way.saturated(TURN_S))
    return ["| limits | CPU µs a call | more than none |", "|---|---|---|", *_rows(ways)]


def _rows(ways: list[Way]) -> list[str]:
    none = ways[0].samples(cpu_us)
    return [
        f"| {way.name} | {way.interval(cpu_us).shown('.1f')} | {_more(way.samples(cpu_us), none)} |"
        for way in ways
    ]


def _more(samples: tuple[float, ...], none: tuple[float, ...]) -> str:
    """Of the same round each time."""
    return median_interval([a - b for a, b in zip(samples, none, strict=True)]).shown(".2f")


if __name__ == "__main__":
    for step, interval in limiting_us().items():
        print(f"{step}: {interval.shown('.2f')} µs")
    print("\n".join(uvloop.run(forwarded())))
