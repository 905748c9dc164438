"""Values that a JSON Schema takes, and values that it nearly takes: to see whether two mean the same."""

import copy
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for
from referencing import Registry

MAX_DEPTH: Final = 8
WORDS: Final = (
    "",
    "a",
    "open",
    "2026-01-31",
    "2026-01-31T10:00:00Z",
    "https://a.example/b",
    "a@b.example",
    "x" * 70,
)
NUMBERS: Final = (0, 1, -1, 2, 7, 100, 1.5, -0.5, 10**6, 2**53, 2**53 + 1, -(2**53) - 1, 1e300)
ODDITIES: Final = (None, True, False, 0, "", "odd", 3.25, [], {}, [None], {"odd": 1}, ["odd", 1])


def verdict(schema: Any, value: Any) -> str:
    """What JSON Schema says of `value`: valid, invalid, or the kind of error that the schema itself makes.

    The dialect is that of `$schema`, or 2020-12. Nothing is ever fetched.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER).validate(value)
        except ValidationError:
            return "invalid"
        except Exception as error:
            return type(error).__name__
    return "valid"


def instances(schema: Any, random: Random, count: int) -> Iterator[Any]:
    """`count` values: half are made to fit, half are spoilt in one or two places."""
    for number in range(count):
        value = _fitting(schema, schema, random, 0)
        yield value if number % 2 == 0 else spoilt(value, random)


def spoilt(value: Any, random: Random) -> Any:
    """A copy with one or two changes: something dropped, added, or of another kind."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2))):
        value = _changed(value, random)
    return value


def _changed(value: Any, random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.8:
        key = random.choice(list(value))
        match random.randrange(4):
            case 0:
                del value[key]
            case 1:
                value["unknown" if random.random() < 0.7 else key + "_"] = random.choice(ODDITIES)
            case _:
                value[key] = _changed(value[key], random)
        return value
    if isinstance(value, list) and value and random.random() < 0.7:
        at = random.randrange(len(value))
        value[at : at + 1] = random.choice(([], [_changed(value[at], random)], [value[at], value[at]]))
        return value
    return copy.deepcopy(random.choice(ODDITIES + NUMBERS + WORDS))


def _fitting(schema: Any, root: Any, random: Random, depth: int) -> Any:
    """A value that mostly fits; what would need an argument (patterns, `not`, `if`) is left to luck."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return copy.deepcopy(random.choice(ODDITIES))
    if isinstance(ref := schema.get("$ref"), str):
        return _fitting({**schema, **_target(ref, root), "$ref": None}, root, random, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(values := schema.get("enum"), list) and values:
        return random.choice(values)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(keyword), list) and branches:
            return _fitting(random.choice(branches), root, random, depth + 1)
    if isinstance(parts := schema.get("allOf"), list) and parts:
        whole = dict(schema, allOf=None)
        for part in parts:
            whole |= part if isinstance(part, dict) else {}
        return _fitting(whole, root, random, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = random.choice(kind)
    if kind is None and "properties" in schema:
        kind = "object"
    match kind:
        case "object":
            return _object(schema, root, random, depth)
        case "array":
            return _array(schema, root, random, depth)
        case "string":
            return _string(schema, random)
        case "integer":
            return int(_number(schema, random))
        case "number":
            return _number(schema, random)
        case "boolean":
            return random.random() < 0.5
        case "null":
            return None
    return copy.deepcopy(random.choice(ODDITIES))


def _target(ref: str, root: Any) -> dict[str, Any]:
    found = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if isinstance(found, dict) and step else found
    return found if isinstance(found, dict) else {}


def _object(schema: dict[str, Any], root: Any, random: Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    share = random.choice((0.2, 0.6, 1.0)) if depth < 4 else 0.1
    made = {
        name: _fitting(inner, root, random, depth + 1)
        for name, inner in (properties.items() if isinstance(properties, dict) else ())
        if (isinstance(required, list) and name in required) or random.random() < share
    }
    rest = schema.get("additionalProperties", True)
    if rest is not False and random.random() < 0.3:
        made["more"] = _fitting(rest, root, random, depth + 1)
    return made


def _array(schema: dict[str, Any], root: Any, random: Random, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    least = least if isinstance(least, int) and 0 <= least < 20 else 0
    firsts = schema.get("prefixItems", schema.get("items"))
    made = [_fitting(inner, root, random, depth + 1) for inner in (firsts if isinstance(firsts, list) else ())]
    items = schema.get("items", True)
    while isinstance(items, dict) and len(made) < least + random.randrange(3):
        made.append(_fitting(items, root, random, depth + 1))
    return made


def _string(schema: dict[str, Any], random: Random) -> str:
    word = random.choice(WORDS)
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and 0 <= least < 10_000 and random.random() < 0.9:
        word = word.ljust(least, "z")
    if isinstance(most, int) and most >= 0 and random.random() < 0.9:
        word = word[:most]
    return word


def _number(schema: dict[str, Any], random: Random) -> float:
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(least, int | float) and isinstance(most, int | float) and random.random() < 0.9:
        return random.choice((least, most, (least + most) // 2))
    if isinstance(least, int | float) and random.random() < 0.7:
        return least + random.choice((0, 1, 5))
    return random.choice(NUMBERS)
