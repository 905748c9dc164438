"""Counts tokens for the gateways of tests that do not look at the figures.

The vocabulary of the real one takes the processor as long as the start of a whole gateway does.
"""

from collections.abc import Sequence

BYTES_A_TOKEN = 4


def batch_count(texts: Sequence[str], encoding: str, *, threads: int) -> list[int]:
    return [len(text.encode()) // BYTES_A_TOKEN for text in texts]
