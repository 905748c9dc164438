"""Log lines: which are shown, how they look, in full and in a file."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.cells import chop_cells

from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.numbers import clock_time
from only1mcp_tui.view.states import LEVEL_ROLES
from only1mcp_tui.view.text import Line, fit, safe
from proxy_core.telemetry.snapshot import LogLine

FILTER_KEYS = frozenset({"level", "src"})
LEVELS = ("debug", "info", "warning", "error")
TEXT_LIMIT = 2000
WHOLE_LIMIT = 8000
"""Of one line in full: more than a line ever has."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines are shown. All three must hold."""

    filter: Filter = field(default_factory=Filter)
    level: str = LEVELS[0]
    """This one and what is worse."""
    source: str = ""
    """This one alone; empty: all."""


EVERYTHING = Choice()


def passing(choice: Choice) -> Callable[[LogLine], bool]:
    """The question whether a line is shown, made quick: it is asked of every line that comes.

    `level:warning` also finds what is worse. A bare word is sought in all that a line says.
    """
    levels = frozenset(LEVELS[LEVELS.index(choice.level) :]) if choice.level != LEVELS[0] else None
    terms = choice.filter.terms
    ranks = [(_reaching(term.text), term.negated) for term in terms if term.key == "level"]
    sources = [(term.text, term.negated) for term in terms if term.key == "src"]
    words = [(term.text, term.negated) for term in terms if not term.key]

    def passes(line: LogLine) -> bool:
        if levels is not None and line.level not in levels:
            return False
        if choice.source and line.source != choice.source:
            return False
        for reaching, negated in ranks:
            if (line.level in reaching) is negated:
                return False
        for word, negated in sources:
            if (word in line.source.lower()) is negated:
                return False
        if words:
            text = line.text.lower()
            for word, negated in words:
                if (word in text or _says(line, word)) is negated:
                    return False
        return True

    return passes


def _reaching(text: str) -> frozenset[str]:
    """The levels that answer to `level:text`: a line answers to lesser levels too."""
    reached = {level: " ".join(LEVELS[: rank + 1]) for rank, level in enumerate(LEVELS)}
    return frozenset(level for level, names in reached.items() if text in names)


def _says(line: LogLine, word: str) -> bool:
    """Whether a line has the word beside its text. A word has no spaces, so each part can be asked alone."""
    if word in line.level or word in line.source.lower():
        return True
    return any(word in f"{key}={value}".lower() for key, value in line.fields)


# --- how a line looks ---------------------------------------------------------------------------------------


def log_spans(line: LogLine) -> Line:
    extra = " ".join(f"{key}={value}" for key, value in line.fields)
    role = LEVEL_ROLES.get(line.level, "info")
    return (
        (f" {clock_time(line.wall)} ", "muted"),
        (fit(safe(line.level, 7), 8), role),
        (fit(safe(line.source, 40), 14) + " ", "accent"),
        (safe(line.text, TEXT_LIMIT), "bad" if role == "bad" else "text"),
        (f"  {safe(extra)}" if extra else "", "muted"),
    )


def whole_lines(line: LogLine, width: int) -> list[Line]:
    """One line in full: who and when, each field, and its text folded to `width`."""
    named = (("time", _instant(line.wall)), ("level", line.level), ("source", line.source), *line.fields)
    lines: list[Line] = []
    for key, value in named:
        first, *rest = chop_cells(safe(value, WHOLE_LIMIT), max(1, width - 10)) or [""]
        role = LEVEL_ROLES.get(line.level, "info") if key == "level" else "text"
        lines.append(((f"{fit(safe(key, 40), 9)} ", "muted"), (first, role)))
        lines += [((" " * 10, "muted"), (part, role)) for part in rest]
    return [*lines, (), *(((part, "text"),) for part in chop_cells(safe(line.text, WHOLE_LIMIT), width))]


def log_text(line: LogLine) -> str:
    """As it stands in a file that was exported, and on the clipboard."""
    fields = "".join(f" {key}={value}" for key, value in line.fields)
    return safe(f"{_instant(line.wall)} {line.level:<7} {line.source} {line.text}{fields}", WHOLE_LIMIT)


def _instant(wall: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall)) + f".{int(wall % 1 * 1000):03}Z"
