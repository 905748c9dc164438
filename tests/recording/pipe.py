"""A child process that is nothing but a pipe: its stdin and stdout, joined to a Unix socket.

python -S pipe.py SOCKET

The gateway starts it as it would start a server; whoever listens on the socket is that server. So a gateway
keeps its own stdio transport while a test answers, counts and speaks unasked in its own process.
"""

import os
import socket
import sys
import threading
from pathlib import Path

CHUNK = 65536


def command(path: Path) -> tuple[str, ...]:
    """What the gateway is to start for the server that listens on `path`."""
    return (sys.executable, "-S", str(Path(__file__).resolve()), str(path))


def main() -> None:
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    threading.Thread(target=_hand_out, args=(server,), daemon=True).start()
    while chunk := os.read(0, CHUNK):
        server.sendall(chunk)
    server.shutdown(socket.SHUT_WR)
    os._exit(0)


def _hand_out(server: socket.socket) -> None:
    while chunk := server.recv(CHUNK):
        view = memoryview(chunk)
        while view:
            view = view[os.write(1, view) :]
    os._exit(0)


if __name__ == "__main__":
    main()
