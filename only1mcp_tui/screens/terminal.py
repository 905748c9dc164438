"""The terminal itself, as file descriptors: what to do when it goes away while the gateway lives on."""

import os
import signal
import sys
from types import FrameType


def terminal() -> tuple[int, ...]:
    """The file descriptors that are the terminal; asked early, for one that is gone says it never was."""
    streams = (sys.__stdout__, sys.__stderr__)
    return tuple(stream.fileno() for stream in streams if stream is not None and stream.isatty())


def continue_only_on(descriptors: tuple[int, ...]) -> None:
    """Keep Textual from entering a terminal that is gone: a hang-up sends SIGHUP and then SIGCONT."""
    enter_again = signal.getsignal(signal.SIGCONT)
    if not descriptors or not callable(enter_again):
        return

    def on_continue(number: int, frame: FrameType | None) -> None:
        if os.isatty(descriptors[0]):
            enter_again(number, frame)

    signal.signal(signal.SIGCONT, on_continue)


def let_go_of(descriptors: tuple[int, ...]) -> None:
    """The terminal is gone: send what is still painted nowhere.

    Textual's writer thread would die of the first failed write, its queue would fill, and the next paint would
    block the loop for good, with the core's drain on it.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
