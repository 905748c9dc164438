"""How tests name their calls, so that one can be found in whatever passes."""

import re

_KEY = re.compile(rb"call-[a-z0-9-]+-\d+\.")
LONGEST = 80


def key_of(server: str, number: int) -> str:
    """The dot ends it, so that a part of one is not taken for another."""
    return f"call-{server}-{number}."


def number_of(key: str) -> int:
    return int(key.removesuffix(".").rpartition("-")[2])


def keys_in(data: bytes) -> set[str]:
    return {key.decode() for key in _KEY.findall(data)}
