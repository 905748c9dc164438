"""What counts as an answer, and what does not."""

import json

import pytest

from tests.benchmarks.soaking.load import Asked, Hurt, Ledger, Refused, is_excused, note

ASKED = Asked(7, "web", pad=3)
RIGHT = {"id": 7, "result": {"content": [{"type": "text", "text": "call-7 by web xxx"}]}}


def noted(answer: object) -> Ledger:
    ledger = Ledger()
    note(ledger, ASKED, json.dumps(answer).encode(), 1.0, 2.0)
    return ledger


def test_a_call_says_what_it_wants():
    body = json.loads(ASKED.body(wait_ms=5))
    assert body["params"]["name"] == "web__tell"
    assert body["params"]["arguments"] == {"key": "call-7", "pad": 3, "wait_ms": 5}


def test_its_own_answer_is_right():
    ledger = noted(RIGHT)
    assert (ledger.answered, ledger.wrong, ledger.broken, ledger.refused) == (1, [], [], [])


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT | {"id": 8},
        {"id": 7, "result": {"content": [{"text": "call-8 by web xxx"}]}},
        {"id": 7, "result": {"content": [{"text": "call-7 by child xxx"}]}},
        {"id": 7, "result": {"content": [{"text": "call-7 by web xx"}]}},
        {"id": 7, "result": {"content": []}},
        {"id": 7},
    ],
)
def test_anothers_answer_is_wrong(answer: object):
    ledger = noted(answer)
    assert (ledger.answered, len(ledger.wrong), ledger.broken, ledger.refused) == (0, 1, [], [])


def test_an_error_is_kept_with_its_server_and_its_time():
    (refused,) = noted({"id": 7, "error": {"code": -32000, "message": "gone"}}).refused
    assert (refused.server, refused.began_at, refused.ended_at, refused.message) == ("web", 1.0, 2.0, "gone")


@pytest.mark.parametrize("answer", [[], {"id": "x"}, None, {"result": 1}])
def test_what_is_no_answer_is_broken(answer: object):
    ledger = noted(answer)
    assert (ledger.answered, ledger.wrong, len(ledger.broken)) == (0, [], 1)


@pytest.mark.parametrize(
    ("server", "began_at", "ended_at", "excused"),
    [
        ("web", 9.0, 9.9, False),
        ("web", 9.0, 10.1, True),
        ("web", 11.0, 11.1, True),
        ("web", 16.9, 17.0, True),
        ("web", 17.1, 17.2, False),
        ("child", 11.0, 11.1, False),
    ],
)
def test_an_error_is_excused_while_its_own_server_is_hurt_or_comes_back(
    server: str, began_at: float, ended_at: float, excused: bool
):
    """Hurt from 10 to 12, and five seconds to recover."""
    refused = Refused(server, began_at, ended_at, "gone")
    assert is_excused(refused, [Hurt("web", 10.0, 12.0)], recovery_s=5.0) is excused
