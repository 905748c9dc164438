"""What is different in a tool, line by line: its texts by sentences, its schemas as indented JSON.

What hides in a text is shown as �, so that a change of nothing but that is seen too.
"""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from only1mcp_tui.view.json_text import parsed
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, safe, wrap
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff, ToolText

LINES_SHOWN: Final = 1000
"""Of each side of one part; what is beyond is counted."""
LINE_LIMIT: Final = 4000
CONTEXT: Final = 2
NAME_LIMIT: Final = 80
PARTS: Final = ("title", "description", "input_schema", "output_schema", "annotations")
_JSON: Final = PARTS[2:]
_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+")
_ITEM_END: Final = re.compile(r"(?<=[,{\[])")
ROLES: Final = {"+": "good", "-": "bad", " ": "muted", "…": "muted", "#": "head", "!": "warn"}


@dataclass(frozen=True, slots=True)
class DiffLine:
    mark: str
    """`+` and `-`, a space for what is the same, `…` for what is left out, `#` a title, `!` a remark."""
    text: str
    """Fit for a terminal."""


def diff_of(diff: ToolDiff) -> Iterator[DiffLine]:
    """May take a while for large schemas; touches nothing else."""
    if diff.change.what == "changed" and diff.before is None:
        yield DiffLine("!", "What was approved before was not kept; this is all that it says now.")
    if diff.names:
        named = ", ".join(safe(name, NAME_LIMIT) for name in diff.names)
        yield DiffLine("!", f"It names tools of other servers: {named}.")
    before = diff.before or ToolText()
    found = False
    for part in PARTS:
        old, new = getattr(before, part), getattr(diff.now, part)
        if old != new:
            found = True
            yield DiffLine("#", part.replace("_", " ").upper())
            yield from _part(_lines(part, old), _lines(part, new))
    if not found:
        yield DiffLine("!", "They differ beyond what is kept of them: further on than 32,768 characters.")


def _part(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    same = True
    for line in _unified(old[:LINES_SHOWN], new[:LINES_SHOWN]):
        same = False
        yield line
    if same:
        yield DiffLine("!", "The difference is in white space, or beyond what is shown.")
    if (more := max(len(old), len(new)) - LINES_SHOWN) > 0:
        yield DiffLine("!", f"{plural(more, 'more line')} not shown.")


def _unified(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    lines = difflib.unified_diff(old, new, n=CONTEXT, lineterm="")
    for number, line in enumerate(lines):
        if number < 2:
            # The names of two files, which there are not.
            continue
        if line.startswith("@@"):
            if number > 2:
                yield DiffLine("…", "")
            continue
        yield DiffLine(line[0], safe(line[1:], LINE_LIMIT))


def _lines(part: str, text: str) -> list[str]:
    if not text:
        return []
    if part not in _JSON:
        return [piece for line in text.splitlines() for piece in _SENTENCE_END.split(line)]
    value = parsed(text)
    if value is None:
        return _ITEM_END.sub("\n", text).splitlines()
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


# --- words --------------------------------------------------------------------------------------------------


def what_words(change: ToolChange) -> str:
    """What happened to it, as the end of a sentence about it."""
    if change.what == "new":
        return "is new"
    return f"changed: {', '.join(safe(part, 40) for part in change.parts) or 'its definition'}"


def stands_words(change: ToolChange) -> str:
    """How clients stand to it."""
    if change.is_withheld:
        return "Clients do without it until you approve it."
    return "Clients have it as it is now (on_change: warn)."


def whose_words(change: ToolChange) -> str:
    """Whose list says so; empty for everybody's."""
    if not change.principals:
        return ""
    named = ", ".join(safe(name, 40) for name in change.principals[:3])
    more = len(change.principals) - 3
    return f"In the list of {named}{f' and {more} more' if more > 0 else ''} alone."


def approved_words(server: str, tools: Sequence[str]) -> str:
    named = ", ".join(safe(tool, NAME_LIMIT) for tool in tools[:3])
    more = f" and {len(tools) - 3} more" if len(tools) > 3 else ""
    return f"{safe(server, 40)}: {named}{more} approved."


def diff_lines(lines: Sequence[DiffLine], width: int) -> list[Line]:
    """As lines of at most `width` cells."""
    drawn: list[Line] = []
    for each in lines:
        role = ROLES[each.mark]
        if each.mark == "#":
            drawn += [*([()] if drawn else []), ((f" {each.text}", role),)]
        elif each.mark == "!":
            drawn += [((f" ! {piece}", role),) for piece in _wrapped(each.text, width - 4)]
        else:
            for number, piece in enumerate(_wrapped(each.text, width - 4)):
                drawn.append(((f" {each.mark if number == 0 else ' '} {piece}", role),))
    return drawn


def _wrapped(text: str, width: int) -> list[str]:
    """Broken at spaces; what goes on stands under what it begins with."""
    indent = text[: len(text) - len(text.lstrip())]
    if len(indent) > width // 2:
        indent = ""
    return [indent + piece for piece in wrap(text, max(1, width - len(indent)))] or [""]
