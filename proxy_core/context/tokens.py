"""How many tokens texts have: known from an earlier run or another list, else counted by a short-lived program.

The results are kept by content, in memory and in the state folder, so that a text is counted once. This process
never loads the vocabulary.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from proxy_core.context import token_helper
from proxy_core.context.token_helper import HelperFailed
from proxy_core.context.token_main import ENCODING
from proxy_core.state import StateFolder

__all__ = ["HelperFailed", "TokenCounter", "content_key"]

NAME: Final = f"tokens-{ENCODING}"
"""Of the file; another encoding has another one."""
MAX_KEPT: Final = 50_000
"""Texts whose count is kept; those go first that were not asked for the longest."""
KEY_BYTES: Final = 16
_MAX_DIGITS: Final = 9


def content_key(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=KEY_BYTES).hexdigest()


class TokenCounter:
    """Sole writer of its file."""

    def __init__(
        self,
        folder: StateFolder | None,
        command: Sequence[str] = token_helper.COMMAND,
        deadline_s: float = token_helper.DEADLINE_S,
        max_kept: int = MAX_KEPT,
    ) -> None:
        """Without a folder it remembers until the end of the process. `command`: the program that counts."""
        self._folder = folder
        self._command = command
        self._deadline_s = deadline_s
        self._max_kept = max_kept
        self._kept: dict[str, int] | None = None
        """Key -> tokens, those that were not asked for the longest first; None until it was read."""
        self._one_at_a_time = asyncio.Lock()

    async def count(self, texts: Mapping[str, bytes]) -> dict[str, int]:
        """The tokens of each text, under the key that it was given by `content_key`.

        Starts one program if there are any that are not known. Raises: HelperFailed; what was counted until
        then is kept.
        """
        async with self._one_at_a_time:
            if self._kept is None:
                self._kept = await self._read()
            kept = self._kept
            # Asked for: to the end of the line.
            counts = {key: kept.pop(key) for key in texts if key in kept}
            kept.update(counts)
            missing = {text: key for key, text in texts.items() if key not in counts}
            if missing:

                def told(text: bytes, tokens: int) -> None:
                    counts[missing[text]] = kept[missing[text]] = tokens

                try:
                    await token_helper.counts_of(tuple(missing), told, self._command, self._deadline_s)
                finally:
                    while len(kept) > self._max_kept:
                        del kept[next(iter(kept))]
                await self._write(kept)
            return counts

    async def _read(self) -> dict[str, int]:
        if self._folder is None:
            return {}
        folder, limit = self._folder, self._max_kept
        return await asyncio.to_thread(lambda: _counts(folder.read(NAME), limit))

    async def _write(self, kept: Mapping[str, int]) -> None:
        if self._folder is not None:
            folder, entries = self._folder, dict(kept)
            await asyncio.to_thread(lambda: folder.write(NAME, {key: str(n) for key, n in entries.items()}))


def _counts(entries: Mapping[str, str], limit: int) -> dict[str, int]:
    """What a file may say, as far as it can be a count."""
    good = [
        (key, int(tokens))
        for key, tokens in entries.items()
        if len(key) == 2 * KEY_BYTES and tokens.isascii() and tokens.isdigit() and len(tokens) <= _MAX_DIGITS
    ]
    return dict(good[-limit:])
