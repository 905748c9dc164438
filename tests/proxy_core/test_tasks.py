import asyncio
import logging

import pytest

from proxy_core.tasks import Tasks
from tests.support.scripted_channel import until


async def forever() -> None:
    await asyncio.Event().wait()


async def test_closing_ends_what_runs_and_waits_for_it():
    tasks, ended = Tasks("box"), []

    async def work() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    started = [tasks.start(work(), "work") for _ in range(3)]
    await asyncio.sleep(0)
    await tasks.aclose()
    assert (len(ended), len(tasks)) == (3, 0)
    assert all(task.cancelled() for task in started)
    await tasks.aclose()


async def test_a_task_has_its_owners_name_and_its_result():
    tasks = Tasks("box")

    async def answer() -> int:
        return 3

    task = tasks.start(answer(), "answer")
    assert task.get_name() == "box:answer"
    assert await task == 3
    await until(lambda: len(tasks) == 0)


async def test_a_failure_is_logged_and_costs_no_sibling(caplog: pytest.LogCaptureFixture):
    tasks = Tasks("box")
    sibling = tasks.start(forever(), "sibling")

    async def fail() -> None:
        raise ValueError("why")

    with caplog.at_level(logging.ERROR, "proxy_core.tasks"):
        logging.getLogger("proxy_core").propagate = True
        tasks.start(fail(), "work")
        await until(lambda: len(tasks) == 1)
    assert "box:work failed" in caplog.text
    assert "ValueError: why" in caplog.text
    assert not sibling.done()
    await tasks.aclose()


async def test_a_task_that_is_started_while_closing_is_ended_too():
    tasks = Tasks("box")
    late: list[asyncio.Task[None]] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            late.append(tasks.start(forever(), "late"))

    tasks.start(work(), "work")
    await asyncio.sleep(0)
    await tasks.aclose()
    assert late[0].cancelled()


async def test_a_task_may_close_its_own_owner():
    tasks = Tasks("box")
    other = tasks.start(forever(), "other")

    async def close() -> str:
        await tasks.aclose()
        return "closed"

    assert await tasks.start(close(), "close") == "closed"
    assert other.cancelled()
