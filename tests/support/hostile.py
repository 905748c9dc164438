"""Instances of whatever a screen may be handed, with hostile text in every field that holds text.

Made from the types alone, so that a field or a fact that is added is covered without a word here.
"""

import enum
import types
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from proxy_core.control import ReloadPlan
from proxy_core.facts import Fact
from proxy_core.telemetry.context_bill import ContextBill
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow
from proxy_core.telemetry.snapshot import LogLine, NamedItem, ServerDetail, ServerState, Snapshot
from tests.support.fake_control import NOW, WALL, FakeControl

PIECES: Final = (
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]0;pwned\x07",
    "\x1b[2J\x1b[31m",
    "\x1bP+q\x1b\\",
    "\x9b31m\x9d0;x\x9c",
    "\x00\r\n\t\x7f",
    "\u202etxt\u2066\u2069",
    "\u200b\u200d\ufeff\u2028",
    "[/b][bold red]x[/etc] [link=x]",
    '{"path":"[/etc]"}',
    "日本語🙂",
    "e\u0301\u0301\u0301",
    "\ud800\udfff",
    "\U000e0041\ufe0f",
    "plain words",
)
HUGE: Final = "x\x1b[2J" * 200_000
"""A megabyte in one line."""


class Maker:
    """Makes instances; `text` gives the hostile text of each field, which is made unique where it is a name."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._numbers = count(1)

    def make(self, kind: Any) -> Any:
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            return self.make(next(part for part in parts if part is not type(None)))
        if origin is Literal:
            return parts[0]
        if origin is tuple or kind is tuple:
            several = (parts[0], parts[0]) if len(parts) == 2 and parts[1] is ... else parts
            return tuple(self.make(part) for part in several)
        if origin is not None and issubclass(origin, Mapping):
            return {self.make(parts[0]): self.make(parts[1])}
        if origin is not None and issubclass(origin, Sequence):
            return [self.make(parts[0])]
        return self._plain(kind)

    def _plain(self, kind: Any) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._whole(kind)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            members = list(kind)
            return members[next(self._numbers) % len(members)]
        if kind is str:
            return f"{self._text()}{next(self._numbers)}"
        if kind is bytes:
            return self._text().encode(errors="replace")
        if kind is bool:
            return True
        if kind is int:
            return next(self._numbers)
        return NOW if kind is float else self._text()

    def _whole(self, kind: Any) -> Any:
        hints = get_type_hints(kind)
        return kind(**{each.name: self.make(hints[each.name]) for each in msgspec.structs.fields(kind)})

    def facts(self) -> list[Any]:
        """One of each kind."""
        return [self.make(kind) for kind in get_args(Fact)]


def hostile_control(text: Callable[[], str]) -> FakeControl:
    """A gateway that says nothing harmless."""
    maker = Maker(text)
    # A row of every state, and something of everything else.
    states = [msgspec.structs.replace(row, state=state) for state in ServerState for row in [_row(maker)]]
    snapshot: Snapshot = msgspec.structs.replace(maker.make(Snapshot), at=NOW, wall=WALL, servers=tuple(states))
    control = FakeControl(snapshot)
    for row in states:
        items = tuple(
            msgspec.structs.replace(maker.make(NamedItem), kind=kind)
            for kind in ("tool", "resource", "template", "prompt")
        )
        control.details[row.id] = msgspec.structs.replace(maker.make(ServerDetail), items=items)
    control.tell(*maker.facts())
    control.log(*(maker.make(LogLine) for _ in range(5)))
    rows = [maker.make(ExchangeRow) for _ in range(5)]
    control.see(*rows)
    control.exchanges = {row.id: maker.make(ExchangeDetail) for row in rows}
    control.plan = maker.make(ReloadPlan)
    control.bills = [maker.make(ContextBill)]
    control.items = tuple(maker.make(NamedItem) for _ in range(3))
    return control


def _row(maker: Maker) -> Any:
    row = maker.make(Snapshot).servers[0]
    # A slash parts a server from its replica: no server may be called so.
    return msgspec.structs.replace(row, id=row.id.replace("/", "_"))
