"""The keys of one issuer: fetched when they are wanted, kept, looked at anew, and let go of.

One fetch at a time, and none sooner than `INTERVAL_S` after the one before: a stranger who sends tokens with
key ids that do not exist gets the issuer asked no more often than that.
Spec: RFC 7517, section 5; 2026-07-28 basic/authorization, "Token Handling".
"""

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from proxy_core.clock import Clock
from proxy_core.config.auth import IssuerConfig
from proxy_core.frontend.issuer_fetch import key_document
from proxy_core.oauth.fetching import FETCH_S, FetchFailed
from proxy_core.tasks import Tasks

if TYPE_CHECKING:
    from proxy_core.access.signatures import KeySet

INTERVAL_S: Final = 10.0
FRESH_S: Final = 300.0
"""After that they are looked at anew, while somebody uses them: a key that was taken back is noticed."""
KEPT_S: Final = 4 * 3600.0
"""How long keys count whose issuer cannot be asked any more."""
log = logging.getLogger(__name__)


class IssuerKeys:
    """Sole owner of them."""

    def __init__(self, settings: IssuerConfig, clock: Clock, on_change: Callable[["IssuerKeys"], None]) -> None:
        """`on_change` is called when other keys count than before."""
        self.settings = settings
        self.keys: KeySet | None = None
        """None: there are none yet, or none any more."""
        self._clock = clock
        self._on_change = on_change
        self._tasks = Tasks(f"keys of {settings.issuer}")
        self._fetching: asyncio.Task[None] | None = None
        self._tried_at: float | None = None
        self._fetched_at = 0.0

    @property
    def may_come(self) -> bool:
        """Whether waiting could bring keys that are not here."""
        return self._fetching is not None or self._may_fetch

    @property
    def _may_fetch(self) -> bool:
        return self._tried_at is None or self._clock.monotonic() - self._tried_at >= INTERVAL_S

    def refresh(self, *, is_asked_for: bool = False) -> None:
        """Look at them anew in a while, unless that was done just now. Needs a running loop.

        `is_asked_for`: by the operator, whom no stranger can make ask: at once, however lately it was done.
        """
        if self._fetching is None and (is_asked_for or self._may_fetch):
            self._tried_at = self._clock.monotonic()
            self._fetching = self._tasks.start(self._fetch(), "fetch")

    async def obtain(self) -> None:
        """Wait for a look at them, if one may be had. Raises nothing; what came of it is in `keys`."""
        self.refresh()
        if self._fetching is not None:
            # Not awaited: one who gives up must not end it for the others.
            await asyncio.wait([self._fetching], timeout=FETCH_S)

    def sweep(self, *, is_used: bool) -> None:
        """To be called now and then. `is_used`: whether somebody was let in by them who may still come."""
        if self.keys is None:
            return
        age_s = self._clock.monotonic() - self._fetched_at
        if age_s >= KEPT_S:
            log.warning("the keys of %s are too old, and cannot be had anew; they do not count", self._name)
            self._put(None)
        elif age_s >= FRESH_S and is_used:
            self.refresh()

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _fetch(self) -> None:
        try:
            document = await key_document(self.settings)
            # In a thread: the library that knows keys takes a while to load, and many keys to be read.
            keys = await asyncio.to_thread(_keys_in, document)
        except (FetchFailed, ValueError) as error:
            log.warning("the keys of %s could not be had: %s", self._name, error)
        else:
            self._fetched_at = self._clock.monotonic()
            self._put(keys)
        finally:
            self._fetching = None

    def _put(self, keys: "KeySet | None") -> None:
        before, self.keys = self.keys, keys
        is_other = before is None or keys is None or before.thumbprints != keys.thumbprints
        if is_other and keys is not None:
            log.info("keys of %s that count: %d", self._name, len(keys.keys))
        self._on_change(self)

    @property
    def _name(self) -> str:
        return self.settings.issuer


def _keys_in(document: Any) -> "KeySet":
    module = importlib.import_module("proxy_core.access.signatures")
    keys: KeySet = module.keys_in(document)
    return keys
