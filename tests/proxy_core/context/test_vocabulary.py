import pytest

from proxy_core.context.vocabulary import MAX_WORDS, Vocabulary, learning

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
    steps = learning({word: number for number, word in enumerate(WORDS)})
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


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


def test_of_many_words_the_first_count(vocabulary: Vocabulary):
    noise = " ".join(f"{letter}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz" * 2)
    assert len(set(noise.split())) < MAX_WORDS
    assert asked(vocabulary, f"{noise} gate") == [{"gate"}]
    many = " ".join(chr(97 + one) + chr(97 + other) * 2 for one in range(8) for other in range(5))
    assert asked(vocabulary, f"{many} gate") == []
