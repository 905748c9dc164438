"""The ids under which clients know tasks."""

import pytest

from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.task_tokens import TaskPlace, TaskTokens, UnknownTask
from proxy_core.protocol.sealed import Sealer

PLACE = TaskPlace("box", "a", "t1", "run")
ANN, BOB = Viewer("ann"), Viewer("bob")
SEALER = Sealer([b"k" * 32])


@pytest.fixture
def tokens() -> TaskTokens:
    return TaskTokens(lambda: SEALER)


def test_a_token_leads_its_viewer_back_to_the_task(tokens: TaskTokens):
    assert tokens.open(tokens.seal(PLACE, ANN), ANN) == PLACE


@pytest.mark.requirement("T03")
def test_a_token_is_nothing_to_anyone_else_and_names_nobody(tokens: TaskTokens):
    token = tokens.seal(PLACE, ANN)
    assert "ann" not in str(SEALER.open("task", token))
    with pytest.raises(UnknownTask):
        tokens.open(token, BOB)


def test_a_token_is_nothing_under_another_profile(tokens: TaskTokens):
    token = tokens.seal(PLACE, ANN)
    with pytest.raises(UnknownTask):
        tokens.open(token, ANN._replace(profile="review"))


@pytest.mark.parametrize("token", ["", "t1", None, 7, "o1.a.b.c"])
def test_what_is_no_token_is_no_task(tokens: TaskTokens, token: object):
    with pytest.raises(UnknownTask):
        tokens.open(token, ANN)


def test_a_token_of_another_kind_is_no_task(tokens: TaskTokens):
    with pytest.raises(UnknownTask):
        tokens.open(SEALER.seal("state", SEALER.open("task", tokens.seal(PLACE, ANN))), ANN)
