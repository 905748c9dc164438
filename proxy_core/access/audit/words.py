"""What anybody said or is called, as it may stand in a line: cut first, so that nobody makes one long. Pure."""

from typing import Final

from proxy_core.telemetry.masking import masked_text

MAX_WORD: Final = 256
"""Characters of what anybody said, in a line."""
_LOOKED_AT: Final = 4 * MAX_WORD
"""Characters that are masked before it is cut to that: none is shown of a secret that would be cut in two."""


def cut(text: str) -> str:
    return text if len(text) <= _LOOKED_AT else text[:_LOOKED_AT]


def word(text: str) -> str:
    """What anybody said, as it may stand in a line: masked, and cut."""
    return masked_text(cut(text)).text[:MAX_WORD] if text else ""


def name(text: str) -> str:
    """What the configuration or an issuer calls somebody: `token:ci` is no secret, though it looks like one."""
    return text[:MAX_WORD] if text.isascii() else text[:MAX_WORD].encode(errors="replace").decode()
