"""A start that cannot succeed says why in one message and leaves nothing behind; a good one keeps secrets."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving, stdio, write_config
from tests.support.processes import bad_command, demo_command, eventually, free_port, quiet_env
from tests.support.wire import call, connected, once_listed

SECRETS = ("hush-env-value", "hush-argument", "hush-header", "hush-query", "hush-tool-argument")
FAULTY = """\
version: 1
proxy:
  port: 99999
servers:
  - id: Bad_Id
    transport: {type: stdio, command: node}
  - id: web
    transport: {type: carrier-pigeon, url: http://127.0.0.1/mcp}
  - id: fine
    transport: {type: stdio, command: touch, args: [started]}
logging:
  levle: debug
"""


def _only1mcp(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=quiet_env(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_fault_of_a_configuration_is_told_at_once_and_nothing_starts(tmp_path: Path) -> None:
    """Exit code 2; file, line, key and what is allowed for each of them; no traceback."""
    (tmp_path / "only1mcp.yaml").write_text(FAULTY)
    ended = _only1mcp(tmp_path, "--headless")
    assert ended.returncode == 2
    for line, key in (
        (3, "proxy.port"),
        (5, "servers[0].id"),
        (8, "servers[1].transport"),
        (12, "logging.levle"),
    ):
        assert f"only1mcp.yaml:{line}: {key}" in ended.stderr, ended.stderr
    assert "logging.level" in ended.stderr or "did you mean" in ended.stderr.lower()
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("text", ["servers: [", "\x00\x01", "[]", "- just\n- a list\n", "\xff"])
def test_a_file_that_is_no_configuration_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "only1mcp.yaml").write_bytes(text.encode("latin-1"))
    ended = _only1mcp(tmp_path, "--headless")
    assert ended.returncode == 2
    assert "only1mcp.yaml" in ended.stderr and "Traceback" not in ended.stderr


def test_a_port_in_use_is_told_with_its_holder_and_nothing_starts(tmp_path: Path) -> None:
    """Exit code 3, before any server has been started."""
    config = write_config(tmp_path, [stdio("touch", ("touch", str(tmp_path / "started")))])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _only1mcp(tmp_path, "--headless", "--config", str(config), "--port", str(port))
    assert ended.returncode == 3
    assert f"Port {port} on 127.0.0.1 is in use" in ended.stderr
    if sys.platform == "linux":
        assert f"(pid {os.getpid()})" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "started").exists()


def test_without_a_terminal_it_runs_headless_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, [stdio("clock", demo_command("clock"))], arguments=()) as gateway:
        assert "Running headless: no terminal on stdout" in gateway.log


def test_without_a_configuration_the_demo_servers_run(tmp_path: Path) -> None:
    """In a home that has none: three healthy servers, and their files stay in that home."""
    gateway = GatewayProcess(tmp_path, ["--headless", "--port", "0"])
    try:
        eventually(lambda: _healthy(gateway) == {"clock", "notes", "flaky"}, "the demo servers are healthy")
    finally:
        gateway.close()
    assert list(tmp_path.rglob("demo-notes.sqlite3"))


def _healthy(gateway: GatewayProcess) -> set[str]:
    return {line["source"] for line in gateway.lines if line["message"] == "healthy"}


async def test_no_secret_of_the_configuration_or_of_a_call_is_logged(tmp_path: Path) -> None:
    """Not in the lines about starts, failures, retries and calls, at the most talkative level."""
    env, argument, header, query, told = SECRETS
    headers = {"Authorization": f"Bearer {header}", "X-Api-Key": header}
    url = f"http://127.0.0.1:{free_port()}/mcp?api_key={query}"
    servers = [
        stdio("flaky", (*demo_command("flaky"), f"--token={argument}"), env={"API_TOKEN": env}),
        stdio("crash", (*bad_command("crash"), "--password", argument), env={"API_TOKEN": env}),
        stdio("missing", ("/no/such/program", f"--api-key={argument}")),
        {**remote("web", url), "transport": {"type": "http", "url": url, "headers": headers}},
    ]
    with serving(tmp_path, servers, logging={"level": "debug"}) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "flaky__echo")
            for name in ("echo", "fail", "delay"):
                await call(client, f"flaky__{name}", {"text": told, "message": told, "seconds": told})
            await call(client, "web__anything", {"text": told})
        bad = {"crash", "missing", "web"}
        eventually(lambda: bad <= {line["source"] for line in gateway.lines}, "all failures are logged")
        gateway.signal(signal.SIGTERM)
        gateway.wait()
        log = gateway.log
    assert [secret for secret in SECRETS if secret in log] == []
    assert "hush" not in log
