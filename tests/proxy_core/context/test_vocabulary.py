import pytest

from proxy_core.context.steps import finished
from proxy_core.context.vocabulary import MAX_UNKNOWN, MAX_WORDS, Vocabulary, learning

WORDS = [
    "creat",
    "delet",
    "issu",
    "pullrequest",
    "pull",
    "request",
    "file",
    "system",
    "calendar",
    "event",
    "gate",
]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return finished(learning({word: number for number, word in enumerate(WORDS)}))


def asked(vocabulary: Vocabulary, phrasing: str) -> list[set[str]]:
    return [{WORDS[number] for number in group.weights} for group in vocabulary.groups_of(phrasing)]


@pytest.mark.parametrize(
    ("phrasing", "groups"),
    [
        ("create", [{"creat"}]),
        ("Creating a gate", [{"creat"}, {"gate"}]),
        ("gate gate", [{"gate"}]),
        ("erase", [{"delet"}]),
        ("bug", [{"issu"}]),
        ("pull request", [{"pull"}, {"request"}, {"pullrequest"}]),
        ("filesystem", [{"file", "system"}]),
        ("calender", [{"calendar"}]),
        ("qqqq", []),
    ],
)
def test_words_stand_for_themselves_and_for_what_is_meant(
    vocabulary: Vocabulary, phrasing: str, groups: list[set[str]]
):
    assert asked(vocabulary, phrasing) == groups


def test_a_word_itself_counts_most(vocabulary: Vocabulary):
    (group,) = vocabulary.groups_of("event")
    assert group.own == WORDS.index("event")
    assert group.weights.pop(group.own) == 1
    (group,) = vocabulary.groups_of("appointment")
    assert group.own is None
    assert 0 < group.weights[WORDS.index("event")] < 1


def test_a_word_that_may_mean_many_things_is_a_weaker_sign_of_each(vocabulary: Vocabulary):
    (bug,), (ticket,) = vocabulary.groups_of("bug"), vocabulary.groups_of("ticket")
    issue = WORDS.index("issu")
    assert len(ticket.weights) > len(bug.weights)
    assert ticket.weights[issue] < bug.weights[issue]


def test_of_many_words_the_first_count(vocabulary: Vocabulary):
    noise = [chr(97 + one) + chr(97 + other) * 2 for one in range(8) for other in range(5)]
    assert asked(vocabulary, " ".join([*noise[: MAX_WORDS - 1], "gate"])) == [{"gate"}]
    assert asked(vocabulary, " ".join([*noise[:MAX_WORDS], "gate"])) == []


def test_only_some_unknown_words_are_taken_for_misspelt_ones(vocabulary: Vocabulary):
    unknown = [f"calend{letter}r" for letter in "bcdefghijklmn"]
    assert asked(vocabulary, " ".join(unknown)) == [{"calendar"}] * MAX_UNKNOWN
