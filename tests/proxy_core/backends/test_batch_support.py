"""What a replica has shown of batches."""

import pytest

from proxy_core.backends.batch_support import BatchSupport, Support


@pytest.mark.parametrize(
    ("is_read", "state"), [(True, Support.SHOWN), (False, Support.LACKING), (None, Support.UNKNOWN)]
)
def test_a_trial_ends_in_what_it_has_shown(is_read: bool | None, state: Support) -> None:
    support = BatchSupport()
    support.on_trial()
    assert support.state is Support.ON_TRIAL
    support.tried(is_read)
    assert support.state is state


def test_a_trial_that_came_to_nothing_may_be_repeated() -> None:
    support = BatchSupport()
    support.on_trial()
    support.trial_over()
    assert support.state is Support.UNKNOWN
    support.tried(True)
    support.trial_over()
    assert support.state is Support.SHOWN


def test_a_failure_is_news_once() -> None:
    support = BatchSupport()
    support.tried(True)
    assert [support.failed(), support.failed()] == [True, False]
    assert support.state is Support.LACKING


def test_batches_and_their_members_are_counted() -> None:
    support = BatchSupport()
    support.sent(3)
    support.sent(2)
    assert (support.batches_sent, support.requests_in_batches) == (2, 5)
