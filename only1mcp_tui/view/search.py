"""Words looked for in lines that are shown: which lines have them, and where they are to be seen."""

from collections.abc import Iterator, Sequence

from only1mcp_tui.view.text import Line, Span, plain


def lines_with(lines: Sequence[Line], words: str) -> list[int]:
    """The numbers of the lines that have `words`; case does not matter."""
    sought = words.strip().lower()
    return [number for number, line in enumerate(lines) if sought in plain(line).lower()] if sought else []


def highlighted(line: Line, words: str) -> Line:
    """`line` with every place of `words` set off; one that goes over the end of a span is left as it is."""
    sought = words.strip().lower()
    if not sought or not any(sought in span[0].lower() for span in line):
        return line
    return tuple(part for span in line for part in _parts(span, sought))


def _parts(span: Span, sought: str) -> Iterator[Span]:
    text, role, *action = span
    low, at = text.lower(), 0
    if len(low) != len(text):
        # Some letters have a longer lower case: their places would be wrong.
        yield span
        return
    while (found := low.find(sought, at)) >= 0:
        if found > at:
            yield (text[at:found], role, action[0]) if action else (text[at:found], role)
        at = found + len(sought)
        yield text[found:at], "badge"
    if at < len(text):
        yield (text[at:], role, action[0]) if action else (text[at:], role)
