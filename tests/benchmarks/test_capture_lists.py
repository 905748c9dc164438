"""What is written of a server that lists, and what is said of one that cannot."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks import capture_lists
from tests.benchmarks.capture_lists import CannotStart, capture
from tests.support.processes import ROOT, demo_command
from tests.support.real_servers import RealServer


@dataclass(frozen=True)
class Local(RealServer):
    """Starts what is here already."""

    started: tuple[str, ...] = ()

    def command(self, folder: Path) -> tuple[str, ...]:
        return self.started

    def environment(self, folder: Path) -> dict[str, str]:
        return super().environment(folder) | {"PYTHONPATH": str(ROOT)}


def local(server: str, *command: str) -> Local:
    return Local(server, "pypi", f"{server}-server", "1.2", "MIT", server, started=command)


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_lists, "install", lambda server: None)


async def test_a_list_is_written_with_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    broken = local("broken", sys.executable, "-c", "import sys; sys.exit('no key')")
    monkeypatch.setattr(capture_lists, "SERVERS", (local("clock", *demo_command("clock")), broken))
    assert await capture_lists.main([str(tmp_path)]) == 0
    written = json.loads((tmp_path / "clock.json").read_text())
    assert list(written) == ["server", "package", "version", "registry", "instructions", "tools"]
    assert (written["package"], written["version"], written["registry"]) == ("clock-server", "1.2", "pypi")
    assert {tool["name"] for tool in written["tools"]} == {"now", "convert", "countdown"}
    assert not (tmp_path / "broken.json").exists()
    said = capsys.readouterr().out
    assert "| clock | clock-server | 1.2 | 3 |  |" in said
    assert "| broken | broken-server | 1.2 | - | did not list: no key |" in said


async def test_a_server_that_ends_at_once_is_told_by_its_last_words():
    with pytest.raises(CannotStart, match="a key is needed"):
        await capture(local("box", sys.executable, "-c", "import sys; sys.exit('a key is needed')"))


async def test_the_repository_is_no_place_for_the_texts_of_others(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        await capture_lists.main([str(ROOT / "lists")])
    assert "outside of the repository" in capsys.readouterr().err
