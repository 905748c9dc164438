"""The terminal itself, as file descriptors: what to do when it goes away while the gateway lives on."""

import os
import signal
import sys
from types import FrameType
from typing import Final

_FOCUS_LOST: Final = b"\x1b[O"
"""As a terminal says it."""


def terminal() -> tuple[int, ...]:
    """The file descriptors that are the terminal; asked early, for one that is gone says it never was."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return tuple(stream.fileno() for stream in streams if stream is not None and stream.isatty())


def is_gone(descriptors: tuple[int, ...]) -> bool:
    """Whether what was the terminal is none any more.

    SIGHUP does not tell everybody: it goes to the first process of the session, and whoever that is may keep it
    to himself.
    """
    return bool(descriptors) and not os.isatty(descriptors[0])


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
    """The terminal is gone: send what is still written nowhere, and read from where nothing ever comes.

    Textual's reader thread would ask what is gone again and again, at the price of the calls that may finish.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # Its other end stays open, as long as the process.
    silent, other = os.pipe()
    # The reader may have been told of the hang-up already, and reads now: here is one thing to be read.
    os.write(other, _FOCUS_LOST)
    for descriptor in descriptors:
        os.dup2(silent if descriptor == 0 else nowhere, descriptor)
    os.close(nowhere)
    os.close(silent)
