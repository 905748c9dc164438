"""Arguments that travel as headers too: the `x-mcp-header` annotations of a tool's schema. Pure.

Follows no `$ref` and never takes data in a schema (`default`, `enum`, ...) for a part of it.
Spec: 2026-07-28 basic/transports/streamable-http, "Custom Headers from Tool Parameters".
"""

import re
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from msgspec import Raw

from proxy_core.errors import HeaderMismatch, Only1Error, ParseError
from proxy_core.protocol import jsonrpc, subschemas
from proxy_core.protocol.headers import MCP_PARAM, Headers, decode_value, encode_value
from proxy_core.protocol.subschemas import Where

ANNOTATION: Final = "x-mcp-header"
MAX_DEPTH: Final = 32
"""Schemas within schemas."""
MAX_SUBSCHEMAS: Final = 2000

_PREFIX: Final = "Mcp-Param-"
_TYPES: Final = ("string", "integer", "boolean")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INTEGER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MAX_NUMBER: Final = 64
"""Characters of a number that is not written as an integer."""


class InvalidAnnotation(Only1Error):
    """An `x-mcp-header` that no client may follow; over HTTP the whole tool is left out."""


class HeaderParam(NamedTuple):
    """One annotated property."""

    header: str
    """What follows `Mcp-Param-`, as the schema writes it."""
    path: tuple[str, ...]
    """Property names from the root of the arguments."""
    type: str
    """string, integer or boolean"""


# --- annotations --------------------------------------------------------------------------------------------


def is_annotated(input_schema: dict[str, Any]) -> bool:
    """Whether there may be an annotation: one pass in C over what nearly always holds none."""
    return b'"x-mcp-header"' in jsonrpc.encode(input_schema)


def annotations(input_schema: dict[str, Any]) -> tuple[HeaderParam, ...]:
    """The annotated properties of a tool's schema. Raises: InvalidAnnotation."""
    params = tuple(_param(where, schema) for where, schema in _annotated(input_schema))
    if repeated := _repeated(params):
        raise InvalidAnnotation(f"Two of its properties have the {ANNOTATION} {min(repeated)!r}.")
    return params


def without_invalid(input_schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the annotations that are not valid; the very same object if all are.

    Of two that share a header, neither is kept. Raises: InvalidAnnotation for a schema beyond all bounds.
    """
    valid: list[tuple[Where, HeaderParam]] = []
    invalid: list[Where] = []
    for where, schema in _annotated(input_schema):
        try:
            valid.append((where, _param(where, schema)))
        except InvalidAnnotation:
            invalid.append(where)
    repeated = _repeated(tuple(param for _, param in valid))
    invalid += [where for where, param in valid if param.header.lower() in repeated]
    for where in invalid:
        input_schema = _without_annotation(input_schema, where)
    return input_schema


def _param(where: Where, schema: dict[str, Any]) -> HeaderParam:
    header, path, kind = schema[ANNOTATION], _property_path(where), schema.get("type")
    if not path:
        raise InvalidAnnotation(f"An {ANNOTATION} stands where no property is, or none that is always there.")
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise InvalidAnnotation(f"The {ANNOTATION} of {path[-1][:64]!r} is not the name of a header.")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise InvalidAnnotation(
            f"The {ANNOTATION} of {path[-1][:64]!r} is on a type other than {', '.join(_TYPES)}."
        )
    return HeaderParam(header, path, kind)


def _property_path(where: Where) -> tuple[str, ...] | None:
    """The property names, if `where` goes through `properties` alone."""
    if len(where) % 2 or any(keyword != "properties" for keyword in where[::2]):
        return None
    return tuple(str(name) for name in where[1::2])


def _repeated(params: tuple[HeaderParam, ...]) -> set[str]:
    """Headers of more than one property; case makes no difference."""
    names = [param.header.lower() for param in params]
    return {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()


def _annotated(root: dict[str, Any]) -> Iterator[tuple[Where, dict[str, Any]]]:
    """The schemas with an annotation. Raises: InvalidAnnotation if there are too many schemas to look at."""
    waiting: deque[tuple[Where, int, Any]] = deque([((), 0, root)])
    count = 0
    while waiting:
        where, depth, schema = waiting.popleft()
        if not isinstance(schema, dict):
            continue
        count += 1
        if depth > MAX_DEPTH or count > MAX_SUBSCHEMAS:
            raise InvalidAnnotation(f"Its schema is too large to look for {ANNOTATION}.")
        if ANNOTATION in schema:
            yield where, schema
        waiting.extend(((*where, *step), depth + 1, inner) for step, inner in subschemas.within(schema))


def _without_annotation(node: Any, where: Where) -> Any:
    """A copy without the annotation at `where`; whatever lies beside the way there is shared."""
    if not where:
        return {key: value for key, value in node.items() if key != ANNOTATION}
    copy = node.copy()
    copy[where[0]] = _without_annotation(node[where[0]], where[1:])
    return copy


# --- values -------------------------------------------------------------------------------------------------


def headers_for(params: tuple[HeaderParam, ...], arguments: Raw) -> Headers:
    """The lines that go with a call: names as `Mcp-Param-X`, values encoded; absent and null send none.

    A value of another type than its schema's is sent as what it is, and integers are never rounded:
    the server judges arguments, not we.
    """
    values = _Arguments(arguments)
    texts = ((param, values.text(param.path)) for param in params)
    return [(_PREFIX + param.header, encode_value(text)) for param, text in texts if text is not None]


def check(params: tuple[HeaderParam, ...], arguments: Raw, headers: Headers) -> None:
    """Whether a client's headers say what its arguments say. Raises: HeaderMismatch.

    Headers that no property has are none of ours and mean nothing.
    """
    values = _Arguments(arguments)
    for param in params:
        name = MCP_PARAM + param.header.lower()
        _check_one(param, values, [value for key, value in headers if key == name])


def _check_one(param: HeaderParam, values: "_Arguments", lines: list[str]) -> None:
    name, argument = _PREFIX + param.header, ".".join(param.path)[:128]
    text = values.text(param.path)
    if len(lines) > 1:
        raise HeaderMismatch(f"The header {name} is repeated.")
    if text is None:
        if lines:
            raise HeaderMismatch(f"The header {name} is there, but not the argument {argument!r}.")
        return
    if not lines:
        raise HeaderMismatch(f"The header {name} is missing, but the argument {argument!r} is there.")
    said = decode_value(lines[0])
    is_number = param.type == "integer" and values.is_number(param.path)
    if said != text and not (is_number and _are_equal_numbers(said, text)):
        raise HeaderMismatch(f"The header {name} is not what the argument {argument!r} says.")


def _are_equal_numbers(said: str, text: str) -> bool:
    # 42.0 is 42; other spellings of numbers are read differently by different readers.
    return _DECIMAL.fullmatch(said) is not None and Decimal(said) == Decimal(text)


class _Arguments:
    """Values by their path. No object is taken apart twice, and none that no path goes through."""

    def __init__(self, arguments: Raw) -> None:
        self._objects: dict[tuple[str, ...], dict[str, Raw]] = {(): _members(arguments)}

    def text(self, path: tuple[str, ...]) -> str | None:
        """What a header says of it; None: it is absent, null, or nothing that a header can say."""
        raw = bytes(self._value(path))
        if raw[:1] == b'"':
            return str(jsonrpc.decode(raw))
        if raw in (b"true", b"false"):
            return raw.decode()
        return _plain_decimal(raw.decode()) if self.is_number(path) else None

    def is_number(self, path: tuple[str, ...]) -> bool:
        return bytes(self._value(path)[:1]) in _NUMBER_STARTS

    def _value(self, path: tuple[str, ...]) -> memoryview:
        return memoryview(self._object(path[:-1]).get(path[-1], jsonrpc.NO_JSON))

    def _object(self, path: tuple[str, ...]) -> dict[str, Raw]:
        if path not in self._objects:
            self._objects[path] = _members(Raw(self._value(path)))
        return self._objects[path]


_NUMBER_STARTS: Final = frozenset(b"%d" % digit for digit in range(10)) | {b"-"}


def _members(raw: Raw) -> dict[str, Raw]:
    try:
        return jsonrpc.members(raw)
    except ParseError:
        return {}


def _plain_decimal(number: str) -> str | None:
    """The number without an exponent, as JavaScript and Python write it too; None where they do not."""
    if _INTEGER.fullmatch(number):
        return "0" if number == "-0" else number
    if len(number) > _MAX_NUMBER:
        return None
    text = repr(float(number)).removesuffix(".0")
    return text if _DECIMAL.fullmatch(text) else None
