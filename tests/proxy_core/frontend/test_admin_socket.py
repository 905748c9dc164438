"""The admin socket: who can reach it, what it replaces, and what it leaves alone."""

import os
import socket
import stat
from pathlib import Path

import pytest

from proxy_core.config.models import AdminConfig
from proxy_core.frontend.admin_socket import AdminSocket, SocketRefused
from tests.support.admin_house import config_of, house


@pytest.fixture
def folder(own_runtime_folder: Path) -> Path:
    """Short enough for the path of a socket."""
    return own_runtime_folder


def left_behind(path: Path) -> None:
    """A socket of a process that was killed: the file is there, nobody listens."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


async def test_it_is_its_owners_alone_and_goes_with_the_gateway(folder: Path):
    async with house() as served:
        path = served.socket
        port = int(served.frontend.url.split(":")[2].partition("/")[0])
        assert path == folder / "only1mcp" / f"{port}.sock"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (await served.ask("GET", "snapshot")).status == 200
    assert not path.exists()


async def test_its_mode_does_not_hang_on_the_umask(folder: Path):
    before = os.umask(0)
    try:
        async with house() as served:
            assert stat.S_IMODE(served.socket.lstat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_none_is_made_where_none_is_wanted(folder: Path):
    async with house(config=config_of(admin=AdminConfig(socket=None))) as served:
        assert served.frontend.admin_socket is None
        assert (await served.ask_port("GET", "/healthz")).status == 200
    assert list(folder.iterdir()) == []


async def test_a_path_of_the_configuration_is_taken_as_it_is(folder: Path):
    path = folder / "mine.sock"
    async with house(config=config_of(admin=AdminConfig(socket=str(path)))) as served:
        assert served.socket == path
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert (await served.ask("GET", "snapshot")).status == 200
    assert not path.exists()


async def test_what_a_dead_gateway_left_is_replaced(folder: Path):
    path = folder / "mine.sock"
    left_behind(path)
    async with house(config=config_of(admin=AdminConfig(socket=str(path)))) as served:
        assert (await served.ask("GET", "snapshot")).status == 200


async def test_a_socket_that_somebody_answers_on_is_left_to_him(folder: Path, caplog: pytest.LogCaptureFixture):
    config = config_of(admin=AdminConfig(socket=str(folder / "mine.sock")))
    async with house(config=config) as first:
        async with house(config=config) as second:
            assert second.frontend.admin_socket is None
            # Its clients are served all the same.
            assert (await second.ask_port("GET", "/healthz")).status == 200
        assert "Another gateway is reached" in caplog.text
        assert (await first.ask("GET", "snapshot")).status == 200


async def test_a_listener_that_is_too_busy_to_answer_is_somebody(folder: Path):
    path = folder / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.setblocking(False)
        waiting.connect(str(path))
        with pytest.raises(SocketRefused, match="Another gateway"):
            AdminSocket(path, is_private=False).bind()
    assert path.exists()


@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "folder"])
async def test_what_is_no_socket_is_never_followed_or_replaced(folder: Path, kind: str):
    path, target = folder / "mine.sock", folder / "target"
    if kind == "link":
        left_behind(target)
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(target)
    elif kind == "file":
        path.write_text("precious")
    else:
        path.mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(SocketRefused, match="is no socket; it is left as it is"):
        AdminSocket(path, is_private=False).bind()
    assert sorted(folder.iterdir()) == before


async def test_a_path_that_is_too_long_is_refused_and_the_gateway_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / ("x" * 100)
    async with house(config=config_of(admin=AdminConfig(socket=str(path)))) as served:
        assert served.frontend.admin_socket is None
    assert "longer than 100 bytes" in caplog.text


async def test_a_folder_that_others_may_enter_is_not_used(folder: Path):
    folder.chmod(0o755)
    with pytest.raises(SocketRefused, match="mode 0700"):
        AdminSocket(folder / "1.sock", is_private=True).bind()
    assert list(folder.iterdir()) == []


async def test_a_folder_that_is_missing_is_said(folder: Path):
    with pytest.raises(SocketRefused, match="cannot be made"):
        AdminSocket(folder / "missing" / "1.sock", is_private=False).bind()


async def test_only_what_was_made_is_removed(folder: Path):
    made = AdminSocket(folder / "1.sock", is_private=False)
    made.bind().close()
    made.path.unlink()
    left_behind(made.path)
    made.remove()
    assert made.path.exists()
    made.remove()
