"""The legacy session of a pipe: who initialized it, what it may be asked, and what it hears of unasked.

A pipe has at most one. Knows no lines and no JSON-RPC envelopes but the handshake's params.
Spec: 2025-11-25 basic/lifecycle; basic/transports, "stdio".
"""

from msgspec import Raw

from proxy_core.backends.call import ANYONE
from proxy_core.frontend.client_requests import ClientRequests
from proxy_core.frontend.list_changes import UNTAGGED
from proxy_core.frontend.pipe import LineWriter
from proxy_core.frontend.pipe_calls import PipeOutlet
from proxy_core.frontend.responses import Handler
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind
from proxy_core.protocol import capabilities, jsonrpc
from proxy_core.protocol.classify import client_name
from proxy_core.protocol.revisions import Era, negotiate_legacy


class PipeSession:
    """From the answer to `initialize` until the next one, or the end of the pipe."""

    def __init__(
        self, handler: Handler, params: dict[str, Raw], number: int, writer: LineWriter, profile: str = ""
    ) -> None:
        """`params` of initialize; `number` tells the sessions of one process apart. Raises: ParseError."""
        revision = negotiate_legacy(jsonrpc.decode(params.get("protocolVersion", jsonrpc.NO_JSON)))
        self._handler = handler
        self._writer = writer
        self._requests = ClientRequests()
        self._stream = self.outlet()
        self.caller = Caller(
            Era.LEGACY,
            revision,
            ANYONE,
            client_name(params.get("clientInfo", jsonrpc.NO_JSON)),
            capabilities=capabilities.read(params.get("capabilities", jsonrpc.NO_JSON), revision),
            session=f"stdio-{number}",
            stream=self._stream,
            profile=profile,
        )
        self.calls: set[jsonrpc.RequestId] = set()
        """Requests of this session that are being served."""
        self._unsubscribe = handler.hub.add(ALL_KINDS, self._list_changed, profile)

    @property
    def takes_batches(self) -> bool:
        return self.caller.revision == "2025-03-26"

    def outlet(self) -> PipeOutlet:
        """For one of its requests."""
        return PipeOutlet(self._writer, self._ask)

    def answered(self, response: jsonrpc.Response) -> None:
        """The client answered a question of ours."""
        self._requests.answer(response)

    def ask_no_more(self) -> None:
        """The client will answer nothing from now on."""
        self._requests.end()

    def end(self) -> None:
        """Let go of everything; nothing is heard of this session any more."""
        self._unsubscribe()
        self._requests.end()
        self._stream.close()
        self._handler.session_ended(self.caller)

    async def _ask(self, method: str, params: bytes, timeout_s: float) -> Raw:
        # On the session's own line: a call that is cancelled is silent, and its questions must be withdrawn.
        return await self._requests.ask(self._stream, method, params, timeout_s=timeout_s)

    def _list_changed(self, kind: ListKind) -> None:
        self._stream.notify_once(UNTAGGED[kind])
