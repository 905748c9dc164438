"""The recorded day as data: it comes back as it was written, is small, and says nothing of the machine."""

import json
from pathlib import Path

import pytest

from tests.recording import script
from tests.recording.__main__ import DAY
from tests.recording.record import CarriesTraces, check, cleaner
from tests.recording.session import Answered, Asked, Said, Server, Session, canonical, load, save

MAX_BYTES = 1_000_000
RESULT = {"result": {"tools": []}}
SESSION = Session(
    "a test",
    (
        Server(
            "box",
            "box-server",
            "1",
            "npm",
            "MIT",
            (Answered(5, "tools/list", {}, RESULT, ({"method": "notifications/message"},)),),
            (Said(7, {"method": "notifications/tools/list_changed"}),),
        ),
    ),
    (
        Asked(5, "agent", "agent-1", "2025-11-25", "tools/list", {}, RESULT),
        Asked(9, "agent", "agent-1", "2025-11-25", "DELETE", {}, None),
    ),
)


def test_a_session_comes_back_as_it_was_written(tmp_path: Path):
    save(SESSION, tmp_path / "session.json")
    assert load(tmp_path / "session.json") == SESSION
    assert json.loads((tmp_path / "session.json").read_text())["bodies"].count(RESULT) == 1


def test_a_file_of_another_format_is_refused(tmp_path: Path):
    (tmp_path / "session.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        load(tmp_path / "session.json")


def test_the_day_is_written_in_the_form_that_is_written_today(tmp_path: Path):
    save(load(DAY), tmp_path / "day.json")
    assert (tmp_path / "day.json").read_text() == DAY.read_text()
    assert DAY.stat().st_size <= MAX_BYTES


def test_the_day_carries_no_trace_of_a_machine():
    text = DAY.read_text(encoding="utf-8")
    check(text)
    assert "/workspace/demo" in text


def test_a_trace_is_found():
    with pytest.raises(CarriesTraces, match=r"127\.0\.0\.1:"):
        check('{"url": "http://127.0.0.1:4711/x"}')


def test_what_is_of_this_machine_is_replaced_wherever_it_stands():
    clean = cleaner({"/home/ann/x": "/workspace"})
    assert clean({"a": ["/home/ann/x/y"], "/home/ann/x": "in /home/ann/x."}) == {
        "a": ["/workspace/y"],
        "/workspace": "in /workspace.",
    }


def test_every_server_of_the_day_is_named_with_its_licence_and_every_client_of_the_script_came():
    day = load(DAY)
    assert all(server.package and server.version and server.licence for server in day.servers)
    everyone = {script.TERMINAL, script.EDITOR, script.FORGETFUL, script.JOB, script.ASSISTANT}
    assert {asked.client for asked in day.asked} == everyone


def test_requests_that_mean_the_same_have_the_same_key():
    assert canonical({"b": 1, "a": 2, "_meta": {"progressToken": 3}}) == canonical({"a": 2, "b": 1})
    assert canonical(None) == canonical({})
