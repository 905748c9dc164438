"""A load in a process of its own: calls at a steady pace, whatever the answers take; or as many as go through.

Run as `python -m tests.benchmarks.steady PORT PID TOOL... --seconds S [--per-s N]`; prints its figures as JSON.
A call's time counts from the moment it was due, so that a gateway that stops for a while is not let off.
"""

import argparse
import json
from typing import Any, Final

from tests.benchmarks.lines import Line, at_pace, saturate, schedule
from tests.benchmarks.load import Measured, modern_call
from tests.benchmarks.processes import cpu_of

CALLERS: Final = 32
WARM_UP_S: Final = 1.0


def measured(port: int, pid: int, tools: list[str], seconds: float, per_s: float) -> dict[str, Any]:
    lines = [Line(port, modern_call(tools[number % len(tools)])) for number in range(CALLERS)]
    if per_s:
        at_pace(lines, schedule(per_s, WARM_UP_S))
        took_ms = at_pace(lines, schedule(per_s, seconds))
        found = Measured(len(took_ms), seconds, took_ms, 0.0)
    else:
        found = saturate(lines, seconds, lambda: cpu_of(pid, children=False))
    return {
        "per_s": found.per_s,
        "p50": found.percentile_ms(0.5),
        "p99": found.percentile_ms(0.99),
        "cpu_us": found.cpu_us,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int, help="of the gateway, whose processor time is told")
    parser.add_argument("tools", nargs="+")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--per-s", type=float, default=0.0)
    options = parser.parse_args()
    print(json.dumps(measured(options.port, options.pid, options.tools, options.seconds, options.per_s)))
