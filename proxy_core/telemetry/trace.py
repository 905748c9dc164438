"""One exchange as it is recorded while it goes on: references to what exists anyway, and when it was.

Written on the way of every call, so nothing here is decoded, masked or formatted: `records` does that
afterwards, and only what it makes is ever shown. Whoever takes part in an exchange writes here if there is a
trace, and does nothing otherwise. What happens after its end is not its own any more. Knows no rooms above.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Raw, Struct

from proxy_core.telemetry.exchanges import ExchangeStatus, Hop, MessageKind
from proxy_core.telemetry.masking import masked_text

KEPT_BYTES: Final = 64 * 1024
"""Of one body."""
OVERLAP_BYTES: Final = 4 * 1024
"""How much more is held until it is masked, so that no secret is cut in the middle and passes for none."""
HELD_BYTES: Final = 512 * 1024
"""Of all bodies of one exchange until they are masked."""
MAX_NOTES: Final = 200
"""Notifications of one exchange, on each hop; of more only the first are kept."""
MAX_SAID: Final = 1000
MAX_STEPS: Final = 200


class Way(NamedTuple):
    """Whose message it is, and where it goes."""

    hop: Hop
    is_outgoing: bool
    kind: MessageKind


REQUESTED: Final = Way(Hop.CLIENT, False, MessageKind.REQUEST)
RETURNED: Final = Way(Hop.CLIENT, True, MessageKind.RESPONSE)
TOLD: Final = Way(Hop.CLIENT, True, MessageKind.NOTIFICATION)
PUT: Final = Way(Hop.CLIENT, True, MessageKind.REQUEST)
CAME_BACK: Final = Way(Hop.CLIENT, False, MessageKind.RESPONSE)
SENT: Final = Way(Hop.SERVER, True, MessageKind.REQUEST)
ANSWERED: Final = Way(Hop.SERVER, False, MessageKind.RESPONSE)
HEARD: Final = Way(Hop.SERVER, False, MessageKind.NOTIFICATION)
ASKED: Final = Way(Hop.SERVER, False, MessageKind.REQUEST)
REPLIED: Final = Way(Hop.SERVER, True, MessageKind.RESPONSE)

Body = Raw | bytes
Headers = Sequence[tuple[str, str]]


class Asker(Protocol):
    """The client, as the gateway knows it."""

    @property
    def era(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def principal(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def session(self) -> str | None: ...
    @property
    def profile(self) -> str: ...


class Speaker(Protocol):
    """The server that a message went to or came from."""

    @property
    def era(self) -> str: ...
    @property
    def revision(self) -> str: ...


class Line(Struct, gc=False):
    """One try at one replica."""

    server: str
    replica: str
    attempt: int
    peer: Speaker
    headers: Headers


class Said(Struct, gc=False):
    """One message."""

    at: float
    way: Way
    method: str
    body: Body
    size: int = -1
    """Bytes that it had, if `body` is not all of it any more."""
    line: Line | None = None
    is_error: bool = False
    is_whole: bool = False
    """`body` is a JSON-RPC message with the params in it."""
    headers: Headers = ()

    def let_go(self) -> None:
        if self.size < 0:
            self.size = memoryview(self.body).nbytes
        self.body, self.headers = b"", ()
        if self.line is not None:
            self.line.headers = ()


Did = tuple[float, str, str]
"""When; the name of a step; words."""


class Failure(NamedTuple):
    code: int
    body: bytes
    """The error object as JSON."""


class Trace(Struct, eq=False):
    """`id` grows with every exchange; `seq` with everything that happens to any that somebody has seen."""

    id: int
    seq: int
    begun_at: float
    method: str
    params: Body
    caller: Asker
    now: Callable[[], float]
    touch: Callable[["Trace"], None]
    """Tells that its row is another than the one that was seen."""
    headers: Headers = ()
    arrival: str = ""
    """How it came, where that is worth a word."""
    replay_of: int | None = None
    is_seen: bool = False
    """Somebody has its row as it was."""
    target: str = ""
    server: str = ""
    replica: str = ""
    saved: str = ""
    attempts: int = 0
    rounds: int = 0
    said: list[Said] = []
    steps: list[Did] = []
    held: int = 0
    """Bytes of the bodies in `said`."""
    line: Line | None = None
    """The last try."""
    is_round: bool = False
    """The next message to the server brings it input: no other try."""
    notes: int = 0
    heard_notes: int = 0
    ended_at: float | None = None
    status: ExchangeStatus = ExchangeStatus.OPEN
    result: bytes = b""
    """Or the error object."""
    size_in: int = -1
    """Of the params, once they are not here any more."""
    size_out: int = 0
    failure: Failure | None = None

    def __repr__(self) -> str:
        """Without what may be a secret."""
        return f"Trace({self.id} {self.status})"

    def _say(self, way: Way, method: str, body: Body, line: Line | None = None, is_error: bool = False) -> None:
        """What may come often, or be long and stay for long: within bounds."""
        if self.ended_at is not None or len(self.said) >= MAX_SAID:
            return
        said = Said(self.now(), way, method, body, memoryview(body).nbytes, line, is_error, way is TOLD)
        if said.size > KEPT_BYTES:
            said.body = beginning(body)
        self.held += min(said.size, KEPT_BYTES + OVERLAP_BYTES)
        if self.held > HELD_BYTES:
            said.body = b""
        self.said.append(said)

    def step(self, name: str, text: str = "") -> None:
        if self.ended_at is None and len(self.steps) < MAX_STEPS:
            self.steps.append((self.now(), name, text))

    # --- between the client and the gateway -------------------------------------------------------------------

    def told(self, message: bytes) -> None:
        """A notification to the client, as a whole message."""
        if self.notes < MAX_NOTES:
            self.notes += 1
            self._say(TOLD, "", message)

    def put(self, method: str, params: bytes) -> None:
        """The client is asked something."""
        self.step("asked", method)
        self._say(PUT, method, params)

    def came_back(self, method: str, answer: Body, *, is_error: bool = False) -> None:
        """What the client said to that."""
        self._say(CAME_BACK, method, answer, None, is_error)

    def begin_round(self) -> None:
        """The server needs input before it answers."""
        if self.ended_at is not None:
            return
        self.rounds += 1
        if self.is_seen:
            self.touch(self)

    # --- between the gateway and a server ---------------------------------------------------------------------

    def sent(self, server: str, peer: Speaker, method: str, params: bytes, headers: Headers) -> None:
        """`params` are held as they are: until the answer comes its sender holds them too."""
        if self.ended_at is not None:
            return
        if self.is_round:
            self.is_round = False
        else:
            self.attempts += 1
        self.server = server
        self.line = line = Line(server, self.replica, self.attempts or 1, peer, headers)
        self.said.append(Said(self.now(), SENT, method, params, -1, line))
        if self.is_seen:
            self.touch(self)

    def go_on_from(self, other: "Trace") -> None:
        """The call that another exchange began is this one's from now on."""
        self.line, self.replica = other.line, other.replica

    def answered(self, method: str, result: Body) -> None:
        """The last word on its try, so held as it is."""
        if self.ended_at is None:
            self.said.append(Said(self.now(), ANSWERED, method, result, -1, self.line))

    def refused(self, method: str, error: bytes) -> None:
        """The server answered with this error object."""
        self._say(ANSWERED, method, error, self.line, True)

    def heard(self, method: str, params: Body) -> None:
        """A notification of the server's for this call."""
        if self.heard_notes < MAX_NOTES:
            self.heard_notes += 1
            self._say(HEARD, method, params, self.line)

    def asked(self, method: str, params: Body) -> None:
        """The server asks something in the middle of the call."""
        self.begin_round()
        self._say(ASKED, method, params, self.line)

    def replied(self, method: str, answer: Body, *, is_error: bool = False) -> None:
        """What it was told."""
        self._say(REPLIED, method, answer, self.line, is_error)

    # --- its end ----------------------------------------------------------------------------------------------

    @property
    def bytes_in(self) -> int:
        return self.size_in if self.size_in >= 0 else memoryview(self.params).nbytes

    def forget(self) -> None:
        """Keep nothing, for whoever still holds it: what may be seen of it is kept elsewhere, or gone."""
        self.params, self.result, self.headers, self.failure = b"", b"", (), None
        self.said, self.steps, self.target = [], [], ""
        if self.line is not None:
            self.line.headers = ()

    def let_go(self) -> None:
        """Keep nothing of what was said but its size, and nothing of what else may hold a secret."""
        self.size_in, self.params, self.result = self.bytes_in, b"", b""
        self.headers, self.held = (), 0
        self.target, self.method = masked_text(self.target).text, masked_text(self.method).text
        if self.failure is not None:
            self.failure = Failure(self.failure.code, b"")
        for said in self.said:
            said.let_go()
            said.method = masked_text(said.method).text
        self.steps = [(at, name, masked_text(text).text) for at, name, text in self.steps]


def beginning(body: Body) -> bytes:
    """As much of it as may be shown, and a little more."""
    return bytes(memoryview(body)[: KEPT_BYTES + OVERLAP_BYTES])
