"""No test keeps anything where the person who runs it keeps theirs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import LIGHT_TOKENIZER, NO_KEYRING


@pytest.fixture(autouse=True)
def own_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where state goes in this test, also that of the programs it starts."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the keyring of the person who runs it, nor do the programs that it starts."""
    monkeypatch.setenv(*NO_KEYRING)


@pytest.fixture(scope="module", autouse=True)
def tokenizer() -> Iterator[None]:
    """What gateways in processes of their own count with; a module that looks at the figures has its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(*LIGHT_TOKENIZER)
        yield


@pytest.fixture(autouse=True)
def own_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sockets are made in this test. Not below its own folder: the path of a socket must be short."""
    folder = Path(tempfile.mkdtemp(prefix="o1-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)
