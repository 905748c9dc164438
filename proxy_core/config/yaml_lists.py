"""A YAML text with items added to or removed from one of its lists, and every other byte as it was. Pure.

Works by lines, at the places where the parser saw the items, so that comments, blank lines and quoting stay.
Knows block style alone; whoever calls reads the result back, for a style that was misjudged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Keys: TypeAlias = Sequence[str]
"""Where the list stands: a key at the top, or a section and a key in it."""
_STEP = 2
"""Columns by which we indent what is new."""


class NotPlain(Exception):
    """The list, or what is around it, is written in a way that cannot be edited by lines."""


@dataclass(frozen=True, slots=True)
class _Item:
    """Where one item stands: 0-based lines, the end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _List:
    key: str
    key_line: int
    column: int
    """Of the dashes."""
    items: tuple[_Item, ...]
    value: tuple[int, int] | None
    """Character range of an empty value that stands on the key's line, as `[]` or `null`."""


def with_items(text: str, keys: Keys, items: Sequence[dict[str, Any]]) -> str:
    """`text` with `items` at the end of the list, which is made if it is missing. Raises: NotPlain."""
    newline = "\r\n" if "\r\n" in text else "\n"
    for depth in range(1, len(keys) + 1):
        text = _with_key(text, keys[:depth], newline)
    place = _list_at(text, keys)
    if place.value is not None:
        text = _without_range(text, place.value)
    lines = text.splitlines(keepends=True)
    at = place.items[-1].end if place.items else place.key_line + 1
    _insert(lines, at, _items_text(items, place.column), newline)
    return "".join(lines)


def without_item(text: str, keys: Keys, at: int) -> str:
    """`text` without the item `at` of the list and the comment right above it. Raises: NotPlain."""
    place = _list_at(text, keys)
    if not place.items:
        raise NotPlain
    lines = text.splitlines(keepends=True)
    item = place.items[at]
    start = item.start
    # A comment right above an item speaks of it; one above the first may speak of the whole list.
    while at > 0 and start - 1 >= place.items[at - 1].end and _is_comment(lines[start - 1], place.column):
        start -= 1
    if len(place.items) == 1:
        key_line = lines[place.key_line]
        lines[place.key_line] = key_line.replace(f"{place.key}:", f"{place.key}: []", 1)
    del lines[start : item.end]
    return "".join(lines)


def _with_key(text: str, keys: Keys, newline: str) -> str:
    """`text` in which the last of `keys` stands, without a value if it is new; those before it are there."""
    *around, key = keys
    parent = _value_at(text, around)
    if parent is not None and not (isinstance(parent, MappingNode) or _is_empty(parent)):
        raise NotPlain
    if _pair(parent, key) is not None:
        return text
    if isinstance(parent, MappingNode) and parent.value and parent.flow_style:
        raise NotPlain
    if not around:
        at, column = len(text.splitlines()), 0
    elif isinstance(parent, MappingNode) and parent.value:
        at, column = _last_line(parent) + 1, parent.value[0][0].start_mark.column
    else:
        above = _key_of(text, around)
        at, column = above.start_mark.line + 1, above.start_mark.column + _STEP
        text = text if parent is None else _without_range(text, _span(parent))
    lines = text.splitlines(keepends=True)
    _insert(lines, at, [f"{' ' * column}{key}:"], newline)
    return "".join(lines)


def _list_at(text: str, keys: Keys) -> _List:
    key, value = _key_of(text, keys), _value_at(text, keys)
    key_line = key.start_mark.line
    if isinstance(value, SequenceNode) and value.value and not value.flow_style:
        column = value.start_mark.column
        items = tuple(_items(value, column, text.splitlines()))
        return _List(keys[-1], key_line, column, items, None)
    if value is None or not _is_empty(value):
        raise NotPlain
    return _List(keys[-1], key_line, key.start_mark.column + _STEP, (), _span(value))


def _items(sequence: SequenceNode, column: int, lines: list[str]) -> Iterable[_Item]:
    for node in sequence.value:
        start = node.start_mark.line
        # The dash may stand alone above its item.
        while start > 0 and lines[start][column : column + 1] != "-":
            start -= 1
        yield _Item(start, _last_line(node) + 1)


def _items_text(items: Sequence[dict[str, Any]], column: int) -> list[str]:
    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=_STEP, sequence=4, offset=_STEP)
    lines: list[str] = []
    for item in items:
        out = StringIO()
        writer.dump(item, out)
        body = out.getvalue().splitlines()
        lines += [f"{' ' * column}- {body[0]}", *(f"{' ' * column}  {line}" for line in body[1:])]
    return lines


# --- nodes and lines ----------------------------------------------------------------------------------------


def _value_at(text: str, keys: Keys) -> Node | None:
    node: Node | None = YAML(typ="safe", pure=True).compose(text)
    for key in keys:
        pair = _pair(node, key)
        node = pair[1] if pair is not None else None
    return node


def _key_of(text: str, keys: Keys) -> Node:
    pair = _pair(_value_at(text, keys[:-1]), keys[-1])
    if pair is None:
        raise NotPlain
    return pair[0]


def _pair(node: Node | None, key: str) -> tuple[Node, Node] | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((pair for pair in pairs if pair[0].value == key), None)


def _is_empty(node: Node) -> bool:
    """Nothing, `null`, `[]` or `{}`; what a scalar says otherwise was refused when the file was checked."""
    return isinstance(node, ScalarNode) or not node.value


def _span(node: Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _last_line(node: Node) -> int:
    """The last line with a token of `node`; the end mark of a block lies where the next token begins."""
    if isinstance(node, MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _without_range(text: str, span: tuple[int, int]) -> str:
    start, end = span
    # Where there is nothing to take out, the spaces before it may part a comment from what it follows.
    return text if start == end else text[:start].rstrip(" ") + text[end:]


def _insert(lines: list[str], at: int, new: Iterable[str], newline: str) -> None:
    if at == len(lines) and lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    lines[at:at] = [line + newline for line in new]


def _is_comment(line: str, column: int) -> bool:
    return line[:column].strip() == "" and line[column : column + 1] == "#"
