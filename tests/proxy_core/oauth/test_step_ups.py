"""Logins for further scopes end, and begin anew after a while."""

from proxy_core.oauth.step_ups import MAX_REMEMBERED, MOST, WINDOW_S, StepUps

WRITE = frozenset({"write"})


def test_the_same_scopes_are_got_so_often_and_no_more_until_some_time_has_gone_by():
    steps = StepUps()
    for times in range(MOST):
        assert not steps.was_in_vain(WRITE, float(times))
        steps.stepped(WRITE, float(times))
    assert steps.was_in_vain(WRITE, WINDOW_S - 1)
    assert not steps.was_in_vain(frozenset({"write", "read"}), 2.0)
    assert not steps.was_in_vain(WRITE, WINDOW_S)
    steps.stepped(WRITE, WINDOW_S)
    assert not steps.was_in_vain(WRITE, WINDOW_S + 1)
    steps.clear()
    assert not steps.was_in_vain(WRITE, WINDOW_S + 1)


def test_a_server_that_thinks_of_new_scopes_all_the_time_fills_nothing():
    steps = StepUps()
    for number in range(MAX_REMEMBERED * 3):
        steps.stepped(frozenset({str(number)}), 0.0)
    assert len(steps._steps) == MAX_REMEMBERED
