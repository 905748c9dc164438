from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from proxy_core.access.meters import SLOT_S, Allowance, DayMeter, Meter, Scope

DAY_S = 86_400.0


def test_a_day_has_its_limit_and_is_let_go_of_an_hour_at_a_time():
    day = DayMeter()
    assert (day.used(0.0), day.wait_s(10, 0.0)) == (0, 0.0)
    day.add(6, 10.0)
    day.add(1, 20.0)
    assert day.wait_s(8, 30.0) == 0.0
    day.add(4, SLOT_S)
    assert day.used(SLOT_S) == 11
    # What the first hour brought is over one hour after a day: not even the last of it counts by then.
    assert day.wait_s(8, SLOT_S) == DAY_S
    assert day.wait_s(4, SLOT_S) == DAY_S + SLOT_S
    assert day.used(DAY_S + SLOT_S - 1) == 11
    assert day.used(DAY_S + SLOT_S) == 4
    assert day.used(DAY_S + 2 * SLOT_S) == 0


@given(
    st.lists(st.tuples(st.floats(0, 50_000), st.integers(1, 1000)), max_size=60),
    st.integers(1, 5000),
)
def test_in_no_24_hours_more_than_the_limit_and_the_one_that_reaches_it(
    asked: list[tuple[float, int]], limit: int
):
    day, now, served = DayMeter(), 0.0, list[tuple[float, int]]()
    for pause_s, tokens in asked:
        now += pause_s
        if (wait_s := day.wait_s(limit, now)) == 0.0:
            day.add(tokens, now)
            served.append((now, tokens))
        else:
            # When it says, it can be had, if nobody else takes it.
            assert deepcopy(day).wait_s(limit, now + wait_s) == 0.0
            assert wait_s <= DAY_S + SLOT_S
    for last, (at, _) in enumerate(served):
        before = [tokens for then, tokens in served[:last] if then > at - DAY_S]
        assert sum(before) < limit


def test_a_rate_that_stays_keeps_its_bucket_and_any_other_begins_full():
    meter = Meter(Scope.SERVER, "box", Allowance(2, 2))
    meter.full_at, meter.held = 11.0, 1
    meter.use(Allowance(2, 2, concurrent=5))
    assert (meter.full_at, meter.held, meter.most) == (11.0, 1, 5)
    assert not meter.is_idle(12.0)
    meter.use(Allowance(4, 2))
    assert (meter.wait_s(10.0), meter.held) == (0.0, 1)
    meter.held = 0
    assert meter.is_idle(10.0)
