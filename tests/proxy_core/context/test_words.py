import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.context.words import MAX_WORD_CHARS, STOPWORDS, joined, stem, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("the of an", []),
        ("Open gates", ["open", "gate"]),
        # Identifiers come apart and stay whole too.
        ("create_issue", ["creat", "issu", "createissu"]),
        ("createIssue", ["creat", "issu", "createissu"]),
        ("HTTPServer", ["http", "server", "httpserver"]),
        ("create-issue", ["creat", "issu"]),
        ("oauth2", ["oauth", "2", "oauth2"]),
        ("__init__", ["init"]),
        ("don't", []),
        ("gate gate", ["gate", "gate"]),
        ("größe", ["größe"]),
        ("日本語 API版", ["日本", "本語", "api", "版", "api版"]),
        ("x" * (MAX_WORD_CHARS + 1), []),
    ],
)
def test_a_text_is_read_as_words(text: str, words: list[str]):
    assert list(words_of(text)) == words


def test_forms_of_one_word_are_one():
    assert {stem(word) for word in ("create", "creates", "created", "creating")} == {"creat"}


def test_a_name_is_compared_without_its_signs():
    assert joined("Ledger__create-Invoice_2") == "ledgercreateinvoice2"


def test_words_that_tools_are_named_by_are_no_stopwords():
    assert STOPWORDS.isdisjoint({"get", "list", "set", "new", "open", "run", "add", "show", "find"})


@given(st.text(max_size=200))
def test_every_word_is_short_and_none_is_empty(text: str):
    assert all(0 < len(word) <= 2 * MAX_WORD_CHARS for word in words_of(text))
