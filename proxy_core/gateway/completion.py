"""Completions from one revision to another: what may be asked, what may be answered. Pure.

Spec: server/utilities/completion (at most 100 values); 2025-03-26 brought a capability for it, 2025-06-18 the
`context` of arguments that are known already.
"""

from typing import Final

from msgspec import Raw

from proxy_core.protocol import jsonrpc

METHOD: Final = "completion/complete"
MAX_VALUES: Final = 100
NOTHING: Final = Raw(b'{"completion":{"values":[]}}')
_NO_CAPABILITY: Final = frozenset({"2024-11-05"})
_NO_CONTEXT: Final = frozenset({"2024-11-05", "2025-03-26"})


def may_ask(revision: str, is_offered: bool) -> bool:
    """Whether a backend of this revision may know completions: before the capability, only asking tells."""
    return is_offered or revision in _NO_CAPABILITY


def params_for(params: Raw, revision: str) -> Raw:
    """Params that a backend of `revision` knows all of. Raises: ParseError."""
    if revision not in _NO_CONTEXT:
        return params
    members = jsonrpc.members(params)
    if members.pop("context", None) is None:
        return params
    return Raw(jsonrpc.encode(members))


def capped(result: Raw) -> Raw:
    """At most `MAX_VALUES` values, and word that there are more; the very same object if there are not.

    Raises: ParseError if there is no completion in it.
    """
    members = jsonrpc.members(result)
    completion = jsonrpc.members(members.get("completion", Raw(b"null")))
    values = jsonrpc.decode(completion.get("values", jsonrpc.NO_JSON))
    if not isinstance(values, list) or len(values) <= MAX_VALUES:
        return result
    fewer = completion | {"values": Raw(jsonrpc.encode(values[:MAX_VALUES])), "hasMore": Raw(b"true")}
    return Raw(jsonrpc.encode(members | {"completion": Raw(jsonrpc.encode(fewer))}))
