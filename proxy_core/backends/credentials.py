"""What an HTTP client needs to know of a login: the header line of now, and whom to ask for another.

Who logs in, where, and how, is `oauth`'s; it hands in what follows this.
Spec: 2026-07-28 basic/authorization, "Access Token Usage" and "Scope Challenge Handling".
"""

from typing import TYPE_CHECKING, Final, Protocol

from proxy_core.errors import BackendAuthRequired

if TYPE_CHECKING:
    # With pydantic, which a bridge does without.
    from proxy_core.config.models import HttpTransport, SseTransport

REFUSALS: Final = frozenset({401, 403})


class LoginNeeded(BackendAuthRequired):
    """No login that the server takes: what was connected with the one before is of no use any more."""


class Credentials(Protocol):
    """The login of all connections to one URL."""

    @property
    def line(self) -> bytes:
        """The header line with its end, as of now; empty: there is no login yet. Looked at for each request."""
        ...

    async def refused(self, status: int, challenge: str, sent: bytes) -> None:
        """A request with the line `sent` was refused. Returns when it is worth asking again.

        `challenge`: its WWW-Authenticate. Raises: LoginNeeded; BackendAuthRequired, if what is there is good
        for other requests; BackendUnavailable, if it cannot be told now.
        """
        ...

    def accepted(self) -> None:
        """What was asked again has been looked at: the login that it was asked with is good."""
        ...


class LoginSource(Protocol):
    def of(self, server: str, transport: "HttpTransport | SseTransport") -> Credentials | None:
        """The login for this URL, always the same one; None if the configuration leaves no room for one."""
        ...


class NoLogins:
    """What is configured is all there is."""

    def of(self, server: str, transport: "HttpTransport | SseTransport") -> Credentials | None:
        return None
