"""Which processor core runs what: the measured on one, what feeds it on another, where that can be told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

MEASURED: Final = 0
FEEDING: Final = 1
"""Which of our cores: whoever is measured has the first; its backend and the load share the second."""
_CORES: Final[list[int]] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
_CAN_PIN: Final = len(_CORES) > 1


def where() -> str:
    """What a reader of figures has to know."""
    if not _CAN_PIN:
        return "No process was kept on a core of its own here."
    first, second = _CORES[MEASURED], _CORES[FEEDING]
    return f"What is measured was kept on core {first}, its backend and the load on core {second}."


def pin(pid: int, index: int) -> None:
    """Keep a process and all that it started on one of our cores, if the system can be told so."""
    if not _CAN_PIN:
        return
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        # Linux pins threads; those that start later inherit it.
        for thread in each.threads():
            os.sched_setaffinity(thread.id, _CORES[index : index + 1])


@contextmanager
def feeding() -> Iterator[None]:
    """This process, which is the load, is on the core of the load meanwhile."""
    if not _CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _CORES[FEEDING : FEEDING + 1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
