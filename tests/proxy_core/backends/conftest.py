from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.scripted_backend import Box, child
from tests.support.scripted_channel import discovered, initialized, silence
from tests.support.scripted_line import Line, Script
from tests.support.scripted_replicas import Replicas


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Line]]:
    """A new, unopened connection to a backend that does what its script says."""
    lines: list[Line] = []

    def new(script: Script | None = None, *args: Any, **more: Any) -> Line:
        lines.append(Line(script or {}, *args, **more))
        return lines[-1]

    yield new
    for line in lines:
        await line.aclose()


@pytest.fixture
async def legacy(dial: Any) -> Line:
    line: Line = dial({"initialize": initialized(), "notifications/initialized": silence}, era="legacy")
    await line.connection.open()
    line.server.transcript.clear()
    return line


@pytest.fixture
async def modern(dial: Any) -> Line:
    line: Line = dial({"server/discover": discovered()})
    await line.connection.open()
    line.server.transcript.clear()
    return line


@pytest.fixture
async def boxes() -> AsyncIterator[Callable[..., Box]]:
    made: list[Box] = []

    def new(script: dict[str, Any] | None = None, **more: Any) -> Box:
        made.append(Box(script or child(), **more))
        return made[-1]

    yield new
    for box in made:
        await box.aclose()


@pytest.fixture
async def box(boxes: Any) -> Box:
    made: Box = await boxes().in_service()
    return made


@pytest.fixture
async def replicas() -> AsyncIterator[Callable[..., Replicas]]:
    """Several replicas of one server, not started."""
    made: list[Replicas] = []

    def new(*places: Any, **more: Any) -> Replicas:
        made.append(Replicas(*places, **more))
        return made[-1]

    yield new
    for each in made:
        await each.aclose()
