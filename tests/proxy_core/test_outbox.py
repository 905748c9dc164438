"""What is written in one turn of the loop goes out at its end, in order, and once."""

import asyncio

from proxy_core.outbox import Outbox


class Sender:
    def __init__(self, outbox: Outbox, log: list[str], name: str) -> None:
        self._outbox = outbox
        self._log = log
        self._name = name
        self.again = False

    def put(self) -> None:
        self._outbox.put(self)

    def flush(self) -> None:
        self._log.append(self._name)
        if self.again:
            self.again = False
            self.put()


async def test_all_of_a_turn_go_out_together_at_its_end() -> None:
    outbox, log = Outbox(), []
    senders = [Sender(outbox, log, name) for name in "abc"]
    for sender in senders:
        sender.put()
    assert log == []
    await asyncio.sleep(0)
    assert log == ["a", "b", "c"]
    await asyncio.sleep(0)
    assert log == ["a", "b", "c"]


async def test_what_comes_while_it_goes_out_goes_with_the_next() -> None:
    outbox, log = Outbox(), []
    first, second = Sender(outbox, log, "a"), Sender(outbox, log, "b")
    first.again = True
    first.put()
    second.put()
    await asyncio.sleep(0)
    assert log == ["a", "b"]
    await asyncio.sleep(0)
    assert log == ["a", "b", "a"]
