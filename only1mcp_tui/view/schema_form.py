"""From a tool's JSON Schema to the fields of a form, and from what was typed into them to arguments. Pure.

Schemas are a server's, so hostile: bounded in size and depth here, and no pattern of theirs is ever run. What a
form cannot say is left to raw JSON.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, cast

from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import safe

MAX_FIELDS: Final = 60
MAX_CHOICES: Final = 200
MAX_DEPTH: Final = 64
"""Of arguments: deeper ones are refused before they are sent."""
MAX_DIGITS: Final = 400
_INT_LIMIT: Final = 1 << 63
_COMPOSED: Final = ("$ref", "oneOf", "anyOf", "allOf", "not", "if", "patternProperties", "dependentSchemas")
"""Keywords that a form cannot follow."""


class FieldKind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    LIST = "list"
    """As JSON."""
    OBJECT = "object"
    """As JSON."""
    JSON = "json"
    """Anything, as JSON."""


_KINDS: Final = {
    "string": FieldKind.TEXT,
    "integer": FieldKind.INTEGER,
    "number": FieldKind.NUMBER,
    "boolean": FieldKind.BOOLEAN,
    "array": FieldKind.LIST,
    "object": FieldKind.OBJECT,
}
Path: TypeAlias = tuple[str, ...]
Arguments: TypeAlias = dict[str, Any]
Faults: TypeAlias = dict[Path, str]


@dataclass(frozen=True, slots=True)
class Field:
    """One argument, or a member of one that is an object."""

    path: Path
    kind: FieldKind
    is_required: bool = False
    """Of a member: if its object is given at all."""
    is_parent_required: bool = True
    hint: str = ""
    """Its description, as the server wrote it."""
    preset: str = ""
    """What stands in it at first: its default."""
    choices: tuple[str, ...] = ()
    """JSON of each."""
    least: float | None = None
    most: float | None = None
    shortest: int | None = None
    longest: int | None = None

    @property
    def label(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a form: arguments, or a sentence for each field that is wrong."""

    arguments: Arguments
    faults: Faults


def fields_of(schema: object) -> tuple[Field, ...] | None:
    """The fields of a form for these arguments; None if it takes raw JSON to say them."""
    if not isinstance(schema, dict) or any(key in schema for key in _COMPOSED):
        return None
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(properties) > MAX_FIELDS:
        return None
    fields = tuple(_fields((), schema, True))
    return fields if len(fields) <= MAX_FIELDS else None


def _fields(parent: Path, schema: Mapping[str, Any], is_needed: bool) -> Iterator[Field]:
    properties, listed = schema["properties"], schema.get("required")
    required = set(filter(_is_text, listed)) if isinstance(listed, list) else set()
    # What is required comes first, each group in the schema's own order.
    for name in sorted(properties, key=lambda name: name not in required):
        path, inner = (*parent, str(name)), _without_null(properties[name])
        if not parent and _is_flat(inner):
            yield from _fields(path, cast(Mapping[str, Any], inner), name in required)
        else:
            yield _field(path, inner, name in required, is_needed)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flat(schema: object) -> bool:
    """Whether it is an object whose members may stand in the form themselves."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "default" in schema:
        return False
    properties = schema.get("properties")
    is_plain = isinstance(properties, dict) and 0 < len(properties) <= MAX_FIELDS
    return is_plain and not any(key in schema for key in _COMPOSED)


def _without_null(schema: object) -> object:
    """`X or null` as X: who gives null may as well leave it out."""
    if not isinstance(schema, dict):
        return schema
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list) and len(options) == 2 and {"type": "null"} in options:
            (other,) = [each for each in options if each != {"type": "null"}] or [None]
            if isinstance(other, dict):
                return {**{name: value for name, value in schema.items() if name != key}, **other}
    kinds = schema.get("type")
    if isinstance(kinds, list) and len(kinds) == 2 and "null" in kinds:
        return {**schema, "type": next((kind for kind in kinds if kind != "null"), "null")}
    return schema


def _field(path: Path, schema: object, is_required: bool, is_parent_required: bool) -> Field:
    if not isinstance(schema, dict):
        return Field(path, FieldKind.JSON, is_required, is_parent_required)
    kind, choices = _kind_of(schema)
    hint = schema.get("description") or schema.get("title")
    return Field(
        path,
        kind,
        is_required,
        is_parent_required,
        hint=hint if isinstance(hint, str) else "",
        # Else the default of one member would ask for an object that may be left out.
        preset=_preset(schema, kind) if is_parent_required else "",
        choices=choices,
        least=_number(schema.get("minimum")),
        most=_number(schema.get("maximum")),
        shortest=_size(schema.get("minLength")),
        longest=_size(schema.get("maxLength")),
    )


def _kind_of(schema: Mapping[str, Any]) -> tuple[FieldKind, tuple[str, ...]]:
    if any(key in schema for key in _COMPOSED):
        return FieldKind.JSON, ()
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and 0 < len(values) <= MAX_CHOICES:
        choices = tuple(dict.fromkeys(_json(value) for value in values))
        return (FieldKind.CHOICE, choices) if all(choices) else (FieldKind.JSON, ())
    kind = schema.get("type")
    return _KINDS.get(kind, FieldKind.JSON) if isinstance(kind, str) else FieldKind.JSON, ()


def _preset(schema: Mapping[str, Any], kind: FieldKind) -> str:
    default = schema.get("default")
    if default is None:
        return ""
    if kind is FieldKind.TEXT:
        # What a line of text cannot hold, or no terminal should be sent, is left to the server.
        is_line = isinstance(default, str) and safe(default, len(default) + 1) == default
        return default if is_line else ""
    return _json(default)


def _json(value: object) -> str:
    """Empty if it cannot be written."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        is_harmless = safe(text, len(text) + 1) == text
        return text if is_harmless else json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return ""


def choice_words(choice: str) -> str:
    """A choice as a person reads it: a string without its quotes."""
    value = json.loads(choice)
    return value if isinstance(value, str) else choice


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else None  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if number is None or math.isfinite(number) else None


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# --- from what was typed to arguments -------------------------------------------------------------------------


def read(fields: tuple[Field, ...], texts: Mapping[Path, str]) -> Read:
    """The arguments that `texts`, one for each field, say. What is left empty is left out."""
    arguments: Arguments = {}
    faults: Faults = {}
    given = {field.path[:-1] for field in fields if texts.get(field.path, "").strip()}
    for field in fields:
        text = texts.get(field.path, "")
        is_needed = field.is_required and (field.is_parent_required or field.path[:-1] in given)
        if not text.strip() and (field.kind is not FieldKind.TEXT or not text):
            if is_needed:
                faults[field.path] = "It is required."
            continue
        try:
            _put(arguments, field.path, _value(field, text))
        except ValueError as error:
            faults[field.path] = str(error)
    for field in fields:
        # An object that is required is given, even if nothing is in it.
        if len(field.path) > 1 and field.is_parent_required:
            arguments.setdefault(field.path[0], {})
    return Read(arguments, faults)


def read_json(text: str) -> Read:
    """The same of arguments that were typed as JSON."""
    try:
        value = _parsed(text if text.strip() else "{}")
        if not isinstance(value, dict):
            raise ValueError("Arguments are a JSON object: {...}.")
    except ValueError as error:
        return Read({}, {(): str(error)})
    return Read(value, {})


def texts_of(fields: tuple[Field, ...], arguments: Arguments) -> dict[Path, str] | None:
    """What to type into the fields to say `arguments`; None if they cannot say it."""
    texts: dict[Path, str] = {}
    for field in fields:
        value: Any = arguments
        for name in field.path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            is_text = field.kind is FieldKind.TEXT and isinstance(value, str)
            texts[field.path] = value if is_text else _json(value)
    said = read(fields, texts)
    return texts if not said.faults and said.arguments == arguments else None


def _put(arguments: Arguments, path: Path, value: object) -> None:
    for name in path[:-1]:
        arguments = arguments.setdefault(name, {})
    arguments[path[-1]] = value


def _value(field: Field, text: str) -> object:
    """Raises: ValueError with a sentence."""
    match field.kind:
        case FieldKind.TEXT:
            return _text(field, text)
        case FieldKind.INTEGER:
            return _in_range(field, _integer(text.strip()))
        case FieldKind.NUMBER:
            return _in_range(field, _float(text.strip()))
        case FieldKind.BOOLEAN:
            if text.strip() not in ("true", "false"):
                raise ValueError("It must be true or false.")
            return text.strip() == "true"
        case FieldKind.CHOICE:
            if text not in field.choices:
                raise ValueError("It must be one of those listed.")
            return _parsed(text)
        case _:
            return _shaped(field, _parsed(text))


def _text(field: Field, text: str) -> str:
    if field.shortest is not None and len(text) < field.shortest:
        raise ValueError(f"It must have at least {plural(field.shortest, 'character')}.")
    if field.longest is not None and len(text) > field.longest:
        raise ValueError(f"It must have at most {plural(field.longest, 'character')}.")
    _refuse_unsendable(text)
    return text


def _integer(text: str) -> int:
    try:
        number = int(text) if len(text) <= MAX_DIGITS else None
    except ValueError:
        raise ValueError("It must be a whole number.") from None
    if number is None or abs(number) >= _INT_LIMIT:
        raise ValueError("The number is too large.")
    return number


def _float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("It must be a number.") from None
    if not math.isfinite(number):
        raise ValueError("It must be a finite number.")
    return int(number) if number.is_integer() and abs(number) < 2**53 and "." not in text else number


def _in_range(field: Field, number: float) -> float:
    if field.least is not None and number < field.least:
        raise ValueError(f"It must be at least {field.least:g}.")
    if field.most is not None and number > field.most:
        raise ValueError(f"It must be at most {field.most:g}.")
    return number


def _shaped(field: Field, value: object) -> object:
    if field.kind is FieldKind.LIST and not isinstance(value, list):
        raise ValueError("It must be a JSON list: [...].")
    if field.kind is FieldKind.OBJECT and not isinstance(value, dict):
        raise ValueError("It must be a JSON object: {...}.")
    return value


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"It is not valid JSON ({where}: {error.msg}).") from None
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    _refuse_unsendable(value)
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"JSON has no {name}.")


def _refuse_unsendable(value: object, depth: int = 0) -> None:
    """Raises: ValueError for what JSON can hold and a gateway cannot send."""
    if depth > MAX_DEPTH:
        raise ValueError("It is nested too deeply.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("It holds half a character, a lone surrogate.") from None
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("A number is too large.")
    elif isinstance(value, int) and abs(value) >= _INT_LIMIT:
        raise ValueError("A number is too large.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unsendable(key, depth + 1)
            _refuse_unsendable(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unsendable(inner, depth + 1)
