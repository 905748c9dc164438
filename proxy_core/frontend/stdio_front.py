"""The clients' side as one pipe, our own stdin and stdout: its life from the first line to the last answer.

What a line asks is the service's matter; here it is read, and waited for when nothing more is to be read.
Spec: basic/transports, "stdio"; basic/lifecycle, "Shutdown".
"""

import logging
from collections.abc import Callable
from typing import Final

from proxy_core.access.audit.audit import Audit
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.errors import InvalidRequest, Only1Error
from proxy_core.facts import Fact, SessionsChanged
from proxy_core.frontend.pipe import LineReader, LineWriter, Pipe
from proxy_core.frontend.pipe_service import PipeService
from proxy_core.frontend.responses import Handler
from proxy_core.tasks import Tasks

END_STREAMS_S: Final = 2.0
SHUTDOWN_S: Final = 2.0
"""How long the last answers may take to be made and to be read, each, once everything below is closed."""
LOOK_S: Final = 0.25
"""How often to look whether anybody still waits, once nobody asks any more."""
log = logging.getLogger(__name__)


class StdioFront:
    """Stands where the HTTP frontend does otherwise. Serves its pipe once."""

    def __init__(
        self,
        config: Config,
        handler: Handler,
        clock: Clock,
        publish: Callable[[Fact], None],
        pipe: Pipe,
        on_end: Callable[[bool], None],
        profile: str = "",
    ) -> None:
        """`on_end` is called when the client has ended, with True if nobody is left to wait for anything.

        `profile`: the one that the client is served under, for as long as the pipe lasts.
        """
        self._profile = profile
        self._config = config
        self._clock = clock
        self._publish = publish
        self._pipe = pipe
        self._on_end = on_end
        self._max_line_bytes = config.proxy.max_body_bytes
        self._reader = LineReader(pipe.stdin, self._max_line_bytes)
        self._writer = LineWriter(pipe.stdout, self._broken)
        self._service = PipeService(handler, self._writer, self._tell, profile)
        self._tasks = Tasks("stdio")

    async def start(self) -> str:
        """Serve from now on; how a client reaches us, for people."""
        self._writer.start()
        self._reader.start()
        self._tasks.start(self._serve(), "serve")
        return "stdin and stdout"

    def use(self, config: Config) -> None:
        """A pipe has nothing of its own to change, but how long it waits at its end.

        What waits for an answer and is denied by now is answered as what never was.
        """
        before, self._config = self._config, config
        self._service.underway.judge(before, config)
        if self._profile and self._profile not in config.profiles:
            log.warning("there is no profile %s any more: the client sees nothing", self._profile)

    def tell(self, audit: Audit | None) -> None:
        """Nobody is refused at a pipe."""

    async def stop_listening(self) -> None:
        """Take no new requests; what is in flight goes on, and may still be cancelled or answered."""
        self._service.is_stopping = True

    async def end_streams(self) -> None:
        """End the listens with their results."""
        self._service.end_listens()
        await self._service.calls.listens_ended(END_STREAMS_S)

    async def aclose(self) -> None:
        """Close everything; what is nearly answered still is, the rest is cancelled. Safe to call twice."""
        await self.stop_listening()
        await self.end_streams()
        self._service.ask_no_more()
        await self._service.calls.idle(SHUTDOWN_S)
        await self._service.calls.aclose()
        self._service.end_session()
        await self._tasks.aclose()
        await self._writer.aclose(SHUTDOWN_S)

    async def _serve(self) -> None:
        while lines := await self._reader.read():
            for line in lines:
                # A client that does not read its answers gets no further ones.
                await self._writer.room()
                if line is None:
                    too_long = f"A message is larger than {self._max_line_bytes} bytes."
                    self._service.refuse(InvalidRequest(too_long))
                else:
                    self._service.take(line)
        await self._finish()

    async def _finish(self) -> None:
        """The client asks nothing more: answer what it has asked, as long as it is there, then end."""
        self._pipe.has_ended = True
        self._service.ask_no_more()
        patience = self._clock.monotonic() + self._config.proxy.grace_s
        while self._writer.has_reader() and self._clock.monotonic() < patience:
            if await self._service.calls.idle(LOOK_S):
                break
        self._service.calls.cancel_all()
        self._on_end(not self._writer.has_reader())

    def _broken(self, error: Only1Error | None) -> None:
        """Nobody reads our answers."""
        self._pipe.has_ended = True
        self._pipe.failure = error
        log.info("%s", error.message if error else "the client has gone")
        self._service.calls.cancel_all()
        self._on_end(True)

    def _tell(self) -> None:
        service = self._service
        self._publish(SessionsChanged(self._clock.monotonic(), service.session_count, service.listen_count))
