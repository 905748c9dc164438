"""Secrets that outlive a run: where they are kept, who can read them, and what happens if nobody can."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from proxy_core.vault.keyrings import KeyringFailed, SystemKeyring
from proxy_core.vault.sealed_file import KEY_ENV
from proxy_core.vault.vault import MAX_BYTES, Vault, VaultFailed

SECRET = "a-secret-of-some-length"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


class NoKeyring(SystemKeyring):
    @property
    def is_there(self) -> bool:
        return False


class FakeKeyring(SystemKeyring):
    """One that works, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    @property
    def is_there(self) -> bool:
        return True

    def get(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def set(self, service: str, name: str, value: str) -> None:
        self.kept[service, name] = value

    def delete(self, service: str, name: str) -> None:
        del self.kept[service, name]


def headless(environ: Mapping[str, str], **more: str) -> Vault:
    return Vault({**environ, **more}, NoKeyring())


def files(environ: Mapping[str, str]) -> list[Path]:
    return sorted((Path(environ["XDG_STATE_HOME"]) / "only1mcp").iterdir())


def test_without_a_keyring_a_secret_is_sealed_in_a_file_that_its_owner_alone_can_read(environ: dict[str, str]):
    where = headless(environ).write("github", "token", SECRET)
    assert where == "a sealed file, as there is no keyring here"
    assert headless(environ).read("github", "token") == SECRET
    for path in files(environ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert SECRET.encode() not in path.read_bytes()
    assert stat.S_IMODE(files(environ)[0].parent.stat().st_mode) == 0o700


def test_secrets_are_listed_by_name_replaced_and_deleted(environ: dict[str, str]):
    vault = headless(environ)
    vault.write("b", "two", "first value")
    vault.write("a", "one", SECRET)
    vault.write("b", "two", "second value")
    vault.write("only1mcp-login", "x", SECRET)
    assert vault.addresses() == ("a/one", "b/two")
    assert vault.read("b", "two") == "second value"
    assert vault.delete("a", "one")
    assert not vault.delete("a", "one")
    assert vault.read("a", "one") is None
    assert vault.addresses() == ("b/two",)


def test_a_key_of_the_environment_seals_without_a_file_and_opens_nothing_if_it_is_another(
    environ: dict[str, str],
):
    headless(environ, **{KEY_ENV: "one key"}).write("a", "one", SECRET)
    assert [path.name for path in files(environ) if not path.name.startswith(".")] == ["secrets.json"]
    assert headless(environ, **{KEY_ENV: "one key"}).read("a", "one") == SECRET
    for other in ({KEY_ENV: "another key"}, {}):
        with pytest.raises(VaultFailed, match="sealed with another key") as caught:
            headless(environ, **other).read("a", "one")
        assert SECRET not in str(caught.value)
    mistaken = headless(environ, **{KEY_ENV: "one kee"})
    mistaken.write("b", "two", SECRET)
    mistaken.write("only1mcp-login", "c", SECRET)
    assert mistaken.unopened() == ("a/one",)
    assert headless(environ, **{KEY_ENV: "one key"}).unopened() == ("b/two",)


def test_what_was_sealed_under_one_name_does_not_open_under_another(environ: dict[str, str]):
    vault = headless(environ)
    vault.write("a", "one", SECRET)
    path = next(path for path in files(environ) if path.name == "secrets.json")
    content = json.loads(path.read_text())
    content["entries"]["b/two"] = content["entries"]["a/one"]
    path.write_text(json.dumps(content))
    with pytest.raises(VaultFailed):
        vault.read("b", "two")


def test_a_key_file_that_others_can_read_is_not_used(environ: dict[str, str]):
    headless(environ).write("a", "one", SECRET)
    key = next(path for path in files(environ) if path.name == "secrets.key")
    key.chmod(0o640)
    with pytest.raises(VaultFailed, match="open to other users"):
        headless(environ).read("a", "one")


def test_two_who_write_at_once_lose_nothing_of_each_other(environ: dict[str, str]):
    threads = [
        threading.Thread(target=headless(environ).write, args=("s", f"n{index}", SECRET)) for index in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(headless(environ).addresses()) == 12
    assert all(headless(environ).read("s", f"n{index}") == SECRET for index in range(12))


def test_a_secret_that_cannot_be_written_is_said_to_be_so(environ: dict[str, str], tmp_path: Path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder should be")
    with pytest.raises(VaultFailed):
        headless({"XDG_STATE_HOME": str(blocked), "HOME": str(tmp_path)}).write("a", "one", SECRET)
    with pytest.raises(VaultFailed, match="too large"):
        headless(environ).write("a", "one", "x" * (MAX_BYTES + 1))


def test_with_a_keyring_the_file_has_the_name_alone(environ: dict[str, str]):
    keyring = FakeKeyring()
    vault = Vault(environ, keyring)
    assert vault.write("github", "token", SECRET) == "the keyring of the system"
    assert keyring.kept == {("github", "token"): SECRET}
    assert vault.addresses() == ("github/token",)
    assert [path.name for path in files(environ) if path.suffix == ".key"] == []
    assert vault.read("github", "token") == SECRET
    assert vault.delete("github", "token")
    assert keyring.kept == {}
    assert vault.addresses() == ()
    # Kept with the keyring's own tools.
    keyring.set("other", "tool", SECRET)
    assert vault.read("other", "tool") == SECRET


def fake_library(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    library = ModuleType("keyring")
    library.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, "keyring", library)


def test_a_keyring_that_hangs_is_waited_for_once_and_not_long(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    forever = threading.Event()
    asked: list[str] = []

    def hang(*name: str) -> str:
        asked.append("/".join(name))
        forever.wait(60)
        return ""

    fake_library(monkeypatch, get_keyring=lambda: SimpleNamespace(priority=5), get_password=hang)
    vault = Vault(environ, SystemKeyring(deadline_s=0.05))
    with pytest.raises(VaultFailed, match=r"did not answer within 0\.05 seconds"):
        vault.read("a", "one")
    with pytest.raises(VaultFailed, match="does not answer"):
        vault.read("a", "two")
    assert asked == ["a/one"]
    forever.set()


def test_a_keyring_that_fails_is_told_without_its_words(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    def fail(*name: str) -> str:
        raise RuntimeError(f"locked: {SECRET}")

    fake_library(monkeypatch, get_keyring=lambda: SimpleNamespace(priority=5), get_password=fail)
    with pytest.raises(VaultFailed, match="the keyring failed: RuntimeError") as caught:
        Vault(environ, SystemKeyring()).read("a", "one")
    assert SECRET not in str(caught.value)


def test_the_backend_that_only_fails_is_no_keyring(monkeypatch: pytest.MonkeyPatch):
    fake_library(monkeypatch, get_keyring=lambda: SimpleNamespace(priority=0))
    assert not SystemKeyring().is_there

    def broken() -> None:
        raise OSError("no bus")

    fake_library(monkeypatch, get_keyring=broken)
    with pytest.raises(KeyringFailed):
        assert SystemKeyring().is_there


def test_who_has_no_secret_loads_no_library_for_one():
    names = "('keyring', 'cryptography', 'joserfc')"
    code = f"import sys, proxy_core.proxy; sys.exit(any(name in sys.modules for name in {names}))"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, env=dict(os.environ))
    assert done.returncode == 0
