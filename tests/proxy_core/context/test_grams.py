import pytest

from proxy_core.context import grams
from proxy_core.context.grams import WordGrams, likeness, runs_of

WORDS = ["invoic", "invoke", "creat", "crate", "calendar", "column", "a"]


@pytest.fixture(scope="module")
def known() -> WordGrams:
    words = WordGrams(WORDS)
    for _ in words.filling():
        pass
    return words


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("invoic", "invoic"),
        ("invioc", "invoic"),
        ("invoi", "invoic"),
        ("calender", "calendar"),
        ("colum", "column"),
    ],
)
def test_a_misspelt_word_is_like_the_one_that_was_meant(known: WordGrams, word: str, meant: str):
    assert WORDS[known.like(word, 1)[0][0]] == meant


def test_what_is_found_is_ordered_and_bounded(known: WordGrams):
    found = known.like("creat", 2)
    assert [WORDS[number] for number, _ in found] == ["creat", "crate"]
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    assert known.like("creat", 1) == found[:1]


@pytest.mark.parametrize("word", ["", "z", "zzzz", "x" * 1000])
def test_a_word_like_no_other_finds_nothing(known: WordGrams, word: str):
    assert known.like(word, 3) == []


def test_likeness_is_between_nothing_and_all():
    assert likeness("gate", "gate") == 1
    assert likeness("gate", "zoom") == 0
    assert likeness("", "") == 1
    assert 0 < likeness("gate", "gates") < 1


def test_the_ends_of_a_word_are_letters_too():
    assert runs_of("ab", 2) == {"^a", "ab", "b$"}
    assert runs_of("a", 3) == {"^a$"}


def test_a_run_that_too_many_words_have_tells_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grams, "_MAX_HAVING", 2)
    words = WordGrams(["gate", "gates", "gated"])
    for _ in words.filling():
        pass
    assert [number for number, _ in words.like("gate", 3)] == [0]
