"""Screens that look the same on every machine: no theme, colour or time of the surroundings."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.css.stylesheet import Stylesheet

from tests.support.svg import ScreenSvg

SIZES = ((80, 24), (120, 36))


@pytest.fixture(scope="session", autouse=True)
def styles_read_once() -> Iterator[None]:
    """Textual reads all styles four times for each app: a quarter of the work of most tests here."""
    parse, read = Stylesheet._parse_rules, dict[Any, Any]()

    def parse_once(sheet: Stylesheet, css: str, *args: Any, **kwargs: Any) -> Any:
        key = css, args, tuple(kwargs.items()), tuple(sheet._variables.items())
        if key not in read:
            read[key] = parse(sheet, css, *args, **kwargs)
        return read[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(autouse=True)
def steady_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture
def picture(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(ScreenSvg)
