import sys
from pathlib import Path

import pytest

from proxy_core.config.demo import NOTES_DB, demo_config
from proxy_core.config.models import StdioTransport


def test_the_demo_servers_are_children_of_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = demo_config()
    assert loaded.path is None
    transports = {server.id: server.transport for server in loaded.config.servers}
    assert list(transports) == ["clock", "notes", "flaky"]
    for name, transport in transports.items():
        assert isinstance(transport, StdioTransport)
        assert (transport.command, transport.args) == (sys.executable, ("-m", f"proxy_core.demo.{name}"))
    notes = transports["notes"]
    assert isinstance(notes, StdioTransport)
    database = Path(notes.env[NOTES_DB])
    assert database.is_relative_to(tmp_path)
    assert database.parent.is_dir()
