"""Which glob decides about a name: deny before allow, the first that fits, and nothing by accident."""

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.rules import NOT_ALLOWED, Decision, Globs, Matcher, decided
from proxy_core.config.models import NameRules

GLOBS = ["*", "a*", "*b", "a__b", "[ab]*", "?", "*__delete_*", "a+*"]
NAMES = ["a__b", "b", "a", "", "a__delete_b", "A__B", "a+x:///b", "a\nb"]


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("a__read", Decision(True, "allow[1]")),
        ("a__delete_all", Decision(False, "deny[0]")),
        ("b__drop", Decision(False, "deny[1]")),
        ("c__read", Decision(False, NOT_ALLOWED)),
    ],
)
def test_the_first_glob_that_fits_decides_and_deny_goes_before_allow(name: str, decision: Decision):
    rules = NameRules(allow=("b__*", "a__*", "a__read"), deny=("*__delete_*", "*__drop"))
    assert decided(rules, name) == Matcher(rules).decide((name,)) == decision


@given(st.lists(st.sampled_from(GLOBS), max_size=3), st.lists(st.sampled_from(GLOBS), max_size=3))
def test_what_is_compiled_says_what_the_globs_say(allow: list[str], deny: list[str]):
    matcher = Matcher(NameRules(allow=tuple(allow), deny=tuple(deny)))
    for name in NAMES:
        is_denied = any(fnmatchcase(name, glob) for glob in deny)
        fits = any(fnmatchcase(name, glob) for glob in allow)
        assert matcher.decide((name,)).is_allowed is (fits and not is_denied)
        assert not matcher.is_open or matcher.decide((name,)).is_allowed


def test_of_one_thing_with_several_names_a_glob_need_fit_only_one():
    matcher = Matcher(NameRules(allow=("x:*",), deny=("a+*",)))
    assert matcher.decide(("x:1", "b+x:1")).is_allowed
    assert matcher.decide(("x:1", "a+x:1")) == Decision(False, "deny[0]")


def test_of_several_meanings_each_has_to_be_allowed_and_none_may_be_denied():
    matcher = Matcher(NameRules(allow=("pub*",), deny=("*secret",)))
    for one, other in product(("pub/a", "pub/secret", "else"), repeat=2):
        is_allowed = matcher.decide((one,), (other,)).is_allowed
        assert is_allowed is (one == other == "pub/a")


def test_what_is_only_another_name_may_deny_and_does_not_allow():
    matcher = Matcher(NameRules(allow=("a",), deny=("z",)))
    assert matcher.decide(("a",), also_denied_as=("b",)).is_allowed
    assert matcher.decide(("b",), also_denied_as=("a",)) == Decision(False, NOT_ALLOWED)
    assert matcher.decide(("a",), also_denied_as=("z",)) == Decision(False, "deny[0]")


def test_no_globs_fit_nothing():
    assert Globs(()).first(("a", "b")) is None
    assert Globs(("b", "a")).first(("a", "b")) == 0
