"""Messages that nobody should send, made from ones that are right: hypothesis strategies for fuzzing.

A mutation is data (where, what, with which value) and is applied by a plain function, so that a failing example
prints as what was done and shrinks well.
"""

import copy
import json
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = Any
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


class Mutation(NamedTuple):
    """One change; `where` picks a member by number, modulo how many there are."""

    kind: str
    where: int
    value: Json


MUTATIONS = st.builds(
    Mutation,
    st.sampled_from(("drop", "replace", "rename", "add", "wrap", "cut", "splice", "nest", "twice")),
    st.integers(0, 10_000),
    VALUES,
)
GARBAGE = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())


def mutated(message: Json, mutations: list[Mutation]) -> bytes:
    """The message's JSON after every change."""
    tree = copy.deepcopy(message)
    late: list[Mutation] = []
    for mutation in mutations:
        if mutation.kind in ("cut", "splice", "twice"):
            late.append(mutation)
        else:
            tree = _changed(tree, mutation)
    body = json.dumps(tree).encode(errors="surrogatepass")
    for kind, where, value in late:
        at = where % (len(body) + 1)
        if kind == "cut":
            body = body[:at]
        elif kind == "splice":
            body = body[:at] + repr(value).encode(errors="surrogatepass") + body[at:]
        else:
            body = body[:-1] + b"," + body[1:]
    return body


def _changed(tree: Json, mutation: Mutation) -> Json:
    kind, where, value = mutation
    if kind == "wrap":
        return [tree, value]
    if kind == "nest":
        deep: Json = value
        for _ in range(where % 200):
            deep = [deep]
        value, kind = deep, "replace"
    places = list(_places(tree))
    if not places:
        return value
    holder, key = places[where % len(places)]
    if kind == "drop":
        del holder[key]
    elif kind == "replace":
        holder[key] = value
    elif isinstance(holder, list):
        holder.append(value)
    elif kind == "rename":
        holder[str(value)[:40]] = holder.pop(key)
    else:
        holder[str(value)[:40]] = value
    return tree


def _places(tree: Json) -> Any:
    """Every (container, key), depth first."""
    if isinstance(tree, dict):
        for key in tree:
            yield tree, key
            yield from _places(tree[key])
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield tree, index
            yield from _places(item)
