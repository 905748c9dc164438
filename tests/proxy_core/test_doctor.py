"""What the doctor finds, look by look: each sentence names the thing and what to do about it."""

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy_core import doctor
from proxy_core.config.load import from_text
from proxy_core.config.models import ProxyConfig
from proxy_core.doctor import Level
from proxy_core.errors import ConfigError
from tests.support.certificates import Authority

FILE = """
servers:
  - id: here
    transport: {type: stdio, command: sh}
  - id: gone
    transport: {type: stdio, command: no-such-program}
  - id: "off"
    enabled: false
    transport: {type: stdio, command: no-such-program-either}
  - id: remote
    transport: {type: http, url: "https://example.com/mcp"}
  - id: many
    replicas:
      - {id: a, transport: {type: stdio, command: sh}}
      - {id: b, transport: {type: stdio, command: sh, cwd: nowhere}}
  - id: needy
    transport: {type: stdio, command: sh, env: {TOKEN: "${NOT_SET_HERE}"}}
"""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port: int = listening.getsockname()[1]
        yield port


def test_every_fault_of_a_file_is_a_line(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        from_text("proxy:\n  prot: 1\n  port: x\n", tmp_path / "only1mcp.yaml", {})
    found = list(doctor.faults(caught.value))
    assert [finding.level for finding in found] == [Level.BAD, Level.BAD]
    assert "proxy.prot" in found[0].text and "proxy.port" in found[1].text


def test_certificates_are_looked_at_and_their_time_too(tmp_path: Path):
    Authority(tmp_path, "authority").issue("gw")

    def found(name: str, now: datetime) -> doctor.Finding:
        text = f"proxy: {{tls: {{certificate: {name}.pem, key: gw.key}}}}\n{FILE}"
        (finding,) = doctor.https(from_text(text, tmp_path / "only1mcp.yaml", {}), now)
        return finding

    now = datetime.now(UTC)
    assert found("gw", now).level is Level.OK
    assert found("authority", now).level is Level.BAD
    late = found("gw", now + timedelta(days=2))
    assert late.level is Level.WARN and "has expired" in late.text
    assert list(doctor.https(from_text(FILE, tmp_path / "only1mcp.yaml", {}), now)) == []


def test_commands_are_looked_up_where_the_child_would_run(tmp_path: Path):
    loaded = from_text(FILE, tmp_path / "only1mcp.yaml", {"PATH": os.environ["PATH"]})
    found = list(doctor.programs(loaded, {"PATH": os.environ["PATH"]}))
    told = {finding.text.partition(":")[0]: finding for finding in found}
    assert set(told) == {"here", "gone", "many/a", "many/b"}
    assert [told[name].level for name in ("here", "many/a")] == [Level.OK, Level.OK]
    assert told["gone"].level is Level.BAD and "no-such-program" in told["gone"].text
    assert "nowhere" in told["many/b"].text
    assert told["gone"].advice


def test_a_server_that_stays_off_is_named_with_its_variable(tmp_path: Path):
    loaded = from_text(FILE, tmp_path / "only1mcp.yaml", {})
    (finding,) = doctor.unset(loaded)
    assert finding.level is Level.WARN
    assert "needy" in finding.text and "NOT_SET_HERE" in finding.text


def test_a_profile_that_names_what_is_not_there_is_told(tmp_path: Path):
    text = FILE + "profiles: {review: {servers: [here, 'nobody*']}}\n"
    (finding,) = doctor.profiles(from_text(text, tmp_path / "only1mcp.yaml", {}))
    assert (finding.level, finding.text) == (Level.WARN, "profiles.review.servers: 'nobody*' fits no server")
    assert finding.advice


def test_a_port_that_is_taken_names_its_holder(taken: int):
    finding = doctor.port(ProxyConfig(port=taken), is_ours=False)
    assert finding.level is Level.BAD
    assert f"pid {os.getpid()}" in finding.text
    assert "--port" in finding.advice


def test_a_port_that_a_gateway_of_ours_has_is_as_it_should_be(taken: int):
    assert doctor.port(ProxyConfig(port=taken), is_ours=True).level is Level.OK


def test_a_free_port_is_free_and_stays_so(taken: int):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    for _ in range(2):
        assert "is free" in doctor.port(ProxyConfig(port=free), is_ours=False).text
    assert doctor.port(ProxyConfig(port=0), is_ours=False).level is Level.OK


def test_an_address_that_this_machine_does_not_have_is_bad():
    finding = doctor.port(ProxyConfig(host="192.0.2.1", port=1), is_ours=False)
    assert finding.level is Level.BAD and "is held" not in finding.text


def test_the_socket_is_told_in_each_of_its_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = Path("8080.sock")
    assert "no gateway runs" in doctor.socket_file(path, answers=False).text
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    stale = doctor.socket_file(path, answers=False)
    assert (stale.level, "gone" in stale.text) == (Level.WARN, True)
    assert doctor.socket_file(path, answers=True).level is Level.OK
    path.unlink()
    path.write_text("")
    assert doctor.socket_file(path, answers=False).level is Level.BAD
    assert doctor.socket_file(None, answers=False).level is Level.OK


def test_a_socket_path_that_no_system_takes_is_bad(tmp_path: Path):
    finding = doctor.socket_file(tmp_path / ("x" * 100), answers=False)
    assert finding.level is Level.BAD
    assert "admin.socket" in finding.advice
