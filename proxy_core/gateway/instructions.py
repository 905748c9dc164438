"""The instructions that clients get: a preamble, then each backend's own, bounded and cleaned. Pure.

Spec: 2025-11-25 basic/lifecycle; 2026-07-28 server/discover.
"""

import re
from collections.abc import Iterable
from typing import Final

from proxy_core.protocol.text import clean_text

PREAMBLE: Final = (
    "This is a gateway to several MCP servers. A tool or prompt named `<server>__<name>` belongs to the server "
    "with that id."
)
TITLE_BYTES: Final = 320
EACH_BYTES: Final = 2048
ALL_BYTES: Final = 12_288
_HEADING: Final = re.compile(r"^[ \t]*#{1,2}(?=\s)", re.MULTILINE)


def merged(parts: Iterable[tuple[str, str, str]]) -> str:
    """`parts`: (server id, title, its instructions), in config order; empty ones are left out."""
    text, size_bytes = PREAMBLE, len(PREAMBLE)
    for server, title, instructions in parts:
        # No server's words may look like the start of another's.
        own = _HEADING.sub("###", clean_text(instructions, EACH_BYTES).strip())
        if not own:
            continue
        section = f"\n\n## {clean_text(title, TITLE_BYTES)} (tools: {server}__*)\n{own}"
        size_bytes += len(section.encode(errors="replace"))
        if size_bytes > ALL_BYTES:
            break
        text += section
    return text
