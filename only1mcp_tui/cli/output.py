"""What the command prints: results on stdout, everything else on stderr, nothing that steers a terminal.

Names, descriptions and results come from servers. On a terminal their control characters are made visible;
into a file or a pipe results go as they are.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click


def visible(text: str) -> str:
    """`text` with every control and formatting character but line end and tab replaced."""
    return "".join(char if char in "\n\t" or char.isprintable() else "�" for char in text)


def one_line(text: str, limit: int = 100) -> str:
    """The first line of `text`, safe to print, cut to `limit` characters."""
    line = visible(text.strip().partition("\n")[0]).replace("\t", " ")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def say(text: str) -> None:
    """A result, to stdout."""
    if sys.stdout.isatty():
        text = visible(text)
    # A server's text may hold half a surrogate pair, which no encoding can carry.
    click.echo(text.encode("utf-8", "replace").decode())


def say_json(value: Any) -> None:
    """A result as JSON, to stdout; on a terminal everything beyond ASCII is escaped."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def say_line(value: Any) -> None:
    """One result of many as a line of JSON, to stdout."""
    click.echo(json.dumps(value, ensure_ascii=True))


def note(text: str) -> None:
    """What a person should know beside the result, to stderr."""
    click.echo(visible(text), err=True)


def complain(text: str) -> None:
    """What went wrong, to stderr."""
    click.echo(f"only1mcp: {visible(text)}", err=True)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns padded to their widest cell, the last one not."""
    cells = [tuple(headings), *(tuple(one_line(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in padded)
