"""Two names for one URI: as the server has it, and with the server's id in it. Pure.

URIs travel verbatim, because they have meaning to clients and appear inside free text. An alias is for a URI
that two servers have: `<id>+<uri>`; for a page of MCP Apps, whose scheme clients must know, it is
`ui://<id>.<host>/<path>`. Both are reversible, because an id holds neither `+` nor a dot. Templates likewise.
Spec: RFC 3986, section 3.1 (a scheme may hold `+`).
"""

from collections.abc import Container
from typing import Final

UI: Final = "ui://"


def alias_of(server: str, uri: str) -> str:
    """The form of `uri` that names its server."""
    return f"{UI}{server}.{uri.removeprefix(UI)}" if uri.startswith(UI) else f"{server}+{uri}"


def split_alias(uri: str, servers: Container[str]) -> tuple[str, str] | None:
    """Server and URI of an alias of one of `servers`; None for any other URI."""
    is_ui = uri.startswith(UI)
    server, separator, rest = uri.removeprefix(UI).partition("." if is_ui else "+")
    if not separator or server not in servers:
        return None
    return server, UI + rest if is_ui else rest
