"""What the screen costs: its painting alone, callback by callback; and the gateway with it and without it.

Run as `python -m tests.benchmarks.screen`. The goals stand beside the figures.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyte
import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import FEWEST, Interval, median_interval
from tests.benchmarks.painted import FPS
from tests.benchmarks.processes import ROOT, gateway, http_backend, tools_ready
from tests.benchmarks.pty_program import COLUMNS, LINES, PtyProgram, in_pty
from tests.benchmarks.screened import screened_gateway

FRAMES: Final = 60
QUICK_FRAMES: Final = 60
SERVERS: Final = 8
PER_S: Final = 300
KEYS: Final = ((b"j", 1),) * (SERVERS - 2) + ((b"k", -1),) * (SERVERS - 2)
KEY_PAUSE_S: Final = 0.37
"""No multiple of a frame, so that a key comes at any moment of one."""
SCENES: Final = (
    ("nothing changes", ("--servers", "30"), 0.4),
    ("every row changes", ("--servers", "30", "--busy"), 1.5),
    ("every row changes, the Servers screen", ("--servers", "30", "--busy", "--screen", "servers"), 1.5),
    ("25 requests a second come, the Requests screen", ("--busy", "--screen", "requests"), None),
    ("50 lines a second come, the Logs screen", ("--busy", "--screen", "logs"), None),
    ("plots move, the Metrics screen", ("--busy", "--screen", "metrics"), None),
    ("every row of 300 changes", ("--servers", "300", "--busy"), None),
)
CALLBACK_MS: Final = 3.0


async def screen(is_quick: bool) -> Part:
    """A short look has too few rounds to judge a goal by."""
    painting = await painting_rows(QUICK_FRAMES if is_quick else FRAMES)
    found, rows = await beside_headless(*((1, 3.0) if is_quick else (6, 2.0)))
    return Part(found, [*painting, "", *rows])


# --- painting -----------------------------------------------------------------------------------------------


async def painting_rows(frames: int) -> list[str]:
    rows = [
        f"| 30 servers, {COLUMNS}x{LINES}, {FPS} frames a second | CPU ms a frame "
        "| of these the gateway's picture | % of the wall | goal "
        "| longest callback, CPU ms: p50 | p99 | goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, arguments, goal in SCENES:
        rows.append(_painting_row(name, await _painted(frames, arguments), goal))
    return rows


async def _painted(frames: int, arguments: Sequence[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        module = (sys.executable, "-m", "tests.benchmarks.painted", str(out))
        async with in_pty(*module, "--frames", str(frames), *arguments) as program:
            await program.process.wait()
        if not out.exists():
            raise RuntimeError(b"".join(data for _, data in program.output)[-2000:].decode(errors="replace"))
        figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def _painting_row(name: str, figures: dict[str, Any], goal: float | None) -> str:
    longest = sorted(figures["longest_ms"])
    p50, p99 = longest[len(longest) // 2], longest[int(len(longest) * 0.99) - 1]
    share = figures["frame_ms"] * FPS / 10
    goals = ("-", "-") if goal is None else (f"<= {goal} %", f"<= {CALLBACK_MS:g}")
    return (
        f"| {name} | {figures['frame_ms']:.2f} | {figures['picture_ms']:.2f} | {share:.2f} % | {goals[0]} "
        f"| {p50:.2f} | {p99:.2f} | {goals[1]} |"
    )


# --- the gateway with its screen and without ----------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    per_s: float
    cpu_us: float
    """Of the gateway's process, for each call, as many callers as it takes; its painting is among it."""
    p50_ms: float
    p99_ms: float
    keys_ms: tuple[float, ...] = ()


async def beside_headless(rounds: int, seconds: float) -> tuple[dict[str, Interval | None], list[str]]:
    """Goals and rows. `seconds`: of each load."""
    without, with_screen = [], []
    async with http_backend() as (backend_port, _):
        transport = {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}
        servers = [{"id": f"s{number}", "transport": transport} for number in range(SERVERS)]
        for _ in range(rounds):
            async with gateway(servers) as (port, pid, _):
                without.append(await _loaded(port, pid, seconds, None))
            async with screened_gateway(servers) as (port, program):
                with_screen.append(await _loaded(port, program.process.pid, seconds, program))
    kept = [unseen.cpu_us / seen.cpu_us * 100 for seen, unseen in zip(with_screen, without, strict=True)]
    p99 = [seen.p99_ms / unseen.p99_ms for seen, unseen in zip(with_screen, without, strict=True)]
    keys = sorted(took for each in with_screen for took in each.keys_ms)
    found: dict[str, Interval | None] = {}
    if rounds >= FEWEST:
        found = {"G8 kept": median_interval(kept), "G8 p99": median_interval(p99)}
    return found, [
        f"| {rounds} rounds in turns, {SERVERS} servers | headless | with the screen | ratio | goal |",
        "|---|---|---|---|---|",
        f"| calls a second of its processor time, {_spread(kept, '.0f')} % kept "
        f"| {1e6 / median(r.cpu_us for r in without):,.0f} "
        f"| {1e6 / median(r.cpu_us for r in with_screen):,.0f} | {median(kept):.0f} % | >= 95 % |",
        f"| calls/s by the clock on the wall | {median(r.per_s for r in without):,.0f} "
        f"| {median(r.per_s for r in with_screen):,.0f} | | |",
        f"| p50 ms at {PER_S} calls/s | {median(r.p50_ms for r in without):.2f} "
        f"| {median(r.p50_ms for r in with_screen):.2f} | | |",
        f"| p99 ms at {PER_S} calls/s, {_spread(p99, '.2f')} times | {median(r.p99_ms for r in without):.2f} "
        f"| {median(r.p99_ms for r in with_screen):.2f} | {median(p99):.2f} | <= 2 |",
        f"| key to paint at {PER_S} calls/s, p50 ms of {len(keys)} | - | {_at(keys, 0.5):.1f} | | |",
        f"| the same, p95 ms | - | {_at(keys, 0.95):.1f} | | <= 50 |",
    ]


def _spread(ratios: Iterable[float], form: str) -> str:
    found = sorted(ratios)
    return f"{found[0]:{form}} to {found[-1]:{form}}"


def _at(found: Sequence[float], share: float) -> float:
    return found[min(len(found) - 1, int(len(found) * share))] if found else float("nan")


async def _loaded(port: int, pid: int, seconds: float, program: PtyProgram | None) -> Round:
    await tools_ready(port, SERVERS)
    steady = asyncio.create_task(_load(port, pid, seconds, "--per-s", str(PER_S)))
    keys_ms: tuple[float, ...] = ()
    if program is not None:
        keys_ms = await _keys(program, steady)
    calm = await steady
    full = await _load(port, pid, seconds)
    return Round(full["per_s"], full["cpu_us"], calm["p50"], calm["p99"], keys_ms)


async def _load(port: int, pid: int, seconds: float, *arguments: str) -> dict[str, float]:
    tools = [f"s{number}__echo" for number in range(SERVERS)]
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.benchmarks.steady",
            str(port),
            str(pid),
            *tools,
            "--seconds",
            str(seconds),
        ),
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    figures: dict[str, float] = json.loads(out)
    return figures


async def _keys(program: PtyProgram, steady: "asyncio.Task[Any]") -> tuple[float, ...]:
    """Move the cursor while the load runs; milliseconds until each move was on the terminal."""
    await asyncio.sleep(1.5)
    pressed: list[tuple[float, int]] = []
    while not steady.done():
        key, by = KEYS[len(pressed) % len(KEYS)]
        pressed.append((program.press(key), by))
        await asyncio.sleep(KEY_PAUSE_S)
    return moves_ms(program.output, pressed)


def moves_ms(output: Sequence[tuple[float, bytes]], pressed: Sequence[tuple[float, int]]) -> tuple[float, ...]:
    """How long each key took, seen afterwards by an emulator: it would be too slow beside what is measured."""
    terminal = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(terminal)
    waiting = list(pressed)
    row, took = None, []
    for came_at, data in output:
        stream.feed(data)
        now = _cursor_row(terminal)
        if row is not None and now is not None and now != row and waiting:
            took.append((came_at - waiting.pop(0)[0]) * 1000)
        row = now if now is not None else row
    return tuple(took)


def _cursor_row(terminal: pyte.Screen) -> int | None:
    """The one line of the table whose ground is not that of its neighbours."""
    named = [y for y in range(LINES) if terminal.display[y][1:4].strip() in {f"s{n}" for n in range(SERVERS)}]
    grounds = [terminal.buffer[y][1].bg for y in named]
    odd = [y for y, ground in zip(named, grounds, strict=True) if grounds.count(ground) == 1]
    return odd[0] if len(odd) == 1 and len(named) == SERVERS else None


if __name__ == "__main__":
    print("\n".join(uvloop.run(screen(is_quick=True)).table))
