"""A gateway elsewhere that is not heard any more: said on every screen, and its ages stand still."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from proxy_core.errors import GatewayUnreachable
from proxy_core.telemetry.snapshot import Notice
from tests.support.fake_control import NOW, WALL, FakeControl, row_of
from tests.support.screens import busy_control, pulled, shown, svg_of, text_of

WHY = "No gateway at ssh://ada@build: nothing answers there. Trying again."


class Hands:
    """Our own clock, which has nothing to do with the gateway's."""

    def __init__(self) -> None:
        self.at = 77.0

    def __call__(self) -> float:
        return self.at


def lose(control: FakeControl, after_s: float = 0.0) -> None:
    """As `RemoteControl` shows it: as of the moment when it was noticed."""
    at, wall = NOW + after_s, WALL + after_s
    control.use(at=at, wall=wall, stale_since=at, notices=(Notice("error", WHY),))


def watched(control: FakeControl, hands: Hands, **options: Any) -> Any:
    return shown(control, clock=hands, is_remote=True, **options)


async def test_how_a_lost_gateway_looks(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control, hands = busy_control(), Hands()
    async with watched(control, hands, size=size) as (app, pilot):
        hands.at += 12
        lose(control, after_s=12)
        await pulled(app, pilot)
        hands.at += 23
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5"])
async def test_every_screen_says_since_when_and_for_how_long(key: str) -> None:
    control, hands = busy_control(), Hands()
    async with watched(control, hands, size=(80, 24)) as (app, pilot):
        await pilot.press(key)
        lose(control)
        await pulled(app, pilot)
        hands.at += 23.4
        await pulled(app, pilot)
        title, *others = text_of(app).splitlines()
        assert "STALE 23s" in title
        assert any("Stale since 00:00:00: No gateway at ssh://ada@build" in line for line in others)
        assert app.screen.has_class("-stale")
        control.use(at=NOW + 23.4, stale_since=None, notices=())
        await pulled(app, pilot)
        assert "STALE" not in text_of(app)
        assert "Connected again after 23s." in text_of(app)
        assert not app.screen.has_class("-stale")


async def test_ages_stand_still_while_nothing_is_known_and_are_right_again_afterwards() -> None:
    control, hands = FakeControl(), Hands()
    control.use(row_of("search", since_at=NOW - 3600))
    async with watched(control, hands) as (app, pilot):
        await pilot.press("2")
        await pulled(app, pilot)
        assert app._picture().now == NOW
        hands.at += 30
        assert app._picture().now == NOW + 30
        lose(control, after_s=30)
        await pulled(app, pilot)
        hands.at += 100
        # Another reason, told later: neither the age starts anew nor do the rows go on.
        control.use(at=NOW + 130, wall=WALL + 130, notices=(Notice("error", "Otherwise. Trying again."),))
        await pulled(app, pilot)
        seen = app._picture()
        assert (seen.now, seen.pace.stale_s) == (NOW + 30, 100)
        # The gateway was restarted on a machine whose clock stands elsewhere.
        control.use(at=5.0, started_at=1.0, stale_since=None, notices=())
        await pulled(app, pilot)
        assert (app._picture().now, app._picture().pace.stale_s) == (5.0, None)
        assert "It was restarted meanwhile." in text_of(app)


async def test_it_is_said_once_that_it_is_back() -> None:
    control, hands = busy_control(), Hands()
    async with watched(control, hands) as (app, pilot):
        lose(control)
        await pulled(app, pilot)
        for at in (NOW + 1, NOW + 2, NOW + 3):
            control.use(at=at, stale_since=None, notices=())
            await pulled(app, pilot)
        assert [note.message for note in app._notifications] == ["Connected again after 0s."]


async def test_nothing_is_drawn_into_the_history_that_nobody_saw() -> None:
    control, hands = busy_control(), Hands()
    async with watched(control, hands) as (app, pilot):
        lose(control)
        seen = list(app.history.series("calls_per_s"))
        for _ in range(5):
            hands.at += 2
            await pulled(app, pilot)
        assert list(app.history.series("calls_per_s")) == seen


async def test_a_verb_meanwhile_is_answered_with_a_sentence() -> None:
    control, hands = busy_control(), Hands()
    control.refusal = GatewayUnreachable("No gateway at ssh://ada@build: nothing answers there.")
    async with watched(control, hands) as (app, pilot):
        lose(control)
        await pulled(app, pilot)
        await pilot.press("p")
        await pilot.pause()
        assert [note.message for note in app._notifications] == [str(control.refusal)]
