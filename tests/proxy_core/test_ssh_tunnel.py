"""The way to a gateway on another machine: our part over an `ssh` of our own, all of it over a real sshd."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy_core import remote_control, ssh_tunnel
from proxy_core.config.models import AdminConfig
from proxy_core.control_client import RemoteControl
from proxy_core.errors import GatewayUnreachable
from proxy_core.ssh_tunnel import SshRefused, SshTarget, SshTunnel, ssh_target
from tests.support.admin_house import config_of, house
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.fake_ssh import asked_of, fake_ssh
from tests.support.processes import living_children
from tests.support.ssh_server import SSHD, ssh_server


async def until(look: Callable[[], Any]) -> Any:
    async with asyncio.timeout(20):
        while not (found := look()):
            await asyncio.sleep(0.01)
    return found


@pytest.fixture
def control() -> FakeControl:
    return FakeControl(snapshot_of([row_of("search"), row_of("notes")]))


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S"):
        monkeypatch.setattr(ssh_tunnel, name, 0.02)
        monkeypatch.setattr(remote_control, name, 0.02)
    return fake_ssh(tmp_path, monkeypatch)


@pytest.fixture
def sockets(own_runtime_folder: Path) -> Path:
    folder = own_runtime_folder / "only1mcp"
    folder.mkdir(mode=0o700)
    return folder


def quiet(line: str) -> None:
    """Nobody reads it."""


# --- what may be asked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://build", SshTarget("build")),
        ("ssh://Build-2.example.com/", SshTarget("Build-2.example.com")),
        ("ssh://ada@build:2222", SshTarget("build", "ada", 2222)),
        ("ssh://ada@[fe80::1%25en0]:22", SshTarget("fe80::1%25en0", "ada", 22)),
        (
            "ssh://build/run/user/1000/only1mcp/8080.sock",
            SshTarget("build", socket="/run/user/1000/only1mcp/8080.sock"),
        ),
        ("ssh://build/tmp/a%20b.sock", SshTarget("build", socket="/tmp/a b.sock")),
    ],
)
def test_a_target_says_whom_where_and_perhaps_which_socket(url: str, expected: SshTarget):
    assert ssh_target(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ssh://",
        "ssh://-oProxyCommand=touch%20x",
        "ssh://-oProxyCommand=x@host",
        "ssh://a b",
        "ssh://host;id",
        "ssh://$(id)",
        "ssh://ho`st",
        "ssh://ada:secret@host",
        "ssh://%2doX@host",
        "ssh://a'b@host",
        "ssh://host:port",
        "ssh://host:70000",
        "ssh://host/a:b.sock",
        "ssh://host/a%0ab",
        "ssh://host/a?b",
        "ssh://host/a#b",
        "ssh://host/a%5cb",
    ],
)
def test_what_ssh_could_take_for_something_else_is_refused(url: str):
    with pytest.raises(SshRefused):
        ssh_target(url)


def test_a_target_is_written_as_it_is_read():
    for url in ("ssh://ada@build:2222/tmp/x.sock", "ssh://[::1]:22", "ssh://build"):
        assert str(ssh_target(url)) == url


# --- over an ssh of our own -----------------------------------------------------------------------------------


async def test_the_one_gateway_there_is_found_and_steered(ssh: Path, sockets: Path, control: FakeControl):
    config = config_of(admin=AdminConfig(socket=str(sockets / "8080.sock")))
    async with house(control, config), SshTunnel(SshTarget("build", "ada", 2222), quiet) as tunnel:
        assert tunnel.local.parent.stat().st_mode & 0o777 == 0o700
        async with RemoteControl(tunnel.local, fault=tunnel.fault) as remote:
            await remote.drain("search")
        child = tunnel._child
        assert child is not None
        # Where it may ask it must have the terminal that we have.
        assert os.getsid(child.process.pid) == os.getsid(0)
    assert control.asked == [("drain", "search")]
    assert child.process.returncode is not None
    assert not tunnel.local.parent.exists()
    connecting, forwarding = asked_of(ssh)
    assert connecting[connecting.index("--") + 1] == forwarding[-1] == "ada@build"
    assert connecting[connecting.index("-p") + 1] == "2222"
    assert not any("BatchMode" in word for word in connecting)
    assert forwarding[forwarding.index("-L") + 1] == f"{tunnel.local}:{sockets / '8080.sock'}"


async def test_where_there_is_none_or_more_than_one_that_is_said(ssh: Path, sockets: Path):
    with pytest.raises(SshRefused, match="No gateway of this user runs at build"):
        async with SshTunnel(SshTarget("build"), quiet):
            pass
    kept = []
    for name in ("1.sock", "2.sock"):
        kept.append(socket.socket(socket.AF_UNIX))
        kept[-1].bind(str(sockets / name))
    (sockets / "3.sock").write_text("no socket")
    with pytest.raises(SshRefused, match="several gateways at build") as refused:
        async with SshTunnel(SshTarget("build"), quiet):
            pass
    assert refused.value.message.splitlines()[1:] == [
        f"  ssh://build{sockets}/{number}.sock" for number in (1, 2)
    ]
    for one in kept:
        one.close()


async def test_a_refusal_is_told_in_its_own_words_made_harmless(ssh: Path):
    said: list[str] = []
    with pytest.raises(GatewayUnreachable, match="ssh to refusing ended with code 255: refusing: Permission"):
        async with SshTunnel(SshTarget("refusing"), said.append):
            pass
    assert said == ["refusing: Permission denied (publickey).?]0;owned?"]


async def test_without_ssh_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SshRefused, match="no ssh on this machine"):
        async with SshTunnel(SshTarget("build"), quiet):
            pass


async def test_one_who_does_not_answer_is_given_up(
    ssh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_runtime_folder: Path
):
    monkeypatch.setattr(ssh_tunnel, "ASK_S", 0.3)
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(GatewayUnreachable, match="did not answer in time"):
        async with SshTunnel(SshTarget("build"), quiet):
            pass
    assert living_children() == []


async def test_a_connection_that_is_lost_is_said_and_made_again_without_asking_anybody(
    ssh: Path, sockets: Path, control: FakeControl
):
    config = config_of(admin=AdminConfig(socket=str(sockets / "8080.sock")))
    async with (
        house(control, config),
        SshTunnel(SshTarget("build"), quiet) as tunnel,
        RemoteControl(tunnel.local, name="ssh://build", fault=tunnel.fault) as remote,
    ):
        remote.follow()
        first = tunnel._child
        assert first is not None
        first.process.kill()
        lost = await until(lambda: remote.snapshot().stale_since and remote.snapshot())
        assert lost.notices[0].text.startswith("No gateway at ssh://build: ")
        await until(lambda: remote.snapshot().stale_since is None)
        again = tunnel._child
        assert again is not None and again.process.pid != first.process.pid
        assert os.getsid(again.process.pid) == again.process.pid
        await remote.drain("search")
    connecting = [words for words in asked_of(ssh) if "-M" in words]
    assert ["BatchMode=yes" in words for words in connecting] == [False, *[True] * (len(connecting) - 1)]


async def test_while_there_is_no_way_a_verb_says_why(ssh: Path, sockets: Path, control: FakeControl):
    config = config_of(admin=AdminConfig(socket=str(sockets / "8080.sock")))
    async with (
        house(control, config),
        SshTunnel(SshTarget("build"), quiet) as tunnel,
        RemoteControl(tunnel.local, name="ssh://build", fault=tunnel.fault) as remote,
    ):
        (ssh.parent / "bin" / "ssh").write_text("#!/bin/sh\necho Network is unreachable >&2\nexit 255\n")
        assert tunnel._child is not None
        tunnel._child.process.kill()
        await until(lambda: "Network is unreachable" in (tunnel.fault() or ""))
        with pytest.raises(
            GatewayUnreachable, match=r"No gateway at ssh://build: .*: Network is unreachable\."
        ):
            await remote.drain("search")
    assert control.asked == []


def test_a_connection_does_not_outlive_us_however_we_end(ssh: Path, sockets: Path):
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(sockets / "8080.sock"))
    script = (
        "import asyncio, os, signal\n"
        "from proxy_core.ssh_tunnel import SshTarget, SshTunnel\n"
        "async def main():\n"
        "    async with SshTunnel(SshTarget('build'), print) as tunnel:\n"
        "        print(tunnel._child.process.pid, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    try:
        psutil.Process(int(done.stdout)).wait(20)
    except psutil.NoSuchProcess:
        pass
    one.close()


# --- over a real one ------------------------------------------------------------------------------------------


@pytest.mark.skipif(SSHD is None, reason="needs sshd, which only Linux machines are given")
async def test_over_a_real_sshd_a_gateway_is_found_steered_and_found_again(
    tmp_path: Path,
    own_runtime_folder: Path,
    sockets: Path,
    control: FakeControl,
    monkeypatch: pytest.MonkeyPatch,
):
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S"):
        monkeypatch.setattr(ssh_tunnel, name, 0.05)
        monkeypatch.setattr(remote_control, name, 0.05)
    config = config_of(admin=AdminConfig(socket=str(sockets / "8080.sock")))
    async with house(control, config):
        with ssh_server(tmp_path, own_runtime_folder, monkeypatch) as host:
            async with (
                SshTunnel(SshTarget(host), quiet) as tunnel,
                RemoteControl(tunnel.local, name=f"ssh://{host}", fault=tunnel.fault) as remote,
            ):
                assert tunnel.local.stat().st_mode & 0o077 == 0
                await remote.drain("search")
                remote.follow()
                assert tunnel._child is not None
                tunnel._child.process.kill()
                await until(lambda: remote.snapshot().stale_since is not None)
                await until(lambda: remote.snapshot().stale_since is None)
                await remote.drain("notes")
    assert control.asked == [("drain", "search"), ("drain", "notes")]
