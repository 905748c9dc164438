"""A recorded session as data: what clients asked and were answered, what servers answered and said.

Kept as one JSON file. Bodies are kept once each and named by their place in `bodies`: most lists are asked for
again and again. Offsets are milliseconds of the recorded day, which is the script's day and not the clock's.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]
FORMAT: Final = 1
BEFORE_THE_DAY: Final = -1
"""The offset of what happened while the gateway started."""
OPENS, LISTENS, ENDS = "initialize", "GET", "DELETE"
"""Of a legacy session: the handshake with its `notifications/initialized`, its own stream, its end."""
SUBSCRIBES: Final = "subscriptions/listen"
HEARS: Final = "hears"
"""No request: the session goes on once it has been told `method` for the `times`th time."""
UNANSWERED: Final = frozenset({LISTENS, ENDS, SUBSCRIBES, HEARS})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client; those of one offset are sent together."""

    at_ms: int
    client: str
    session: str
    """Of one client; a modern one has none on the wire, and this is its conversation."""
    revision: str
    method: str
    """JSON-RPC, or one of OPENS, LISTENS, ENDS, HEARS."""
    params: Json
    """Without the envelope of the modern era, which is put on again."""
    answer: Json | None
    """`{"result": ...}` or `{"error": ...}`; None for streams and the end of a session."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request of the gateway to a server, and what came of it."""

    at_ms: int
    method: str
    params: Json
    """Without `_meta`, which is the gateway's own."""
    outcome: Json | None
    """`{"result": ...}` or `{"error": ...}`; None if it was left open."""
    told: tuple[Json, ...] = ()
    """Notifications that came between this request and its answer."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said while it was asked nothing: a notification, or a request of its own."""

    at_ms: int
    message: Json


@dataclass(frozen=True, slots=True)
class Server:
    id: str
    package: str
    version: str
    registry: str
    licence: str
    answers: tuple[Answered, ...]
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Session:
    about: str
    servers: tuple[Server, ...]
    asked: tuple[Asked, ...]
    """In the order of their offsets."""


def load(path: Path) -> Session:
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["format"] != FORMAT:
        raise ValueError(f"{path} has format {data['format']}, not {FORMAT}")
    bodies: list[Any] = data["bodies"]

    def body(place: int | None) -> Any:
        return None if place is None else bodies[place]

    def server(each: Json) -> Server:
        answers = tuple(
            Answered(at, method, body(params), body(outcome), tuple(body(place) for place in told))
            for at, method, params, outcome, told in each.pop("answers")
        )
        said = tuple(Said(at, body(place)) for at, place in each.pop("said"))
        return Server(**each, answers=answers, said=said)

    asked = (
        Asked(at, client, session, revision, method, body(params), body(answer))
        for at, client, session, revision, method, params, answer in data["asked"]
    )
    return Session(data["about"], tuple(server(each) for each in data["servers"]), tuple(asked))


def save(session: Session, path: Path) -> None:
    """One line for each request, answer and body, so that a change of the data can be read."""
    shelf = _Shelf()
    asked = [
        [a.at_ms, a.client, a.session, a.revision, a.method, shelf.place(a.params), shelf.place(a.answer)]
        for a in session.asked
    ]
    servers = [_server_rows(server, shelf) for server in session.servers]
    parts = [
        f'"format":{FORMAT}',
        f'"about":{_compact(session.about)}',
        '"asked":[\n' + _lines(asked) + "\n]",
        '"servers":[\n' + ",\n".join(servers) + "\n]",
        '"bodies":[\n' + _lines(shelf.bodies) + "\n]",
    ]
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def _server_rows(server: Server, shelf: "_Shelf") -> str:
    head = {name: getattr(server, name) for name in ("id", "package", "version", "registry", "licence")}
    answers = [
        [a.at_ms, a.method, shelf.place(a.params), shelf.place(a.outcome), [shelf.place(m) for m in a.told]]
        for a in server.answers
    ]
    said = [[each.at_ms, shelf.place(each.message)] for each in server.said]
    return _compact(head)[:-1] + ',"answers":[\n' + _lines(answers) + '\n],"said":[\n' + _lines(said) + "\n]}"


def _lines(rows: Iterable[Any]) -> str:
    return ",\n".join(_compact(row) for row in rows)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Shelf:
    """Every body once."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, body: Any) -> int | None:
        if body is None:
            return None
        key = json.dumps(body)
        if key not in self._places:
            self._places[key] = len(self.bodies)
            self.bodies.append(body)
        return self._places[key]


def canonical(params: Json | None) -> str:
    """The same text for parameters that mean the same; `_meta` is no part of what is asked for."""
    return json.dumps(
        {name: value for name, value in (params or {}).items() if name != "_meta"}, sort_keys=True
    )
