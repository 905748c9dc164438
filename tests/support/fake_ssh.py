"""What `ssh` is to our tunnel, without a network: a master, its command run here, forwards by its socket.

`fake_ssh` puts it on PATH. Every command line is written down; a host called `refusing` lets nobody in.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

LOG = "FAKE_SSH_LOG"


def fake_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ssh` is this from now on. Returns the file in which its command lines stand, one a line."""
    bin_folder, log = folder / "bin", folder / "ssh.log"
    bin_folder.mkdir()
    (bin_folder / "ssh").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    (bin_folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(LOG, str(log))
    return log


def asked_of(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _forward(spec: str) -> None:
    near, far = spec.split(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(far)
        except OSError as error:
            print(f"channel 1: open failed: connect failed: {error.strerror}", file=sys.stderr)
            writer.close()
            return
        await asyncio.gather(_pour(reader, back), _pour(there, writer))

    await asyncio.start_unix_server(carry, near)


async def _master(control: str, command: str) -> int:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _forward((await reader.readline()).decode().strip())
        writer.write(b"done\n")
        writer.close()

    await asyncio.start_unix_server(take, control)
    # Other gateways of this machine are none of that one's.
    there = os.environ | {"TMPDIR": os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")}
    shell = await asyncio.create_subprocess_exec("sh", "-c", command, env=there)
    return await shell.wait()


async def _ask(control: str, spec: str) -> int:
    reader, writer = await asyncio.open_unix_connection(control)
    writer.write(f"{spec}\n".encode())
    return 0 if await reader.readline() == b"done\n" else 255


async def main(arguments: list[str]) -> int:
    with Path(os.environ[LOG]).open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    end = arguments.index("--")
    options, host, command = arguments[:end], arguments[end + 1], " ".join(arguments[end + 2 :])
    if host == "refusing":
        print(f"{host}: Permission denied (publickey).\x1b]0;owned\x07", file=sys.stderr)
        return 255
    control = options[options.index("-S") + 1]
    if "-O" in options:
        return await _ask(control, options[options.index("-L") + 1])
    return await _master(control, command)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
