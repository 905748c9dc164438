"""Where the admin socket is: the same path for the gateway and for who asks it, in a folder of its owner's."""

import os
import tempfile
from pathlib import Path

import platformdirs
import pytest

from proxy_core import runtime
from proxy_core.runtime import MAX_PATH_BYTES, folder_fault, owner_fault, socket_path


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, own_runtime_folder: Path) -> Path:
    """The temporary folder of this test: short, as that of a system is."""
    folder = own_runtime_folder / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_it_is_in_the_runtime_folder_and_bears_the_port(own_runtime_folder: Path):
    path = socket_path(8080, {"XDG_RUNTIME_DIR": str(own_runtime_folder)})
    assert path == own_runtime_folder / "only1mcp" / "8080.sock"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert socket_path(8080, {"XDG_RUNTIME_DIR": str(own_runtime_folder)}) == path


def test_without_the_variable_it_is_where_the_platform_keeps_such(
    own_runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runtime, "_IS_LINUX", False)
    monkeypatch.setattr(platformdirs, "user_runtime_path", lambda **_: own_runtime_folder)
    assert socket_path(1, {}) == own_runtime_folder / "only1mcp" / "1.sock"


def test_on_linux_it_is_then_where_a_login_would_have_it(
    own_runtime_folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runtime, "_IS_LINUX", True)
    monkeypatch.setattr(runtime, "_USUAL", f"{own_runtime_folder}/{{user}}")
    usual = own_runtime_folder / str(os.getuid())
    usual.mkdir()
    assert socket_path(1, {}) == usual / "only1mcp" / "1.sock"
    monkeypatch.setattr(runtime, "_USUAL", "/nowhere/{user}")
    assert socket_path(1, {}).parent.parent == temporary


@pytest.mark.parametrize("folder", ["relative/folder", "/nowhere/at/all", "/proc/1/nowhere"])
def test_a_folder_that_cannot_be_made_is_replaced_by_one_of_the_temporary_folder(temporary: Path, folder: str):
    path = socket_path(1, {"XDG_RUNTIME_DIR": folder})
    if folder.startswith("/"):
        assert path == temporary / f"only1mcp-{os.getuid()}" / "1.sock"
    assert path.is_absolute()
    assert folder_fault(path.parent) is None


def test_a_path_that_no_socket_can_have_is_not_taken(temporary: Path, own_runtime_folder: Path):
    deep = own_runtime_folder / ("x" * MAX_PATH_BYTES)
    deep.mkdir()
    path = socket_path(1, {"XDG_RUNTIME_DIR": str(deep)})
    assert path.parent.parent == temporary


def test_the_longest_path_that_fits_is_taken(temporary: Path, own_runtime_folder: Path):
    room = MAX_PATH_BYTES - len(os.fsencode(own_runtime_folder)) - len("//only1mcp/1.sock")
    deep = own_runtime_folder / ("x" * room)
    deep.mkdir()
    path = socket_path(1, {"XDG_RUNTIME_DIR": str(deep)})
    assert (path.parent.parent, len(os.fsencode(path))) == (deep, MAX_PATH_BYTES)


def test_a_link_and_a_folder_that_others_may_enter_are_not_used(temporary: Path, own_runtime_folder: Path):
    folder = own_runtime_folder / "only1mcp"
    elsewhere = own_runtime_folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    environ = {"XDG_RUNTIME_DIR": str(own_runtime_folder)}
    assert socket_path(1, environ).parent.parent == temporary
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o750)
    assert socket_path(1, environ).parent.parent == temporary
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "cannot be used"),
        (lambda path: path.write_text(""), "is not a folder"),
        (lambda path: path.symlink_to(path.parent), "is not a folder"),
        (lambda path: (path.mkdir(), path.chmod(0o701)), "open to other users"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, make: object, words: str):
    make(tmp_path / "folder")  # type: ignore[operator]
    assert words in str(folder_fault(tmp_path / "folder"))


def test_what_another_user_owns_is_neither_used_nor_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tmp_path.chmod(0o700)
    assert (folder_fault(tmp_path), owner_fault(tmp_path)) == (None, None)
    if os.getuid() == 0:
        # What the system's own user made is believed.
        os.chown(tmp_path, 12345, -1)
    monkeypatch.setattr(runtime, "_user", lambda: 999)
    assert "another user" in str(folder_fault(tmp_path))
    assert "another user" in str(owner_fault(tmp_path))
    assert "no such socket" in str(owner_fault(tmp_path / "missing"))
