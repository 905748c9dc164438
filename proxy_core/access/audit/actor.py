"""Who steers the gateway right now, for whoever writes down what was done.

Carried by the context, because a verb goes through many hands on its way and none but the last must know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

SCREEN: Final = "screen"
"""The person at the gateway's own terminal."""
FILE: Final = "file"
"""Nobody: the configuration file has changed."""
SIGNAL: Final = "signal"
_acting: ContextVar[str] = ContextVar("acting", default=SCREEN)


def actor() -> str:
    """`screen`, `owner` on the admin socket, a principal on the port, `file` or `signal`."""
    return _acting.get()


@contextmanager
def acting_as(who: str) -> Iterator[None]:
    """For what is done inside the block, and the tasks that it starts."""
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)
