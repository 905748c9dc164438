import asyncio

from proxy_core.context.slices import in_slices


async def turns_while(count: int, hold_s: float) -> int:
    """How often somebody else had a turn while `count` items were worked on."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    assert [item async for item in in_slices(range(count), hold_s)] == list(range(count))
    task.cancel()
    return turns


async def test_everyone_else_has_a_turn_when_the_loop_was_held_for_long_enough():
    assert await turns_while(10, 0.0) == 10


async def test_short_work_gives_no_turn_away():
    assert await turns_while(10, 60.0) == 0


async def test_of_nothing_there_is_nothing():
    assert [item async for item in in_slices(())] == []
