import asyncio
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from proxy_core.turns import in_turns
from tests.support.other_work import beside


@given(st.lists(st.integers(0, 99)), st.integers(1, 9))
async def test_everything_is_done_once_and_in_order_and_only_some_at_a_time(items: list[int], size: int):
    done: list[int] = []
    async with beside(done) as runs:
        await in_turns(items, size, done.append)
    assert done == items
    assert runs() == [size] * (len(items) // size) + [len(items) % size] * (len(items) % size > 0)


async def test_an_item_is_asked_for_right_before_its_turn():
    left = [3, 2, 1]

    def rest() -> Iterator[int]:
        while left:
            yield left[-1]

    await in_turns(rest(), 2, left.remove)
    assert left == []


async def test_who_is_cancelled_does_no_more():
    done: list[int] = []
    working = asyncio.ensure_future(in_turns(range(9), 2, done.append))
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait([working])
    assert done == [0, 1]
