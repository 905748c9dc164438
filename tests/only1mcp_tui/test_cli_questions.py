"""`only1mcp answer` and `only1mcp drill`: what they ask of a running gateway, and what they print."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from only1mcp_tui.cli import only1mcp, reach
from proxy_core.errors import NotAllowed, UnknownQuestion
from proxy_core.telemetry.snapshot import Notice, OpenQuestion
from tests.support.fake_control import NOW, row_of
from tests.support.fake_remote import FakeRemote

SCHEMA = {
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "title": "Full name"},
        "age": {"type": "integer", "default": 30},
        "topics": {"type": "array", "items": {"type": "string", "enum": ["news", "offers"]}},
        "api_key": {"type": "string"},
    },
}
FORM = OpenQuestion(
    "ab12",
    "files",
    "cron\x1b]0;x\x07",
    "ci",
    "files__run",
    "Who?\x1b[2J",
    "form",
    json.dumps(SCHEMA),
    "",
    NOW,
    NOW + 90,
)
PAGE = replace(FORM, id="cd34", mode="url", schema="", url="https://files.example/in")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("ONLY1MCP_CONFIG", raising=False)
    remote = FakeRemote()
    remote.use(row_of("files"), questions=(FORM, PAGE))
    monkeypatch.setattr(reach, "RemoteControl", remote.reached)
    return remote


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(only1mcp, arguments, prog_name="only1mcp")
    assert result.exit_code == code, result.output
    return result


def test_questions_are_listed_with_what_they_ask(gateway: FakeRemote):
    said = run("answer").stdout
    assert "ab12  files asks, 90 s left" in said
    assert "called: files__run by cron" in said
    assert "name (Full name *) *: string" in said
    assert "age [30]: integer, a whole number" in said
    assert "topics: choices, news, offers" in said
    assert "api_key: string  ▲ looks like a secret" in said
    assert "visit: https://files.example/in" in said
    assert "\x1b" not in said


def test_without_any_that_is_said(gateway: FakeRemote):
    gateway.use(questions=())
    assert run("answer").stdout == "No server asks anything.\n"
    assert json.loads(run("answer", "--json").stdout) == []


def test_what_is_given_becomes_the_content_with_the_defaults(gateway: FakeRemote):
    run("answer", "ab12", "--accept", "name=Ann = Lee", "--accept", "topics=news, offers")
    content = {"name": "Ann = Lee", "age": 30, "topics": ["news", "offers"]}
    assert gateway.answers == [("ab12", "accept", content)]


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_no_needs_nothing_else(gateway: FakeRemote, action: str):
    run("answer", "ab12", f"--{action}")
    assert gateway.answers == [("ab12", action, None)]


def test_a_page_is_accepted_without_content(gateway: FakeRemote):
    run("answer", "cd34", "--accept")
    assert gateway.answers == [("cd34", "accept", None)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ab12",), 2, "Say one of"),
        (("ab12", "--accept", "name=x", "--decline"), 2, "Say one of"),
        (("--decline",), 2, "Say which question"),
        (("ab12", "--accept", "name"), 4, "is not KEY=VALUE"),
        (("ab12", "--accept", "age=seven"), 4, "'age' must be a number"),
        (("ab12", "--accept", "age=7"), 4, "'name' must be filled in"),
        (("ab12", "--accept", "name=x", "--accept", "nome=x"), 4, "does not ask for 'nome'"),
    ],
)
def test_what_cannot_be_sent_is_not_sent(gateway: FakeRemote, arguments: Any, code: int, words: str):
    assert words in run("answer", *arguments, code=code).output
    assert gateway.answers == []


def test_a_question_that_is_over_is_said_to_be(gateway: FakeRemote):
    gateway.refusal = UnknownQuestion("It was accepted by ada.")
    assert "accepted by ada" in run("answer", "ef56", "--decline", code=1).output


def test_the_status_says_that_questions_wait(gateway: FakeRemote):
    assert "asked: 2 questions wait for an operator" in run("status").stdout
    gateway.use(questions=(FORM,))
    assert "asked: 1 question waits for an operator" in run("status").stdout
    gateway.use(questions=())
    assert "asked:" not in run("status").stdout


@pytest.mark.parametrize(
    ("arguments", "begun"),
    [
        (("delay", "--ms", "250", "--for", "30"), ("files", "delay", 250.0, 1.0, 30.0)),
        (("error", "--share", "0.5"), ("files", "error", 500.0, 0.5, 60.0)),
        (("kill",), ("files", "kill", 500.0, 1.0, 60.0)),
    ],
)
def test_a_drill_is_begun(gateway: FakeRemote, arguments: Any, begun: Any):
    run("drill", "files", *arguments)
    assert gateway.drills == [begun]


def test_a_drill_is_ended(gateway: FakeRemote):
    assert run("drill", "files", "end").stdout == "files: no fault drill is on\n"
    assert gateway.asked == [("end_drill", "files")]


def test_a_drill_that_is_not_allowed_is_refused_in_a_sentence(gateway: FakeRemote):
    gateway.refusal = NotAllowed("Fault drills are not allowed here.")
    assert "not allowed here" in run("drill", "files", "kill", code=1).output


def test_the_status_marks_what_is_drilled(gateway: FakeRemote):
    notice = Notice("warning", "FAULT DRILL at files (error)")
    gateway.use(row_of("files", drill="error, 42 s left"), notices=(notice,))
    result = run("status")
    assert "DRILL error, 42 s left" in result.stdout
    assert "FAULT DRILL at files" in result.stderr
