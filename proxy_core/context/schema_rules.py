"""A tool's input schema with fewer words: what is left out validates nothing, and texts are cut. Pure.

What validates stays: types, enums, bounds, patterns, formats, `required`, `additionalProperties: false`.
A schema that is too deep or too large, or that refers in ways that a change could break, keeps its form.
Spec: JSON Schema 2020-12, which a schema is unless it says otherwise (2025-11-25 basic, "JSON Schema Usage").
"""

from typing import Any, Final

from proxy_core.context.definitions import HOMES, NOT_VALIDATING, Bounds, inlined, place_of
from proxy_core.context.prose import shortened
from proxy_core.protocol import subschemas
from proxy_core.protocol.subschemas import Schema, TooDeep

BOUNDS: Final = Bounds(depth=64, count=2_000)
"""Of schemas, some seven times what the largest of 1,216 real tools has."""

_DEFAULT_DIALECT: Final = "json-schema.org/draft/2020-12/schema"
_LIKE_DEFAULT: Final = frozenset({"json-schema.org/draft/2019-09/schema", "json-schema.org/draft-07/schema"})
"""Dialects that differ from the default one, as far as our rules go, in these keywords and formats alone."""
_DIALECT_KEYWORDS: Final = {
    *("$anchor", "$dynamicAnchor", "$recursiveAnchor", "contentSchema", "if", "then", "else"),
    *("additionalItems", "prefixItems", "contains", "minContains", "maxContains", "unevaluatedItems"),
    *("dependencies", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
}
_DIALECT_FORMATS: Final = ("uuid", "duration")
"""Unknown to draft-07, and thus valid whatever the value."""
_FIXING: Final = frozenset({"$dynamicRef", "$recursiveRef"})
# What a branch may hold that says nothing about null: anything else could forbid it.
_OF_ONE_TYPE: Final = NOT_VALIDATING | {
    *("type", "minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "required"),
    *("minProperties", "maxProperties", "dependentRequired", "dependentSchemas"),
}
_NULL: Final = {"type": "null"}


def compact_schema(schema: Schema, description_chars: int) -> Schema:
    """`schema` with descriptions of at most `description_chars`; the very same object if it is too deep."""
    try:
        compact = _once(schema, description_chars)
        # What was dropped beside a reference may have kept its definition from moving.
        while not compact.keys().isdisjoint(HOMES) and (again := _once(compact, description_chars)) != compact:
            compact = again
    except TooDeep:
        return schema
    return compact


def _once(schema: Schema, description_chars: int) -> Schema:
    form = _Form(schema)
    if not form.is_fixed:
        schema = inlined(schema, BOUNDS)
        form = _Form(schema)
    compact: Schema = subschemas.rewritten(schema, _Rules(form, description_chars).apply, BOUNDS.depth)
    if not form.is_fixed:
        compact.pop("$id", None)
        if form.is_default_dialect:
            compact.pop("$schema", None)
    return compact


def with_descriptions(schema: Schema, descriptions: dict[str, str]) -> Schema:
    """`schema` with `descriptions` on those of its properties that have none."""
    properties = schema.get("properties")
    if not descriptions or not isinstance(properties, dict):
        return schema
    described = {
        name: {**inner, "description": descriptions[name]}
        if name in descriptions and isinstance(inner, dict) and not inner.get("description")
        else inner
        for name, inner in properties.items()
    }
    return {**schema, "properties": described}


class _Form:
    """What the rules must know of the whole schema before they touch a part of it."""

    def __init__(self, root: Schema) -> None:
        """Raises: TooDeep."""
        dialect = _dialect(root)
        self.is_fixed = dialect is None
        """Whether parts of it are referred to by where they are, or its dialect is not known."""
        self.is_default_dialect = dialect == _DEFAULT_DIALECT
        """Whether it means the same without its `$schema`."""
        self.has_unevaluated = False
        differs = False
        for depth, schema in subschemas.every(root, BOUNDS.depth, BOUNDS.count):
            ref = schema.get("$ref")
            is_plain = "$ref" not in schema or ref == "#" or place_of(ref) is not None
            if not is_plain or schema.keys() & _FIXING or (depth and ("$id" in schema or "$schema" in schema)):
                self.is_fixed = True
            self.has_unevaluated |= "unevaluatedProperties" in schema
            differs |= (
                isinstance(schema.get("items"), list)
                or schema.get("format") in _DIALECT_FORMATS
                or not _DIALECT_KEYWORDS.isdisjoint(schema)
                or ("$ref" in schema and not schema.keys() <= NOT_VALIDATING | {"$ref"})
            )
        if dialect in _LIKE_DEFAULT and not differs:
            self.is_default_dialect = True


def _dialect(root: Schema) -> str | None:
    """The dialect without its scheme; None if it is none that we know."""
    named = root.get("$schema", f"https://{_DEFAULT_DIALECT}")
    if not isinstance(named, str):
        return None
    dialect = named.removesuffix("#").removeprefix("http://").removeprefix("https://")
    return dialect if dialect == _DEFAULT_DIALECT or dialect in _LIKE_DEFAULT else None


class _Rules:
    """The rules for one schema among others; what it holds has been through them already."""

    def __init__(self, form: _Form, description_chars: int) -> None:
        self._form = form
        self._description_chars = description_chars

    def apply(self, schema: Schema) -> Schema:
        for keyword in ("title", "$comment"):
            if isinstance(schema.get(keyword), str):
                del schema[keyword]
        self._shorten_description(schema)
        if schema.get("required") == []:
            del schema["required"]
        if not self._form.is_fixed:
            schema.pop("examples", None)
            if "default" in schema and _is_empty(schema["default"]):
                del schema["default"]
            self._drop_open_end(schema)
            return _without_null_branch(schema)
        return schema

    def _shorten_description(self, schema: Schema) -> None:
        description = schema.get("description")
        if not isinstance(description, str):
            return
        if text := shortened(description, self._description_chars):
            schema["description"] = text
        else:
            del schema["description"]

    def _drop_open_end(self, schema: Schema) -> None:
        # unevaluatedProperties counts what additionalProperties has let in.
        if self._form.has_unevaluated or "additionalProperties" not in schema:
            return
        rest = schema["additionalProperties"]
        if rest is True or rest == {}:
            del schema["additionalProperties"]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _without_null_branch(schema: Schema) -> Schema:
    """`anyOf: [{type: T, ...}, {type: null}]` as `type: [T, null], ...`."""
    branches = schema.get("anyOf")
    if not isinstance(branches, list) or len(branches) != 2 or _NULL not in branches:
        return schema
    branch = branches[1] if branches[0] == _NULL else branches[0]
    beside = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    if (
        not isinstance(branch, dict)
        or not isinstance(kind := branch.get("type"), str)
        or kind == "null"
        or not _OF_ONE_TYPE.issuperset(branch)
        or not NOT_VALIDATING.issuperset(beside)
        or not branch.keys().isdisjoint(beside)
    ):
        return schema
    return {**branch, "type": [kind, "null"], **beside}
