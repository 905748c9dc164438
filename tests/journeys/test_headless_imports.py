"""Headless means headless: the process that serves has loaded nothing that draws, and nothing large in vain."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import quiet_env

SCRIPT = """
import atexit, sys
asked = sys.argv[1].split(",")
atexit.register(lambda: print([name for name in asked if name in sys.modules]))
sys.argv = ["only1mcp", *sys.argv[2:]]
from only1mcp_tui.__main__ import main
main()
"""
DRAWING = ("textual", "rich", "plotext")
NOT_ASKED_FOR = {
    "aiohttp": "10 MB, for requests off the fast path and for the admin API",
    "ruamel.yaml": "1.5 MB, for a configuration in YAML",
    "yarl": "1.5 MB, for URLs that can be written in several ways, for logins, and for issuers of tokens",
    "proxy_core.oauth.login": "0.6 MB, for servers that ask for a login",
    "tomllib": "0.1 MB, for a configuration in TOML",
    "logging.handlers": "0.2 MB, for a log in a file",
    "proxy_core.backends.http_channel": "0.5 MB, for the same servers",
    "proxy_core.frontend.stdio_front": "0.2 MB, for `only1mcp stdio`",
    "proxy_core.telemetry.prometheus": "0.1 MB, for whoever asks for /metrics",
    "psutil": "0.7 MB, for the processes of stdio servers",
    "platformdirs": "for an environment that does not say where things are",
    "difflib": "for a configuration that is wrong",
}
"""What a gateway does without until somebody needs it, and what for."""


def loaded(tmp_path: Path, asked: tuple[str, ...], *options: str, **variables: str) -> tuple[list[str], str]:
    """Which of the modules a gateway that has begun to serve has loaded; and what it said first."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, ",".join(asked), *options, "--port", "0"],
        cwd=tmp_path,
        env=quiet_env(tmp_path) | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "serving http" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(said) + rest
    return [name for name in asked if repr(name) in out], said[0]


@pytest.mark.parametrize("options", [["--headless"], []], ids=["asked for", "without a terminal"])
def test_a_headless_gateway_loads_no_textual(tmp_path: Path, options: list[str]):
    found, first = loaded(tmp_path, DRAWING, *options, "--demo")
    assert found == []
    assert ("no terminal on stdout" in first) == (not options)


SERVER = '{"id": "far", "transport": {"type": "http", "url": "http://127.0.0.1:9/mcp"}}'
REMOTE = "proxy_core.backends.http_channel"


@pytest.mark.parametrize(("servers", "needed"), [("", []), (SERVER, [REMOTE])], ids=["none", "over HTTP"])
def test_a_gateway_loads_nothing_large_before_it_is_needed(tmp_path: Path, servers: str, needed: list[str]):
    """Ours to keep: memory and the time of a start."""
    config = tmp_path / "only1mcp.json"
    config.write_text(f'{{"version": 1, "servers": [{servers}]}}')
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    asked = ("asyncio", *NOT_ASKED_FOR)
    found, _ = loaded(
        tmp_path, asked, "--headless", "--config", str(config), XDG_RUNTIME_DIR=str(runtime), HOME=str(tmp_path)
    )
    assert found == ["asyncio", *needed], "loaded for nothing; what each is for says NOT_ASKED_FOR"
