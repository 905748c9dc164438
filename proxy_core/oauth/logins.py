"""The logins of all servers, by URL: made when something connects there, gone when the configuration has none.

Sole owner of the set. Spec: 2026-07-28 basic/authorization.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeAlias

from proxy_core.backends.credentials import Credentials
from proxy_core.backends.handshake import modern_params
from proxy_core.clock import Clock
from proxy_core.config.login import LoginConfig
from proxy_core.config.models import (
    ONLY_REPLICA,
    HttpTransport,
    ServerConfig,
    SseTransport,
    StdioTransport,
    has_authorization,
)
from proxy_core.control import LoggedOut, LoginBegun
from proxy_core.errors import BackendFault, LoginFailed, UnknownReplica
from proxy_core.protocol.headers import MCP_METHOD, MCP_PROTOCOL_VERSION
from proxy_core.protocol.revisions import MODERN
from proxy_core.tasks import Tasks
from proxy_core.vault.vault import Vault

if TYPE_CHECKING:
    from proxy_core.oauth.kept import LoginStore
    from proxy_core.oauth.login import Login

Remote: TypeAlias = HttpTransport | SseTransport
_Key: TypeAlias = tuple[str, str, LoginConfig]
"""Server, URL, and how to log in there."""
LOOK_S: Final = 10.0
_ASKING: Final = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    MCP_PROTOCOL_VERSION: MODERN,
    MCP_METHOD: "server/discover",
}
_QUESTION: Final = b'{"jsonrpc":"2.0","id":1,"method":"server/discover","params":%b}'


class _Wanted:
    """The credentials of one URL; they become a login where the server first asks for one: most never do."""

    __slots__ = ("_login", "_logins", "_server", "_transport")

    def __init__(self, logins: "Logins", server: str, transport: Remote) -> None:
        self._logins = logins
        self._server = server
        self._transport = transport
        self._login: Login | None = None

    @property
    def login(self) -> "Login":
        if self._login is None:
            self._login = self._logins.new(self._server, self._transport)
        return self._login

    @property
    def line(self) -> bytes:
        return b"" if self._login is None else self._login.line

    @property
    def needed(self) -> str:
        return "" if self._login is None else self._login.needed

    async def refused(self, status: int, challenge: str, sent: bytes) -> None:
        await self.login.refused(status, challenge, sent)

    def accepted(self) -> None:
        if self._login is not None:
            self._login.accepted()

    async def aclose(self) -> None:
        if self._login is not None:
            await self._login.aclose()


class Logins:
    """Implements `backends.credentials.LoginSource`."""

    def __init__(self, vault: Vault, clock: Clock, on_change: Callable[[str], None]) -> None:
        """`vault`: keeps them. `on_change` hears the id of a server whose need of a login is another now."""
        self._vault = vault
        self._store: LoginStore | None = None
        self._clock = clock
        self._on_change = on_change
        self._tasks = Tasks("logins")
        self._logins: dict[_Key, _Wanted] = {}

    def of(self, server: str, transport: Remote) -> Credentials | None:
        if transport.auth.type == "none" or has_authorization(transport):
            return None
        return self._of(server, transport)

    def _of(self, server: str, transport: Remote) -> "_Wanted":
        key = (server, transport.url, transport.auth)
        login = self._logins.get(key)
        if login is None:
            login = self._logins[key] = _Wanted(self, server, transport)
        return login

    def new(self, server: str, transport: Remote) -> "Login":
        # Here, as a gateway whose servers let everybody in needs none of it.
        from proxy_core.oauth.kept import LoginStore
        from proxy_core.oauth.login import Login

        self._store = self._store or LoginStore(self._vault)
        return Login(server, transport, self._store, self._clock, lambda: self._on_change(server))

    def keep(self, servers: Iterable[ServerConfig]) -> None:
        """Let go of the logins of all others; what is kept of them stays."""
        wanted = {(server.id, each.url, each.auth) for server in servers for _, each in _remotes(server)}
        for key in self._logins.keys() - wanted:
            self._tasks.start(self._logins.pop(key).aclose(), "close")

    def needed(self, server: str) -> str:
        """What a person has to log in for there; empty: for nothing."""
        needs = (each.needed for (whose, _, _), each in self._logins.items() if whose == server)
        return next(filter(None, needs), "")

    def port(self, server: ServerConfig, replica: str | None) -> int:
        """Raises: LoginFailed."""
        return self._wanted(server, replica).port

    async def begin(self, server: ServerConfig, replica: str | None, redirect_uri: str) -> LoginBegun:
        """Raises: LoginFailed."""
        login = self._wanted(server, replica)
        url, state = await login.begin(redirect_uri, lambda: _challenge(server, login.transport))
        return LoginBegun(url, state, login.attempt_s)

    async def finish(self, server: ServerConfig, replica: str | None, answer: Mapping[str, str]) -> None:
        """Raises: LoginFailed."""
        await self._wanted(server, replica).finish(answer)

    async def forget(self, server: ServerConfig, replica: str | None) -> LoggedOut:
        """Raises: LoginFailed."""
        logins = [self._of(server.id, remote).login for remote in self._candidates(server, replica)]
        ended = [await login.forget() for login in logins]
        notes = dict.fromkeys(each.note for each in ended if each.note)
        return LoggedOut(any(each.was_in for each in ended), "; ".join(notes))

    def _wanted(self, server: ServerConfig, replica: str | None) -> "Login":
        """Of several URLs the one that needs a login, else the first."""
        logins = [self._of(server.id, remote) for remote in self._candidates(server, replica)]
        return next((each for each in logins if each.needed), logins[0]).login

    def _candidates(self, server: ServerConfig, replica: str | None) -> list[Remote]:
        """Raises: LoginFailed, UnknownReplica."""
        known = tuple(each.id for each in server.replicas) or (ONLY_REPLICA,)
        if replica is not None and replica not in known:
            raise UnknownReplica(server.id, replica, known)
        remotes = [remote for name, remote in _remotes(server) if replica in (None, name)]
        found = [remote for remote in remotes if remote.auth.type != "none" and not has_authorization(remote)]
        if not found:
            raise LoginFailed(f"There is no login at {server.id}: {_why_none(remotes)}.")
        return found

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await asyncio.gather(*(login.aclose() for login in self._logins.values()))
        self._logins.clear()


def _why_none(remotes: Sequence[Remote]) -> str:
    if not remotes:
        return "it is reached by no URL"
    if any(has_authorization(remote) for remote in remotes):
        return "its configuration has an Authorization header, which says who asks"
    return "its configuration says `auth: none`"


def _remotes(server: ServerConfig) -> Iterator[tuple[str, Remote]]:
    if server.transport is not None and not isinstance(server.transport, StdioTransport):
        yield ONLY_REPLICA, server.transport
    for replica in server.replicas:
        if not isinstance(replica.transport, StdioTransport):
            yield replica.id, replica.transport


async def _challenge(server: ServerConfig, transport: Remote) -> str:
    """What it says to somebody without a login; empty, if it lets them in or cannot be asked."""
    # As the login itself.
    from proxy_core.backends.http_client import HttpClient
    from proxy_core.backends.http_url import Url

    client = HttpClient(server.id, transport.headers, server.timeouts.connect_s)
    method, body = ("GET", None) if transport.type == "sse" else ("POST", _QUESTION % modern_params(b"{}"))
    try:
        async with asyncio.timeout(LOOK_S):
            with closing(await client.ask(method, Url.of(transport.url), _ASKING, body)) as response:
                return response.header(b"www-authenticate") or "" if response.status == 401 else ""
    except (BackendFault, TimeoutError):
        # Then its metadata are looked for where they usually are, and what is wrong there is said.
        return ""
    finally:
        await client.aclose()
