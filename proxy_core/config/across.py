"""What no single key of a configuration shows: ids that repeat, and keys that need or exclude each other. Pure.

Looks at data that may be wrong in any other way, so that every fault of a file is told at once.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from proxy_core.config.document import KeyPath, shown_path
from proxy_core.config.faults import nearest
from proxy_core.config.models import AdminConfig

Fault: TypeAlias = tuple[KeyPath, str]
LineOf: TypeAlias = Callable[[KeyPath], int | None]
TAKEN_AT_THE_ROOT: Final = frozenset({"healthz", "messages", "metrics", "readyz", "sse"})
"""What the listener serves beside MCP, without the slash."""


def faults_across(data: Any, raw: Any, line_of: LineOf) -> Iterator[Fault]:
    """`data` with variables filled in; `raw` as the file has it, which is what may be shown."""
    if not isinstance(data, dict):
        return
    yield from _admin_faults(data)
    yield from _token_faults(data)
    yield from _profile_faults(data)
    if not isinstance(servers := data.get("servers"), list):
        return
    yield from _repeated_ids(servers, ("servers",), raw, line_of)
    for index, server in enumerate(servers):
        if isinstance(server, dict):
            yield from _place_faults(server, ("servers", index), raw, line_of)
    yield from _prefix_faults(servers, _of(data, "routing", "prefix"))


def _admin_faults(data: dict[str, Any]) -> Iterator[Fault]:
    if _is_yes(_of(data, "admin", "on_port")) and not _of(data, "auth", "tokens"):
        yield (
            ("admin", "on_port"),
            "found true without auth.tokens: everyone who reaches the port could steer the gateway. "
            "Add a token (`only1mcp token new NAME --write`), or leave it false and use the socket.",
        )


def _token_faults(data: dict[str, Any]) -> Iterator[Fault]:
    profiles = data.get("profiles")
    known = [name for name in profiles if isinstance(name, str)] if isinstance(profiles, dict) else []
    for path, holder in _profile_holders(data):
        if isinstance(named := holder.get("profile"), str) and named not in known:
            allowed = f"the profiles are {', '.join(known)}" if known else "there are no profiles"
            found = f"found {named!r}, which is no profile; {allowed}.{nearest(named, known)}"
            yield (*path, "profile"), found


def _profile_holders(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """What gives a profile to a client: tokens, and the grants of issuers."""
    yield from _objects(_of(data, "auth", "tokens"), ("auth", "tokens"))
    for path, issuer in _objects(_of(data, "auth", "issuers"), ("auth", "issuers")):
        yield from _objects(issuer.get("grants"), (*path, "grants"))


def _objects(listed: Any, at: KeyPath) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(item, dict):
            yield (*at, index), item


def _profile_faults(data: dict[str, Any]) -> Iterator[Fault]:
    profiles = data.get("profiles")
    if not isinstance(profiles, dict) or _of(data, "proxy", "path") != "/":
        return
    for name in profiles:
        if name in TAKEN_AT_THE_ROOT:
            yield (
                ("profiles", name),
                f"a profile of this name cannot be reached: with proxy.path '/', /{name} is another page.",
            )


def _is_yes(value: Any) -> bool:
    """As the model would read it, `yes` included."""
    try:
        return AdminConfig.model_validate({"on_port": value}).on_port
    except ValidationError:
        return False


def _place_faults(server: dict[str, Any], at: KeyPath, raw: Any, line_of: LineOf) -> Iterator[Fault]:
    has_transport, replicas = server.get("transport") is not None, server.get("replicas")
    if has_transport and replicas:
        yield (*at, "replicas"), "found beside `transport`; a server has one of the two."
    if not has_transport and not replicas:
        yield (*at, "transport"), "this key or `replicas` is required, and both are missing."
    if isinstance(replicas, list):
        yield from _repeated_ids(replicas, (*at, "replicas"), raw, line_of)


def _repeated_ids(items: Iterable[Any], at: KeyPath, raw: Any, line_of: LineOf) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        found = item.get("id") if isinstance(item, dict) else None
        if isinstance(found, str) and (before := first.setdefault(found, index)) != index:
            earlier = (*at, before, "id")
            # As the file has it, not as the environment filled it in.
            text, line = _at(raw, earlier), line_of(earlier)
            where = shown_path((*at, before)) + (f" on line {line}" if line else "")
            yield (*at, index, "id"), f"found {text!r}, which {where} already has; ids must differ."


def _prefix_faults(servers: list[Any], default: Any) -> Iterator[Fault]:
    own = [(server.get("prefix") if isinstance(server, dict) else None) for server in servers]
    bare = [index for index, prefix in enumerate(own) if (prefix or default) == "none"]
    if len(bare) < 2:
        return
    key: KeyPath = ("routing", "prefix") if default == "none" else ("servers", bare[1], "prefix")
    yield key, f"found 'none' with {len(bare)} servers; it is for at most one."


def _of(data: dict[str, Any], section: str, key: str) -> Any:
    settings = data.get(section)
    return settings.get(key) if isinstance(settings, dict) else None


def _at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data
