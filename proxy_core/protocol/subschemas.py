"""Where JSON Schema has schemas within schemas, in 2020-12 and the drafts before it. Pure.

Data in a schema (`default`, `enum`, `const`, `examples`, ...) is never taken for a part of it, and no `$ref` is
followed.
Spec: JSON Schema 2020-12 core, 10 "A Vocabulary for Applying Subschemas"; draft-07, 6.4-6.7.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

_ONE: Final = frozenset(
    {"items", "additionalItems", "unevaluatedItems", "contains", "additionalProperties", "propertyNames"}
    | {"unevaluatedProperties", "not", "if", "then", "else", "contentSchema"}
)
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
)

Where: TypeAlias = tuple[str | int, ...]
"""Keys and indices from a schema to a schema within it."""
Schema: TypeAlias = dict[str, Any]


class TooDeep(Exception):
    """A schema has more schemas within schemas than the caller wants to look at."""


def within(schema: Schema) -> Iterator[tuple[Where, Any]]:
    """The schemas that a schema holds itself, whatever they are, and the way to each."""
    for keyword, value in schema.items():
        if isinstance(value, dict):
            if keyword in _NAMED:
                yield from (((keyword, name), inner) for name, inner in value.items())
            elif keyword in _ONE:
                yield (keyword,), value
        elif isinstance(value, list) and keyword in _MANY:
            yield from (((keyword, index), inner) for index, inner in enumerate(value))


def every(root: Any, max_depth: int, max_count: int) -> Iterator[tuple[int, Schema]]:
    """`root` and every schema below it that is an object, in order, and how deep each is. Raises: TooDeep."""
    if not isinstance(root, dict):
        return
    yield 0, root
    # A stack of iterators, not of schemas: what a schema holds may be a hundred thousand others.
    open_ends = [within(root)]
    count = 1
    while open_ends:
        for _, schema in open_ends[-1]:
            if isinstance(schema, dict):
                count += 1
                if len(open_ends) > max_depth or count > max_count:
                    raise TooDeep
                yield len(open_ends), schema
                open_ends.append(within(schema))
                break
        else:
            open_ends.pop()


def rewritten(schema: Any, rule: Callable[[Schema], Any], max_depth: int) -> Any:
    """A copy in which `rule` has made each schema anew, the innermost first. Raises: TooDeep.

    `rule` gets a copy that it may change. What is no object stays as it is; data is shared with the original.
    """
    if not isinstance(schema, dict):
        return schema
    if max_depth < 0:
        raise TooDeep
    copy: Schema = {}
    for keyword, value in schema.items():
        if isinstance(value, dict) and keyword in _NAMED:
            copy[keyword] = {name: rewritten(inner, rule, max_depth - 1) for name, inner in value.items()}
        elif isinstance(value, dict) and keyword in _ONE:
            copy[keyword] = rewritten(value, rule, max_depth - 1)
        elif isinstance(value, list) and keyword in _MANY:
            copy[keyword] = [rewritten(inner, rule, max_depth - 1) for inner in value]
        else:
            copy[keyword] = value
    return rule(copy)
