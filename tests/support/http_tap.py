"""A reverse proxy that writes down every JSON-RPC message that passes it; tests.support.wire_tape reads it.

python -m tests.support.http_tap --port P --to http://127.0.0.1:8080 --tape FILE
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from multidict import CIMultiDict, CIMultiDictProxy

from tests.support import reverse_proxy
from tests.support.processes import MODULE_ENV, free_port, module_command, running
from tests.support.wire_check import CLIENT, SERVER
from tests.support.wire_tape import Recorder

SESSION_HEADER, VERSION_HEADER = "Mcp-Session-Id", "Mcp-Protocol-Version"


class Listening(reverse_proxy.Relay):
    def __init__(self, recorder: Recorder, numbers: Iterator[int]) -> None:
        self._recorder = recorder
        self._exchange = next(numbers)
        self._session: str | None = None

    def request(self, headers: CIMultiDict[str], body: bytes) -> bytes:
        self._session = headers.get(SESSION_HEADER)
        if body:
            version = headers.get(VERSION_HEADER)
            self._recorder.write(CLIENT, body, self._exchange, self._session, version)
        return body

    def answered(self, headers: CIMultiDictProxy[str]) -> None:
        self._session = headers.get(SESSION_HEADER, self._session)

    def message(self, body: bytes) -> bytes:
        self._recorder.write(SERVER, body, self._exchange, self._session)
        return body


@contextmanager
def tapped(url: str, tape: Path) -> Iterator[str]:
    """What `url` serves, at another URL, with all that passes written to `tape`."""
    parts, port = urlsplit(url), free_port()
    where = f"{parts.scheme}://{parts.netloc}"
    command = module_command("tests.support.http_tap", "--port", str(port), "--to", where, "--tape", str(tape))
    with running(command, port, tape.with_suffix(".log"), MODULE_ENV):
        yield urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))


def main() -> None:
    parser = reverse_proxy.arguments("A reverse proxy that writes down what passes it.")
    parser.add_argument("--tape", type=Path, required=True)
    given = parser.parse_args()
    with Recorder(given.tape) as recorder:
        reverse_proxy.serve(given.to, given.port, partial(Listening, recorder, count(1)))


if __name__ == "__main__":
    main()
