"""Pages of a hostile authorization server: a process of its own, with any number of ports.

Each path says what a test wants it to, byte for byte, and whoever comes is noted, also if he says no HTTP. The
tests' side talks to it by lines of JSON over its stdin and stdout; the end of its stdin is the end of it.
"""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_NOTHING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_MAX_LINE = 16 << 20


class Hostile:
    """The tests' side of one port."""

    def __init__(self, process: "Strangers", opened: Json) -> None:
        self._process = process
        self.port = int(opened["port"])
        self.url = f"http://127.0.0.1:{self.port}"

    def says(self, path: str, document: Any, status: str = "200 OK", *headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = "".join(f"{line}\r\n" for line in headers)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.answers(path, head.encode() + body)

    def answers(self, path: str, raw: bytes) -> None:
        """All that whoever asks for this path gets; then it hangs up."""
        self._process.tell("answers", self.port, path=path, raw=base64.b64encode(raw).decode())

    @property
    def asked(self) -> list[str]:
        """The path of each request so far, or the first bytes of what was none."""
        return list(self._process.tell("asked", self.port)["asked"])

    def forget(self) -> None:
        """What was asked until now."""
        self._process.tell("forget", self.port)


class Strangers:
    """The tests' side of the process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @contextmanager
    def listening(self, certificate: tuple[Path, Path] | None = None) -> Iterator[Hostile]:
        """One port more. `certificate` and its key: it speaks TLS."""
        files = None if certificate is None else [str(each) for each in certificate]
        hostile = Hostile(self, self.tell("open", 0, certificate=files))
        try:
            yield hostile
        finally:
            self.tell("close", hostile.port)

    def tell(self, verb: str, port: int, **more: Any) -> Json:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verb": verb, "port": port, **more}).encode() + b"\n")
        self._process.stdin.flush()
        told: Json = json.loads(self._process.stdout.readline())
        return told


@contextmanager
def strangers() -> Iterator[Strangers]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pages"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Strangers(process)
    finally:
        process.communicate(timeout=20)


# --- the process ----------------------------------------------------------------------------------------------


class Port:
    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.server: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            writer.write(self.answers.get(path, _NOTHING))
            await writer.drain()
        except asyncio.IncompleteReadError as error:
            self.asked.append(repr(error.partial[:40]))
        except (ConnectionError, IndexError, ValueError, asyncio.LimitOverrunError) as error:
            self.asked.append(repr(error))
        finally:
            writer.close()


class Ports:
    def __init__(self) -> None:
        self._ports: dict[int, Port] = {}

    async def do(self, verb: str, port: int, **more: Any) -> Json:
        match verb:
            case "open":
                return {"port": await self._open(more["certificate"])}
            case "answers":
                self._ports[port].answers[more["path"]] = base64.b64decode(more["raw"])
            case "asked":
                return {"asked": self._ports[port].asked}
            case "forget":
                self._ports[port].asked.clear()
            case "close":
                server = self._ports.pop(port).server
                assert server is not None
                server.close()
        return {}

    async def _open(self, certificate: list[str] | None) -> int:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        port = Port()
        port.server = await asyncio.start_server(port.serve, "127.0.0.1", 0, ssl=context)
        number = int(port.server.sockets[0].getsockname()[1])
        self._ports[number] = port
        return number


async def main() -> None:
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ports = Ports()
    while line := await reader.readline():
        print(json.dumps(await ports.do(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
