"""The screen over a gateway with something to show, in the terminal it is started in, every callback timed.

Run by `painting`, as `python -m tests.benchmarks.painted OUT --frames N --busy|--still`; leaves its figures in
OUT. A frame is a pull and all that follows from it. Frames come faster than the four a second of real life, on
a clock that counts a quarter of a second for each: what a frame costs does not depend on how long ago the last
one was, and hundreds of them need not take minutes.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from only1mcp_tui.app import SCREENS, Only1App
from only1mcp_tui.cli.run import settle_memory
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, TuiConfig
from proxy_core.facts import RequestFinished
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import Latency, LogLine, ServerRow, Snapshot, Totals
from tests.support.exchanges import many_rows
from tests.support.fake_control import NOW, WALL, FakeControl, row_of, snapshot_of

Item = TypeVar("Item")

FPS: Final = 4
"""As the screen is drawn unless told otherwise."""
PAUSE_S: Final = 0.03
"""Between two frames here: longer than Textual waits to gather what changed."""
EXCHANGES_PER_S, LINES_PER_S = 25, 50
"""New ones, where something changes."""
PICTURES: Final = 240
"""Different ones, made beforehand; the same one comes again after a minute of the clock."""
WARM_UP: Final = 40
"""Frames before the first that counts: two of the clock's ten seconds of history."""


def _row(number: int, frame: int) -> ServerRow:
    """Another number in every column that has one."""
    turn = (frame * 7 + number * 13) % 97
    return row_of(
        f"server-{number:02}",
        tools=12 + turn % 5,
        era="modern",
        revision="2026-07-28",
        in_flight=turn % 6,
        calls=frame * 9,
        calls_per_s=10 + turn / 2,
        errors_per_s=turn / 200,
        latency=Latency(2 + turn, 9 + turn * 1.5, 30 + turn * 2),
    )


def pictures(servers: int) -> list[Snapshot]:
    """As many as there are before the first one comes again, each different in every row."""
    return [
        snapshot_of(
            [_row(number, frame) for number in range(servers)],
            seq=frame,
            totals=Totals(
                calls=frame * 250,
                errors=frame // 3,
                calls_per_s=240 + frame % 60,
                errors_per_s=0.3,
                in_flight=frame % 40,
                latency=Latency(4 + frame % 3, 18 + frame % 7, 41 + frame % 9),
                sessions=12,
            ),
        )
        for frame in range(1, PICTURES + 1)
    ]


def _log_line(number: int) -> LogLine:
    level = ("info", "info", "warning", "debug", "error")[number % 5]
    text = f"request {number} of client {number % 7} took {number % 31} ms"
    return LogLine(WALL + number / LINES_PER_S, level, f"server-{number % 30:02}", text)


def _share(all_of_them: Sequence[Item], frame: int, per_s: int) -> Sequence[Item]:
    """Those that come in one frame."""
    return all_of_them[frame * per_s // FPS : (frame + 1) * per_s // FPS]


class House:
    """A real gateway that was not started, on the clock of the frames: what its picture costs."""

    def __init__(self, servers: int) -> None:
        self.frame = 0
        self._names = [f"server-{number:02}" for number in range(servers)]
        transport = {"type": "http", "url": "http://127.0.0.1:9/mcp"}
        listed = [{"id": name, "transport": transport, "enabled": False} for name in self._names]
        loaded = LoadedConfig(Config.model_validate({"version": 1, "servers": listed}))
        self.proxy = Proxy(loaded, clock=self)
        self.proxy._registry.apply(loaded.config.servers, {}, 0)
        self.proxy._feed.consume(self.proxy._metrics.fold)

    def monotonic(self) -> float:
        return NOW + self.frame / FPS

    def wall(self) -> float:
        return WALL + self.frame / FPS

    def call_everywhere(self) -> None:
        """One call of every server ends."""
        for number, name in enumerate(self._names):
            took_ms = 4.0 + (self.frame + number) % 9
            self.proxy._publish(
                RequestFinished(
                    *(self.monotonic(), "bench", "anon", "modern", "2026-07-28", "tools/call", name, "echo"),
                    *(took_ms, None, False, 300),
                )
            )


class Feed(FakeControl):
    """Pays what a real gateway pays for a picture, and hands out one of those made beforehand."""

    def __init__(self, servers: int, is_busy: bool, frames: int) -> None:
        self._pictures = pictures(servers)
        super().__init__(self._pictures[0])
        self.house = House(servers)
        self.is_busy = is_busy
        self.picture_s = 0.0
        """Spent in the gateway's own `prepare` and `snapshot`."""
        seconds = (frames + WARM_UP) / FPS if is_busy else 0.0
        self._exchanges_to_come = many_rows(int(seconds * EXCHANGES_PER_S))
        self._lines_to_come = [_log_line(number) for number in range(int(seconds * LINES_PER_S))]

    def go_on(self) -> None:
        """A quarter of a second passes."""
        before, self.house.frame = self.house.frame, self.house.frame + 1
        self.see(*_share(self._exchanges_to_come, before, EXCHANGES_PER_S))
        self.log(*_share(self._lines_to_come, before, LINES_PER_S))

    def prepare(self) -> bool:
        begun = time.thread_time()
        has_more = self.house.proxy.prepare()
        self.picture_s += time.thread_time() - begun
        return has_more

    def snapshot(self) -> Snapshot:
        frame = self.house.frame
        begun = time.thread_time()
        self.house.proxy.snapshot()
        self.picture_s += time.thread_time() - begun
        if self.is_busy:
            return replace(self._pictures[frame % PICTURES], at=self.house.monotonic())
        # As the gateway does it: where nothing happens, a new picture once a second, for ages grow.
        if frame % FPS == 0:
            self.current = replace(self.current, seq=frame, at=self.house.monotonic())
        return self.current


@dataclass
class Callbacks:
    """Thread CPU milliseconds of the longest one since the last `take`."""

    longest_ms: float = 0.0
    took: list[float] = field(default_factory=list)

    def note(self, seconds: float) -> None:
        self.longest_ms = max(self.longest_ms, seconds * 1000)

    def take(self) -> float:
        longest, self.longest_ms = self.longest_ms, 0.0
        return longest


def timed(callbacks: Callbacks) -> None:
    """From now on each callback of the loop is timed: nothing else runs between its begin and its end."""
    run = asyncio.Handle._run  # type: ignore[attr-defined]

    def run_timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        callbacks.note(time.thread_time() - begun)

    asyncio.Handle._run = run_timed  # type: ignore[attr-defined]


async def _measure(app: Only1App, feed: Feed, callbacks: Callbacks, frames: int) -> dict[str, Any]:
    def happen() -> None:
        if feed.is_busy:
            feed.house.call_everywhere()

    async def frame() -> float:
        happen()
        feed.go_on()
        callbacks.take()
        await app._tick()
        await asyncio.sleep(PAUSE_S)
        return callbacks.take()

    async def rest() -> None:
        happen()
        await asyncio.sleep(PAUSE_S)

    for _ in range(WARM_UP):
        await frame()
    begun = time.process_time()
    for _ in range(frames // 4):
        await rest()
    resting_s = (time.process_time() - begun) / (frames // 4) * frames
    feed.picture_s = 0.0
    begun = time.process_time()
    longest = [await frame() for _ in range(frames)]
    painting_s = time.process_time() - begun - resting_s
    return {
        "frames": frames,
        "frame_ms": painting_s / frames * 1000,
        "picture_ms": feed.picture_s / frames * 1000,
        "longest_ms": longest,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=30)
    parser.add_argument("--screen", default="overview", choices=list(SCREENS))
    parser.add_argument(
        "--busy",
        action="store_true",
        help="every row changes in every frame, requests and log lines come; else nothing does",
    )
    options = parser.parse_args()
    feed = Feed(options.servers, options.busy, options.frames)
    app = Only1App(
        feed,
        clock=feed.house.monotonic,
        pulls_by_itself=False,
        is_remote=False,
        on_shown=settle_memory,
        tui=TuiConfig(screen=options.screen),
    )
    callbacks = Callbacks()
    timed(callbacks)

    async def measure() -> None:
        await asyncio.sleep(1)
        options.out.write_text(json.dumps(await _measure(app, feed, callbacks, options.frames)))
        app.exit()

    def begin() -> None:
        app.run_worker(measure(), exit_on_error=True)

    app.call_later(begin)
    settle_memory()
    app.run()


if __name__ == "__main__":
    main()
