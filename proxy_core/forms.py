"""Forms that servers have people fill in: a flat schema as fields, and whether what was filled in fits. Pure.

Both the gateway, which sends an answer on, and the screens, which have it typed, go by this.
Spec: 2026-07-28 client/elicitation, "Requested Schema"; 2025-06-18 for `enumNames`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from math import isfinite
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from proxy_core.errors import InvalidParams

MAX_FIELDS: Final = 32
MAX_CHOICES: Final = 256
MAX_TEXT: Final = 65_536
"""Characters of one value."""
MAX_SHOWN: Final = 400
"""Characters of a field's title or description that are kept."""

Kind: TypeAlias = Literal["string", "number", "integer", "boolean", "choice", "choices"]
FormValue: TypeAlias = str | int | float | bool | list[str]
_KINDS: Final[dict[object, Kind]] = {
    "string": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)*")
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|api.?key|private.?key|credential|\bpin\b|cvv|cvc|card.?number|\botp\b", re.I
)


class FormField(Struct, frozen=True):
    """One thing that is asked for."""

    name: str
    kind: Kind
    title: str = ""
    description: str = ""
    is_required: bool = False
    default: FormValue | None = None
    format: str = ""
    """email, uri, date or date-time; of a string."""
    least: float | None = None
    """The least value of a number, length of a string, or count of choices."""
    most: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    """Value and title of each."""

    @property
    def label(self) -> str:
        return self.title or self.name

    @property
    def looks_secret(self) -> bool:
        """Whether it seems to ask for what servers must not use forms for (client/elicitation, "Security")."""
        return _SECRET.search(f"{self.name} {self.title} {self.description}".replace("_", " ")) is not None


# --- reading a schema ---------------------------------------------------------------------------------------


def read(schema: str | bytes) -> tuple[FormField, ...]:
    """The fields, in the order of the schema. Raises: InvalidParams, for one that is no flat form."""
    try:
        found = json.loads(schema)
    except (ValueError, RecursionError):
        raise InvalidParams("The form's schema is no JSON.") from None
    properties = found.get("properties") if isinstance(found, dict) else None
    if not isinstance(properties, dict):
        raise InvalidParams("The form's schema has no properties.")
    if len(properties) > MAX_FIELDS:
        raise InvalidParams(f"The form asks for more than {MAX_FIELDS} things.")
    required = found.get("required")
    wanted = required if isinstance(required, list) else []
    return tuple(_field(name, raw, name in wanted) for name, raw in properties.items())


def _field(name: str, raw: object, is_required: bool) -> FormField:
    if not isinstance(raw, dict):
        raise _strange(name)
    kind, choices = _kind(name, raw)
    least, most = _bounds(raw, kind)
    format = _text(raw.get("format")) if kind == "string" else ""
    field = FormField(
        name,
        kind,
        _text(raw.get("title")),
        _text(raw.get("description")),
        is_required,
        None,
        format,
        least,
        most,
        choices,
    )
    return _with_default(field, raw.get("default"))


def _kind(name: str, raw: dict[str, Any]) -> tuple[Kind, tuple[tuple[str, str], ...]]:
    if raw.get("type") == "array":
        items = raw.get("items")
        choices = _choices(name, items, "anyOf") if isinstance(items, dict) else ()
        if not choices:
            raise _strange(name)
        return "choices", choices
    if raw.get("type") == "string" and (choices := _choices(name, raw, "oneOf")):
        return "choice", choices
    kind = _KINDS.get(raw.get("type")) if isinstance(raw.get("type"), str) else None
    if kind is None:
        raise _strange(name)
    return kind, ()


def _choices(name: str, raw: dict[str, Any], titled: str) -> tuple[tuple[str, str], ...]:
    options, values, names = raw.get(titled) or raw.get("oneOf"), raw.get("enum"), raw.get("enumNames")
    pairs: list[tuple[object, object]] = []
    if isinstance(options, list):
        pairs = [(each.get("const"), each.get("title")) for each in options if isinstance(each, dict)]
    elif isinstance(values, list):
        titles = names if isinstance(names, list) and len(names) == len(values) else values
        pairs = list(zip(values, titles, strict=True))
    if len(pairs) > MAX_CHOICES or not all(isinstance(value, str) for value, _ in pairs):
        raise _strange(name)
    return tuple((str(value), _text(title) or str(value)) for value, title in pairs)


def _bounds(raw: dict[str, Any], kind: Kind) -> tuple[float | None, float | None]:
    names = {"string": ("minLength", "maxLength"), "choices": ("minItems", "maxItems")}
    least, most = names.get(kind, ("minimum", "maximum"))
    return _number(raw.get(least)), _number(raw.get(most))


def _with_default(field: FormField, default: object) -> FormField:
    """A default that does not fit is left out: nobody is made to send it."""
    if default is None:
        return field
    try:
        value = checked_value(field, default)
    except InvalidParams:
        return field
    return FormField(
        field.name,
        field.kind,
        field.title,
        field.description,
        field.is_required,
        value,
        field.format,
        field.least,
        field.most,
        field.choices,
    )


def _text(value: object) -> str:
    return value[:MAX_SHOWN] if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and -1e300 < value < 1e300 else None  # type: ignore[operator, return-value]


def _strange(name: str) -> InvalidParams:
    return InvalidParams(f"The form asks for {name[:80]!r} in a way that forms do not have.")


# --- what was filled in -------------------------------------------------------------------------------------


def checked(fields: Sequence[FormField], content: Mapping[str, object]) -> dict[str, FormValue]:
    """The content as it may be sent. Raises: InvalidParams, saying which field and what it takes."""
    known = {field.name: field for field in fields}
    for name in content:
        if name not in known:
            names = ", ".join(known) or "nothing"
            raise InvalidParams(f"The form does not ask for {name[:80]!r}; it asks for {names[:400]}.")
    values: dict[str, FormValue] = {}
    for field in fields:
        if field.name in content:
            values[field.name] = checked_value(field, content[field.name])
        elif field.is_required:
            raise InvalidParams(f"{_named(field)} must be filled in.")
    return values


def checked_value(field: FormField, value: object) -> FormValue:
    """Raises: InvalidParams."""
    match field.kind:
        case "string":
            return _checked_text(field, value)
        case "number" | "integer":
            return _checked_number(field, value)
        case "boolean":
            if not isinstance(value, bool):
                raise InvalidParams(f"{_named(field)} must be true or false.")
            return value
        case "choice":
            return _checked_choice(field, value)
        case "choices":
            return _checked_choices(field, value)


def _checked_text(field: FormField, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise InvalidParams(f"{_named(field)} must be a text.")
    _check_bounds(field, len(value), "characters")
    if field.format and not _FORMATS.get(field.format, lambda text: True)(value):
        raise InvalidParams(f"{_named(field)} must be {FORMAT_WORDS[field.format]}.")
    return value


def _checked_number(field: FormField, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InvalidParams(f"{_named(field)} must be a number.")
    if field.kind == "integer":
        if value != int(value):
            raise InvalidParams(f"{_named(field)} must be a whole number.")
        value = int(value)
    _check_bounds(field, value, "")
    return value


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _checked_choice(field: FormField, value: object) -> str:
    values = [each for each, _ in field.choices]
    if not isinstance(value, str) or value not in values:
        raise InvalidParams(f"{_named(field)} must be one of {', '.join(values)[:400]}.")
    return value


def _checked_choices(field: FormField, value: object) -> list[str]:
    values = [each for each, _ in field.choices]
    if not isinstance(value, list | tuple) or not all(each in values for each in value):
        raise InvalidParams(f"{_named(field)} must be some of {', '.join(values)[:400]}.")
    chosen = list(dict.fromkeys(value))
    _check_bounds(field, len(chosen), "choices")
    return chosen


def _check_bounds(field: FormField, value: float, of: str) -> None:
    unit = f" {of}" if of else ""
    if field.least is not None and value < field.least:
        raise InvalidParams(f"{_named(field)} must be at least {field.least:g}{unit}.")
    if field.most is not None and value > field.most:
        raise InvalidParams(f"{_named(field)} must be at most {field.most:g}{unit}.")


def _named(field: FormField) -> str:
    return f"{field.name[:80]!r}"


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) and " " not in text
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    try:
        return "T" in text.upper() and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


_FORMATS: Final = {
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "uri": _is_uri,
    "date": _is_date,
    "date-time": _is_moment,
}
FORMAT_WORDS: Final = {
    "email": "an e-mail address",
    "uri": "a URI, as https://example.com",
    "date": "a date, as 2026-01-31",
    "date-time": "a date and time, as 2026-01-31T14:00:00Z",
}
"""What a format looks like, for a person."""


# --- from text ----------------------------------------------------------------------------------------------


def parsed(field: FormField, text: str) -> FormValue:
    """What somebody typed, as the field's kind: for the command line and input lines. Raises: InvalidParams."""
    value: object = text
    match field.kind:
        case "number" | "integer":
            value = _parsed_number(field, text)
        case "boolean":
            value = {"true": True, "yes": True, "false": False, "no": False}.get(text.strip().lower())
        case "choices":
            value = [each.strip() for each in text.split(",") if each.strip()]
        case _:
            pass
    return checked_value(field, value)


def _parsed_number(field: FormField, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise InvalidParams(f"{_named(field)} must be a number.") from None
