"""Read JSON with the line of every key; comments and trailing commas are allowed, duplicate keys are not.

Python's own reader tells lines only for syntax errors. Scalars are still read by it, so their rules are its.
"""

import json
import re
from bisect import bisect_right
from typing import Any, NoReturn

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)


class JsonFault(ValueError):
    """Where and why the text is not JSON."""

    def __init__(self, message: str, line: int, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.line, self.path = message, line, path


def read(text: str, max_depth: int) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """The value, and the 1-based line of each key and item by its path. Raises: JsonFault."""
    return _Reader(text, max_depth).document()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Reader:
    def __init__(self, text: str, max_depth: int) -> None:
        self._text = text
        self._max_depth = max_depth
        self._pos = 0
        self._breaks = [at.start() for at in re.finditer("\n", text)]
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._scalar = json.JSONDecoder(parse_constant=_no_constant).raw_decode

    def document(self) -> tuple[Any, dict[tuple[str | int, ...], int]]:
        value = self._value(())
        if self._peek():
            raise self._fault("text after the end of the value")
        return value, self._lines

    def _line(self) -> int:
        return bisect_right(self._breaks, self._pos - 1) + 1

    def _fault(self, message: str, path: tuple[str | int, ...] = ()) -> JsonFault:
        return JsonFault(message, self._line(), path)

    def _peek(self) -> str:
        """The next character that is neither space nor comment; empty at the end."""
        space = _SPACE.match(self._text, self._pos)
        assert space is not None  # the pattern matches nothing at all too
        self._pos = space.end()
        return self._text[self._pos : self._pos + 1]

    def _value(self, path: tuple[str | int, ...]) -> Any:
        first = self._peek()
        self._lines.setdefault(path, self._line())
        if len(path) > self._max_depth:
            raise self._fault("nested too deeply")
        if first == "{":
            return self._object(path)
        if first == "[":
            return self._array(path)
        return self._plain("a value")

    def _plain(self, wanted: str) -> Any:
        if not self._peek():
            raise self._fault(f"{wanted} is missing at the end of the text")
        try:
            value, self._pos = self._scalar(self._text, self._pos)
        except json.JSONDecodeError as error:
            found = self._text[self._pos : self._pos + 1]
            if found == '"':
                self._pos = error.pos
                raise self._fault("a bad or unfinished string") from error
            raise self._fault(f"{wanted} is expected, found {found!r}") from error
        except ValueError as error:
            is_word = self._text[self._pos].isalpha()  # NaN, Infinity
            raise self._fault(f"{wanted} is expected" if is_word else "a number out of range") from error
        return value

    def _object(self, path: tuple[str | int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self._pos += 1
        while self._peek() != "}":
            if self._text[self._pos : self._pos + 1] != '"':
                raise self._fault("a key in double quotes, or }, is expected")
            line = self._line()
            key_path = (*path, key := str(self._plain("a key")))
            if key in result:
                raise self._fault(f"duplicate key, already on line {self._lines[key_path]}", key_path)
            if self._peek() != ":":
                raise self._fault(": is expected after a key")
            self._pos += 1
            self._lines[key_path] = line
            result[key] = self._value(key_path)
            self._comma("}")
        self._pos += 1
        return result

    def _array(self, path: tuple[str | int, ...]) -> list[Any]:
        result: list[Any] = []
        self._pos += 1
        while self._peek() != "]":
            result.append(self._value((*path, len(result))))
            self._comma("]")
        self._pos += 1
        return result

    def _comma(self, end: str) -> None:
        found = self._peek()
        if found == ",":
            self._pos += 1
        elif found != end:
            raise self._fault(f"a comma or {end} is expected")
