"""What is said of a server's question: bounded, harmless, and what each field takes."""

import pytest

from only1mcp_tui.view.elicitation_form import badge, filled, hint_of, label_of, message_of, news
from only1mcp_tui.view.overview import event_line
from only1mcp_tui.view.text import plain
from proxy_core.errors import InvalidParams
from proxy_core.facts import Fact, OperatorAnswered, OperatorAsked
from proxy_core.forms import FormField
from proxy_core.telemetry.snapshot import OpenQuestion
from tests.support.fake_control import NOW, snapshot_of

ONE = OpenQuestion("a1", "github", "cron", "ci", "github__run", "Who?", "form")
TWO = OpenQuestion("b2", "files", "cron", "ci", "files__run", "Who?", "url")


@pytest.mark.parametrize(
    ("questions", "words"), [((), ""), ((ONE,), "1 question: press a"), ((ONE, TWO), "2 questions: press a")]
)
def test_the_badge_counts(questions: tuple[OpenQuestion, ...], words: str):
    assert badge(snapshot_of(questions=questions)) == words


def test_news_names_whoever_is_new():
    assert news((ONE, TWO), {"a1", "b2"}) == ""
    assert news((ONE, TWO), {"a1"}).startswith("files asks something")
    assert news((ONE, TWO), ()).startswith("github, files asks something")


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        (FormField("x", "string"), ""),
        (FormField("x", "string", format="date"), "a date, as 2026-01-31"),
        (FormField("x", "string", least=2), "at least 2 characters"),
        (FormField("x", "integer", least=1, most=9), "a whole number from 1 to 9"),
        (FormField("x", "number", most=0.5), "a number at most 0.5"),
        (FormField("x", "choices", least=1), "at least 1 choices"),
        (FormField("x", "boolean", description="Say\n so."), "Say so."),
    ],
)
def test_a_hint_says_what_a_field_takes(field: FormField, hint: str):
    assert hint_of(field) == hint


def test_labels_and_messages_are_harmless():
    assert label_of(FormField("x\x1b[2J", "string", is_required=True)) == "x␛[2J *"
    assert "\x1b" not in message_of(OpenQuestion("a", "s", "", "", "", "\x1b]0;x\x07\nb" * 99, "form"))


def test_what_is_left_empty_is_left_out():
    fields = (FormField("a", "string", is_required=True), FormField("b", "integer"), FormField("c", "boolean"))
    assert filled(fields, {"a": "x", "b": "", "c": None}) == {"a": "x"}
    assert filled(fields, {"a": "x", "b": "7", "c": False}) == {"a": "x", "b": 7, "c": False}
    with pytest.raises(InvalidParams, match="'a' must be filled in"):
        filled(fields, {"a": ""})


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (
            OperatorAsked(NOW, "a1", "github", "cron", "ci", "github__run", "form", ("name", "age")),
            "question a1: asks name, age, in a call of github__run",
        ),
        (
            OperatorAsked(NOW, "a1", "github", "cron", "ci", "github__run", "url"),
            "question a1: asks for a page to be visited, in a call of github__run",
        ),
        (OperatorAnswered(NOW, "a1", "github", "accept", "ada", ("name",)), "question a1: accepted by ada"),
        (OperatorAnswered(NOW, "a1", "github", "expired"), "question a1: nobody answered in time"),
    ],
)
def test_what_was_asked_and_answered_is_an_event(fact: Fact, words: str):
    line = event_line(fact, snapshot_of(), 120)
    assert line is not None
    assert plain(line).endswith(words)
