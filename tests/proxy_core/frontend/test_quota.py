import pytest

from proxy_core.errors import Overloaded
from proxy_core.frontend.quota import Quota


def test_each_principal_has_its_own_share_and_gets_it_back():
    quota = Quota("calls", 1)
    quota.enter("ann")
    quota.enter("bob")
    with pytest.raises(Overloaded, match="limit is 1"):
        quota.enter("ann")
    assert quota.total == 2
    quota.leave("ann")
    quota.enter("ann")


def test_who_is_exempt_is_counted_and_never_refused():
    quota = Quota("calls", 1, frozenset({"anon"}))
    for _ in range(3):
        quota.enter("anon")
    assert quota.total == 3


def test_a_limit_of_zero_is_none():
    quota = Quota("calls", 0)
    for _ in range(3):
        quota.enter("ann")


def test_some_have_a_limit_of_their_own_and_who_is_refused_is_told():
    refused: list[str] = []
    quota = Quota("calls", 1, own={"bob": 2, "eve": 0}, refused=refused.append)
    for principal in ("ann", "bob", "bob", *["eve"] * 5):
        quota.enter(principal)
    for principal, limit in (("ann", 1), ("bob", 2)):
        with pytest.raises(Overloaded, match=f"limit is {limit}"):
            quota.enter(principal)
    assert refused == ["ann", "bob"]
    quota.own = {}
    assert quota.is_full("eve")
