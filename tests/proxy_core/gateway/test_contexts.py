"""Which mode is in force for whom: what the configuration says, or the cheapest as far as it is known."""

from typing import Any

from proxy_core.config.models import Config
from proxy_core.gateway.contexts import Contexts
from proxy_core.gateway.modes import Costs, Mode

SMALL, MIDDLE, LARGE = Costs(1_000, 700, 900), Costs(12_000, 7_000, 4_000), Costs(90_000, 60_000, 3_000)


class Desk:
    """A configuration, and a bill as the test says."""

    def __init__(self, **config: Any) -> None:
        self.config = Config.model_validate(config)
        self.counted: dict[str, Costs] = {}
        self.contexts = Contexts(lambda: self.config, self.counted.get)
        self.estimates = 0

    def mode(self, profile: str, estimate: Costs = SMALL) -> Mode:
        return self.contexts.mode(profile, lambda: self._estimate(estimate))

    def mode_beside(self, profile: str, estimate: Costs) -> Mode:
        return self.contexts.mode_beside(profile, lambda: self._estimate(estimate))

    def _estimate(self, estimate: Costs) -> Costs:
        self.estimates += 1
        return estimate


PROFILES = {"review": {"context": "search"}, "plain": {}, "free": {"context": "auto"}}


def test_a_profile_has_its_own_mode_or_that_of_all():
    desk = Desk(context={"mode": "compact"}, profiles=PROFILES)
    assert [desk.mode(each) for each in ("", "review", "plain")] == [Mode.COMPACT, Mode.SEARCH, Mode.COMPACT]
    assert desk.estimates == 0


def test_a_profile_that_is_gone_lists_nothing_and_so_nothing_to_search():
    assert Desk(context={"mode": "search"}).mode("gone") is Mode.FULL


def test_what_was_counted_goes_before_an_estimate_and_each_profile_by_its_own():
    desk = Desk(context={"mode": "auto"}, profiles=PROFILES)
    assert [desk.mode("", LARGE), desk.mode("free", MIDDLE)] == [Mode.SEARCH, Mode.COMPACT]
    desk.counted |= {"": SMALL, "free": LARGE}
    assert [desk.mode("", LARGE), desk.mode("free", MIDDLE)] == [Mode.FULL, Mode.SEARCH]
    assert desk.estimates == 2


def test_a_choice_is_kept_while_it_is_nearly_right():
    desk = Desk(context={"mode": "auto"})
    assert desk.mode("", Costs(3_900, 2_500, 4_000)) is Mode.FULL
    assert desk.mode("", Costs(4_500, 2_900, 4_000)) is Mode.FULL
    assert desk.mode("", Costs(5_500, 3_500, 4_000)) is Mode.COMPACT
    assert desk.mode("", Costs(4_500, 2_900, 4_000)) is Mode.COMPACT


def test_a_mode_that_was_said_forgets_what_auto_had_chosen():
    desk = Desk(context={"mode": "auto"})
    assert desk.mode("", Costs(5_500, 3_500, 4_000)) is Mode.COMPACT
    desk.config = Config.model_validate({"context": {"mode": "full"}})
    desk.mode("")
    desk.config = Config.model_validate({"context": {"mode": "auto"}})
    assert desk.mode("", Costs(3_900, 2_500, 4_000)) is Mode.FULL


def test_ones_own_list_is_in_the_mode_of_everyones():
    desk = Desk(context={"mode": "auto"})
    assert desk.mode_beside("", LARGE) is Mode.SEARCH
    assert desk.mode("", SMALL) is Mode.FULL
    assert desk.mode_beside("", LARGE) is Mode.FULL
    assert Desk(context={"mode": "compact"}).mode_beside("", SMALL) is Mode.COMPACT


def test_what_stays_listed_is_named_by_globs():
    contexts = Desk(context={"mode": "search", "always": ["files__*", "gh__star"]}).contexts
    assert [contexts.stays_listed(name) for name in ("files__read", "gh__star", "gh__fork")] == [
        True,
        True,
        False,
    ]


def test_all_modes_of_the_configuration_are_known():
    contexts = Desk(context={"mode": "compact"}, profiles=PROFILES).contexts
    assert contexts.configured == ["compact", "search", "auto"]
    assert contexts.has_choice
    assert not Desk().contexts.has_choice
