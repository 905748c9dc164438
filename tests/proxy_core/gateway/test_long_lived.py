"""How often long lists are left out of collections: once for every step that they grow, and never otherwise."""

import gc

import pytest

from proxy_core.gateway.long_lived import STEP, LongLived


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda generation: done.append(f"collect {generation}"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("freeze"))
    return done


def test_it_is_done_once_for_each_step(frozen: list[str]):
    lived = LongLived()
    for items in (0, STEP - 1):
        lived.holds(items)
    assert frozen == []
    for items in (STEP, STEP, STEP + 1, 2 * STEP - 1):
        lived.holds(items)
    assert frozen == ["collect 1", "freeze"]
    lived.holds(2 * STEP)
    assert frozen.count("freeze") == 2


def test_lists_that_come_and_go_are_left_out_once(frozen: list[str]):
    """Else a server that changes its list for ever would have us keep ever more of what is in circles."""
    lived = LongLived()
    for _ in range(10):
        lived.holds(3 * STEP)
        lived.holds(0)
    assert frozen.count("freeze") == 1
