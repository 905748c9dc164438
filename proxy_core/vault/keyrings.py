"""The keyring of the system: its library is imported when it is first asked, and it is never waited for long.

A keyring may ask a person to unlock it, or hang with the bus it is reached by; each question has a deadline,
and a thread of its own that may be left behind.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

DEADLINE_S: Final = 5.0
_LEAST_PRIORITY: Final = 1.0
"""Of a backend that its authors recommend; the one that only fails has 0."""
T = TypeVar("T")


class KeyringFailed(Exception):
    """Its words are for a person."""


class SystemKeyring:
    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._has_hung = False
        self._is_there: bool | None = None

    @property
    def is_there(self) -> bool:
        """Whether this machine has one that can be used. Raises: KeyringFailed if it does not say."""
        if self._is_there is None:
            self._is_there = (
                self._asked(lambda keyring: float(keyring.get_keyring().priority)) >= _LEAST_PRIORITY
            )
        return self._is_there

    def get(self, service: str, name: str) -> str | None:
        """Raises: KeyringFailed."""
        found = self._asked(lambda keyring: keyring.get_password(service, name))
        return None if found is None else str(found)

    def set(self, service: str, name: str, value: str) -> None:
        """Raises: KeyringFailed."""
        self._asked(lambda keyring: keyring.set_password(service, name, value))

    def delete(self, service: str, name: str) -> None:
        """Raises: KeyringFailed, also if it has none of that name."""
        self._asked(lambda keyring: keyring.delete_password(service, name))

    def _asked(self, deed: Callable[[Any], T]) -> T:
        if self._has_hung:
            # Once is enough: there may be many secrets to read.
            raise KeyringFailed("the keyring does not answer")
        answered: list[T] = []
        failed: list[Exception] = []

        def ask() -> None:
            try:
                # Its import looks for backends, and takes some tenths of a second.
                import keyring

                answered.append(deed(keyring))
            except Exception as error:
                # Backends raise what their libraries do; whoever asked gets it as words.
                failed.append(error)

        thread = threading.Thread(target=ask, name="keyring", daemon=True)
        thread.start()
        thread.join(self._deadline_s)
        if answered:
            return answered[0]
        if failed:
            raise KeyringFailed(f"the keyring failed: {type(failed[0]).__name__}") from failed[0]
        self._has_hung = True
        raise KeyringFailed(f"the keyring did not answer within {self._deadline_s:g} seconds")
