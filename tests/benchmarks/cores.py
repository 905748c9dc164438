"""Which processor core runs what: the measured on one, what feeds it on another, where that can be told."""

import os
from typing import Final

import psutil

_CAN_PIN: Final = hasattr(os, "sched_setaffinity")


def pin(pid: int, index: int) -> bool:
    """Keep a process and all that it started on the core of that index among ours; whether that was done."""
    cores = _CORES[index : index + 1]
    if len(_CORES) < 2 or not cores:
        return False
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        # Linux pins threads; those that start later inherit it.
        for thread in each.threads():
            os.sched_setaffinity(thread.id, cores)
    return True


_CORES: Final[list[int]] = sorted(os.sched_getaffinity(0)) if _CAN_PIN else []
