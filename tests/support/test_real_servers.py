"""How a real server is started, once it is installed; installing itself needs the network and is no test."""

import json
from pathlib import Path

import pytest

from tests.support import real_servers
from tests.support.real_servers import GIT, MEMORY, CannotInstall, RealServer


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(real_servers, "CACHE", tmp_path / "servers")
    return tmp_path / "servers"


def test_a_python_server_starts_from_its_own_environment(own_cache: Path):
    assert GIT.command(Path("/demo")) == (
        str(own_cache / f"git-{GIT.version}/bin/mcp-server-git"),
        "--repository",
        "/demo",
    )


@pytest.mark.parametrize("programs", ["dist/index.js", {"mcp-server-memory": "dist/index.js", "other": "x.js"}])
def test_a_node_server_starts_by_what_its_package_names(programs: object):
    package = MEMORY.home / "node_modules" / MEMORY.package
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"bin": programs}))
    assert MEMORY.command(Path("/demo")) == ("node", str(package / "dist/index.js"))


def test_it_sees_nothing_of_the_person_who_runs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    env = MEMORY.environment(Path("/demo"))
    assert "GITHUB_TOKEN" not in env
    assert (env["HOME"], env["MEMORY_FILE_PATH"]) == ("/demo", "/demo/memory.jsonl")


def test_what_is_installed_is_not_installed_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    MEMORY.home.mkdir(parents=True)
    (MEMORY.home / ".installed").touch()
    real_servers.install(MEMORY)


def test_an_installer_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotInstall, match="npm is not installed"):
        real_servers.install(RealServer("x", "npm", "x-server", "1", "MIT", "x"))
