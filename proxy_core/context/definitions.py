"""Definitions of a schema: one that is used once moves to where it is used, one that is not used goes. Pure.

Only references to a whole definition of the same schema (`#/$defs/NAME`, `#/definitions/NAME`) are followed;
nothing is ever fetched. A definition that refers to itself, by whatever way, has two uses and stays.
Spec: JSON Schema 2020-12 core, 8.2.3 "Schema References", 8.2.4 "Schema Re-Use With $defs".
"""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from proxy_core.protocol import subschemas
from proxy_core.protocol.header_params import ANNOTATION
from proxy_core.protocol.subschemas import Schema, TooDeep

HOMES: Final = ("$defs", "definitions")
NOT_VALIDATING: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
)
"""Keywords that validate nothing and mean the same beside a `$ref` as in what it refers to."""

_BESIDE_ROOT: Final = NOT_VALIDATING | {"$schema", *HOMES}

Place: TypeAlias = tuple[str, str]
"""Where a definition is: one of `HOMES`, and its name there."""


def place_of(ref: object) -> Place | None:
    """The definition that a `$ref` names; None if it names anything else."""
    if not isinstance(ref, str):
        return None
    root, _, rest = ref.partition("/")
    home, _, name = rest.partition("/")
    if root != "#" or home not in HOMES or "/" in name:
        return None
    return home, unquote(name).replace("~1", "/").replace("~0", "~")


class Bounds(Struct, frozen=True):
    """Of what is looked at."""

    depth: int
    """Schemas within schemas, and definitions within definitions."""
    count: int
    """Schemas."""


def inlined(root: Schema, bounds: Bounds) -> Schema:
    """`root` with the definitions it needs and no other, each that is used once in its place.

    The caller sees to it that no reference leads into the middle of a schema. Raises: TooDeep.
    """
    body = {keyword: value for keyword, value in root.items() if keyword not in HOMES}
    definitions = {(home, name): schema for home in HOMES for name, schema in _named(root, home)}
    uses = _uses(body, definitions, bounds)
    moving = {
        place: definitions[place]
        for place, users in uses.items()
        if len(users) == 1 and _may_merge(users[0], definitions[place], users[0] is body, bounds)
    }
    inlining = _Inlining(moving, bounds)
    whole: Schema = inlining.of(body)
    for home in HOMES:
        names = {
            name: inlining.of(schema)
            for name, schema in _named(root, home)
            if (home, name) in uses and (home, name) not in moving
        }
        if names:
            whole[home] = names
    return whole


def _named(root: Schema, home: str) -> Iterable[tuple[str, Any]]:
    named = root.get(home)
    return named.items() if isinstance(named, dict) else ()


def _uses(body: Schema, definitions: dict[Place, Any], bounds: Bounds) -> dict[Place, list[Schema]]:
    """What refers to each definition, looking at what is in use itself only."""
    uses: dict[Place, list[Schema]] = {}
    waiting: list[Any] = [body]
    while waiting:
        for _, schema in subschemas.every(waiting.pop(), bounds.depth, bounds.count):
            place = place_of(schema.get("$ref"))
            if place is None or place not in definitions:
                continue
            if place not in uses:
                waiting.append(definitions[place])
            uses.setdefault(place, []).append(schema)
    return uses


def _may_merge(schema: Schema, target: Any, is_root: bool, bounds: Bounds) -> bool:
    """Whether `target` may take the place of the `$ref` in `schema`."""
    if not isinstance(target, dict):
        return False
    # Before 2019-09 what stands beside a $ref is not looked at, after it is: nothing that validates may.
    beside = schema.keys() - (_BESIDE_ROOT if is_root else NOT_VALIDATING) - {"$ref"}
    if beside - {"type"} or ("type" in beside and schema["type"] != target.get("type")):
        return False
    # An annotation that means nothing in a definition must not come to mean something.
    return not any(ANNOTATION in inner for _, inner in subschemas.every(target, bounds.depth, bounds.count))


class _Inlining:
    """Puts definitions in the place of the one reference to each."""

    def __init__(self, moving: dict[Place, Any], bounds: Bounds) -> None:
        self._moving = moving
        self._bounds = bounds
        self._depth = 0

    def of(self, schema: Any) -> Any:
        return subschemas.rewritten(schema, self._replaced, self._bounds.depth)

    def _replaced(self, schema: Schema) -> Schema:
        place = place_of(schema.get("$ref"))
        if place is None or place not in self._moving:
            return schema
        self._depth += 1
        if self._depth > self._bounds.depth:
            raise TooDeep
        whole = self.of(self._moving[place])
        self._depth -= 1
        return {**whole, **{keyword: value for keyword, value in schema.items() if keyword != "$ref"}}
