"""Ours to promise: what asyncio.Event promises, for less."""

import asyncio

from proxy_core.signals import Signal


async def test_all_who_wait_are_woken_and_nobody_waits_while_it_is_set():
    signal, woken = Signal(), []

    async def wait(name: str) -> None:
        await signal.wait()
        woken.append(name)

    waiting = [asyncio.create_task(wait(name)) for name in "ab"]
    await asyncio.sleep(0)
    assert not signal.is_set() and woken == []
    signal.set()
    await asyncio.gather(*waiting)
    assert signal.is_set() and woken == ["a", "b"]
    await asyncio.wait_for(wait("c"), 1)
    assert woken == ["a", "b", "c"]


async def test_who_was_woken_goes_on_though_it_is_cleared_in_the_same_turn():
    signal = Signal()
    waiting = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    signal.set()
    signal.clear()
    await asyncio.wait_for(waiting, 1)
    later = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    assert not later.done()
    signal.set()
    await asyncio.wait_for(later, 1)


async def test_one_who_gives_up_takes_nothing_from_the_others():
    signal = Signal()
    one, other = (asyncio.create_task(signal.wait()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait({one})
    signal.set()
    await asyncio.wait_for(other, 1)
    assert one.cancelled()


async def test_one_cancelled_in_the_turn_in_which_it_is_woken_ends_cancelled():
    signal = Signal()
    one = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    one.cancel()
    signal.set()
    await asyncio.wait({one})
    assert one.cancelled()


async def test_it_keeps_nothing_of_those_who_have_gone():
    signal = Signal()
    one = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    signal.set()
    await one
    assert signal._waiting is None
