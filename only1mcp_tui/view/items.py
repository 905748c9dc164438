"""The tools, resources and prompts of one server: rows of a table, and one of them in full."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from only1mcp_tui.view.json_lines import json_lines
from only1mcp_tui.view.json_text import parsed
from only1mcp_tui.view.numbers import ABSENT, count
from only1mcp_tui.view.schema_lines import schema_lines
from only1mcp_tui.view.text import Line, Span, fit, safe, safe_lines, wrap
from only1mcp_tui.view.tool_diff import what_words
from proxy_core.telemetry.context_bill import ToolCost
from proxy_core.telemetry.snapshot import NamedItem, ServerDetail
from proxy_core.telemetry.tool_changes import ToolChange
from proxy_core.telemetry.tool_detail import ToolDetail

DESCRIPTION_LIMIT: Final = 2000
DESCRIPTION_LINES: Final = 60
LABEL: Final = 13
NAME_LIMIT: Final = 200
Costs = Mapping[str, ToolCost]
"""By exposed name."""


@dataclass(frozen=True, slots=True)
class ItemColumn:
    key: str
    title: str
    width: int
    right: bool = False
    shown_from: int = 0
    flexible: bool = False


_NAME: Final = ItemColumn("name", "NAME", 16, flexible=True)
COLUMNS: Final[Mapping[str, Sequence[ItemColumn]]] = {
    "tool": (_NAME, ItemColumn("does", "DOES", 8), ItemColumn("tokens", "TOKENS", 6, right=True)),
    "resource": (ItemColumn("name", "URI", 16, flexible=True), ItemColumn("title", "TITLE", 18, shown_from=56)),
    "prompt": (_NAME, ItemColumn("takes", "TAKES", 24, shown_from=50)),
}
"""By the first kind of a tab."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What wants an eye, by the server's own names of its tools."""

    changes: Mapping[str, ToolChange] = field(default_factory=dict)
    naming: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def is_withheld(self, item: NamedItem) -> bool:
        change = self.changes.get(item.origin)
        return item.kind == "tool" and change is not None and change.is_withheld

    def has_changed(self, item: NamedItem) -> bool:
        return item.kind == "tool" and item.origin in self.changes

    def sign(self, item: NamedItem) -> str:
        """What stands before its name."""
        if item.kind != "tool":
            return ""
        if (change := self.changes.get(item.origin)) is not None:
            return "+ " if change.what == "new" else "≠ "
        return "! " if item.origin in self.naming else ""

    def words(self, item: NamedItem) -> Iterator[Line]:
        """The same as sentences."""
        if item.kind != "tool":
            return
        if (change := self.changes.get(item.origin)) is not None:
            held = "withheld, " if change.is_withheld else ""
            yield ((f" {self.sign(item)}{held}{what_words(change)}", "warn"),)
        if named := self.naming.get(item.origin):
            yield ((f" ! names tools of other servers: {safe(', '.join(named), NAME_LIMIT)}", "warn"),)


def marks_of(detail: ServerDetail) -> Marks:
    return Marks({each.tool: each for each in detail.tool_changes}, dict(detail.naming))


def tools_of(detail: ServerDetail) -> tuple[NamedItem, ...]:
    """The tools that are withheld, under the server's own names, and everything that clients see of it."""
    seen = {item.origin for item in detail.items if item.kind == "tool"}
    held = (each.tool for each in detail.tool_changes if each.is_withheld and each.tool not in seen)
    return (*(NamedItem("tool", tool, tool, detail.row.id) for tool in held), *detail.items)


def key_of(item: NamedItem) -> str:
    return f"{item.kind} {item.name}"


def passes(item: NamedItem, words: str) -> bool:
    """Whether every word is found in its name or description; case does not matter."""
    text = f"{item.name} {item.title} {item.description}".lower()
    return all(word in text for word in words.lower().split())


def cells(
    item: NamedItem,
    costs: Costs,
    destructive: frozenset[str],
    columns: Sequence[str],
    marks: Marks | None = None,
) -> tuple[Span, ...]:
    """One for each of `columns`, which the width allows."""
    marks = marks or Marks()
    return tuple(_cell(item, column, costs, destructive, marks) for column in columns)


def _cell(item: NamedItem, column: str, costs: Costs, destructive: frozenset[str], marks: Marks) -> Span:
    match column:
        case "does" if marks.is_withheld(item):
            return "withheld", "bad"
        case "does":
            return does(item.read_only, item.name in destructive)
        case "tokens":
            cost = costs.get(item.name)
            return (count(cost.full.visible), "text") if cost else (ABSENT, "muted")
        case "title":
            return safe(item.title, 60) or ABSENT, "muted"
        case "takes":
            return safe(_takes(item), 60) or ABSENT, "info"
    sign = marks.sign(item)
    return f"{sign}{safe(item.name, NAME_LIMIT)}", "warn" if sign else "text"


def does(is_read_only: bool, is_destructive: bool | None) -> Span:
    """What a tool says of itself, in a word: hints of its server, no promise."""
    if is_read_only:
        return "reads", "good"
    return ("destroys", "warn") if is_destructive else ("writes", "muted")


def _takes(item: NamedItem) -> str:
    return " ".join(f"{name}{'' if required else '?'}" for name, required in item.arguments[:40])


def about_lines(item: NamedItem, width: int, most: int = 3, marks: Marks | None = None) -> list[Line]:
    """What wants an eye at the one under the cursor, what it takes and says it does, in a few lines."""
    takes = safe(_takes(item), 200)
    lines: list[Line] = list((marks or Marks()).words(item))
    lines += [((f" {takes}", "info"),)] if takes else []
    for text in safe_lines(item.description, DESCRIPTION_LIMIT, most=most):
        lines += [((f" {part}", "muted"),) for part in wrap(text, max(10, width - 2))]
    return lines[:most]


# --- one in full ----------------------------------------------------------------------------------------------


def item_lines(item: NamedItem, width: int) -> list[Line]:
    """A resource, template or prompt, of which no more is known than its list says."""
    lines = [_labelled("name", (safe(item.name, NAME_LIMIT), "text")), *_origin(item.name, item.origin)]
    lines += [_labelled("kind", (safe(item.kind, 20), "muted"))]
    lines += [_labelled("title", (safe(item.title, NAME_LIMIT), "text"))] if item.title else []
    lines += [(), *_description(item.description, width)]
    if item.kind == "prompt":
        lines += [(), ((" ARGUMENTS", "head"),)]
        lines += [
            ((f"   {safe(name, 60)}", "accent"), ("  required" if required else "", "warn"))
            for name, required in item.arguments[:100]
        ] or [(("   none", "muted"),)]
    return lines


def tool_lines(tool: ToolDetail, width: int) -> list[Line]:
    """Everything that is known of a tool."""
    lines = [_labelled("name", (safe(tool.name, NAME_LIMIT), "text")), *_origin(tool.name, tool.origin)]
    lines += [_labelled("title", (safe(tool.title, NAME_LIMIT), "text"))] if tool.title else []
    lines += [_labelled("it says it", does(tool.read_only, tool.destructive)), *_tokens(tool.cost)]
    lines += [(), *_description(tool.description, width)]
    lines += [(), ((" ARGUMENTS", "head"),), *schema_lines(parsed(tool.input_schema), width)]
    if tool.output_schema:
        lines += [(), ((" ANSWERS", "head"),), *schema_lines(parsed(tool.output_schema), width)]
    for title, text in (
        ("ANNOTATIONS", tool.annotations),
        ("INPUT SCHEMA", tool.input_schema),
        ("OUTPUT SCHEMA", tool.output_schema),
    ):
        if text:
            lines += [(), ((f" {title}", "head"), (" as the server sent it", "muted")), *_raw(text, width)]
    return lines


def _raw(text: str, width: int) -> Iterable[Line]:
    return (((" ", "text"), *line) for line in json_lines(text, width - 2))


def _origin(name: str, origin: str) -> Iterator[Line]:
    if origin != name:
        yield _labelled("own name", (safe(origin, NAME_LIMIT), "muted"))


def _tokens(cost: ToolCost | None) -> Iterator[Line]:
    if cost is None:
        yield _labelled("tokens", ("not counted yet", "muted"))
        return
    yield _labelled(
        "tokens",
        (f"{count(cost.full.wire)} on the wire", "text"),
        (f"  {count(cost.full.visible)} before the model", "text"),
        (f"  {count(cost.compact.visible)} compact", "muted"),
    )


def _description(text: str, width: int) -> Iterator[Line]:
    if not text:
        yield ((" It does not say what it does.", "muted"),)
    for line in safe_lines(text, DESCRIPTION_LIMIT, most=DESCRIPTION_LINES):
        for part in wrap(line, max(10, width - 2)) or [""]:
            yield ((f" {part}", "text"),)


def _labelled(label: str, *spans: Span) -> Line:
    return (fit(f" {label}", LABEL + 1), "muted"), *spans
