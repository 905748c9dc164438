"""The rows of a gateway with many servers: made in slices, none of them of the past."""

import pytest

from proxy_core.backends.rows import GOOD_S, SLICE
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.facts import RequestFinished, VerbUsed
from proxy_core.proxy import Proxy
from tests.support.clock import FakeClock

MANY = 3 * SLICE


class House:
    """A gateway that was not started: its servers stand still."""

    def __init__(self, servers: int = MANY) -> None:
        self.clock = FakeClock()
        transport = {"type": "http", "url": "http://127.0.0.1:9/mcp"}
        listed = [{"id": f"s{n}", "transport": transport, "enabled": False} for n in range(servers)]
        loaded = LoadedConfig(Config.model_validate({"servers": listed}))
        self.proxy = Proxy(loaded, clock=self.clock)
        self.proxy._registry.apply(loaded.config.servers, {}, 0)
        self.made: list[str] = []
        make = self.proxy._rows._make

        def counting(backend, now):  # type: ignore[no-untyped-def]
            self.made.append(backend.id)
            return make(backend, now)

        self.proxy._rows._make = counting
        self.clock.advance(2)

    def call(self, *servers: str) -> None:
        for server in servers:
            self.proxy._publish(
                RequestFinished(
                    *(
                        self.clock.monotonic(),
                        "me",
                        "anon",
                        "modern",
                        "2026-07-28",
                        "tools/call",
                        server,
                        "echo",
                    ),
                    *(4.0, None, False, 300),
                )
            )

    def prepare(self) -> int:
        """How many slices were made."""
        slices = 0
        while self.proxy.prepare():
            slices += 1
        return slices


def test_the_rows_of_many_servers_are_made_in_slices() -> None:
    house = House()
    assert house.proxy.prepare() and len(house.made) == SLICE
    assert house.prepare() == 1
    assert len(house.proxy.snapshot().servers) == MANY
    assert sorted(house.made) == sorted({f"s{n}" for n in range(MANY)})


@pytest.mark.parametrize("slices", [0, 1, 2])
def test_a_picture_made_in_slices_is_that_made_at_once(slices: int) -> None:
    house, other = House(), House()
    for each in (house, other):
        each.call("s1", f"s{MANY - 1}")
    for _ in range(slices):
        house.proxy.prepare()
    assert house.proxy.snapshot().servers == other.proxy.snapshot().servers


def test_few_servers_are_not_prepared() -> None:
    house = House(SLICE)
    assert not house.proxy.prepare()
    assert house.made == []


def test_a_call_that_ends_between_the_slices_is_in_the_picture() -> None:
    house = House()
    house.prepare()
    house.call("s3")
    house.made.clear()
    row = next(row for row in house.proxy.snapshot().servers if row.id == "s3")
    assert row.calls == 1
    assert len(house.made) == MANY - 2 * SLICE + 1


def test_what_happened_between_the_slices_makes_all_rows_anew() -> None:
    house = House()
    house.prepare()
    house.made.clear()
    house.proxy._publish(VerbUsed(house.clock.monotonic(), "s3", "probe", "no answer"))
    house.proxy.snapshot()
    assert len(house.made) == MANY


def test_rows_that_were_made_too_long_ago_are_made_anew() -> None:
    house = House()
    house.prepare()
    house.made.clear()
    house.clock.advance(GOOD_S)
    house.proxy.snapshot()
    assert len(house.made) == MANY


def test_while_nothing_happens_nothing_is_prepared() -> None:
    house = House()
    house.prepare()
    house.proxy.snapshot()
    house.made.clear()
    assert not house.proxy.prepare()
    assert house.made == []


def test_a_row_that_says_the_same_stays_the_same_object() -> None:
    house = House(3)
    before = house.proxy.snapshot().servers
    house.call("s1")
    after = house.proxy.snapshot().servers
    assert [now is then for now, then in zip(after, before, strict=True)] == [True, False, True]
