import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.context.prose import MAX_READ, cut, shortened, tidied


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("", ""),
        (" \n\t\n", ""),
        ("One  two\t\tthree. ", "One two three."),
        ("\n\n    One.\n\n\n    Two.\n", "One.\n\nTwo."),
        ("One.\r\nTwo.\rThree.", "One.\nTwo.\nThree."),
        # A docstring's margin is none of its text, a list's indentation is.
        ("One.\n    Two:\n      - three\n    Four.", "One.\nTwo:\n  - three\nFour."),
        # Code between fences keeps its spaces.
        ("Run:\n```py\nif a:\n    b  =  1\n```\nOr  not.", "Run:\n```py\nif a:\n    b  =  1\n```\nOr not."),
    ],
)
def test_white_space_that_says_nothing_goes(text: str, tidy: str):
    assert tidied(text) == tidy


@pytest.mark.parametrize(
    ("text", "limit", "whole"),
    [
        ("It fits.", 8, "It fits."),
        ("First one. Second one.", 12, "First one."),
        ("Is it? Yes! No.", 12, "Is it? Yes!"),
        ('He said "go." Then he left.', 20, 'He said "go."'),
        ("See e.g. this one. And that one too.", 20, "See e.g. this one."),
        ("See e.g. this one there.", 12, "See e.g…"),
        ("Version 1.5 is out. More.", 20, "Version 1.5 is out."),
        ("A line of text\nanother line of text", 20, "A line of text"),
        # A first sentence that says too little is not enough.
        ("Go. This opens the gate for you and others.", 30, "Go. This opens the gate for…"),
        ("One long sentence, with a comma and no end", 20, "One long sentence…"),
        ("Unbroken" * 9, 12, "UnbrokenUnb…"),
        # No heading of nothing, no code without an end.
        ("Opens the gate.\n## Usage\nCall it with care.", 24, "Opens the gate."),
        ("Opens the gate.\nTake care that:\n- it is shut\n- no one is near", 32, "Opens the gate."),
        ("Opens the gate.\n```\nopen()\nshut()\n```", 32, "Opens the gate."),
    ],
)
def test_a_cut_comes_after_a_sentence_or_after_a_word(text: str, limit: int, whole: str):
    assert cut(text, limit) == whole


texts = st.text(st.sampled_from("ab.:!? \n\t`#-*\r…e"), max_size=80) | st.text(max_size=80)


@given(texts, st.integers(0, 60))
def test_shortening_twice_is_shortening_once_and_keeps_the_limit(text: str, limit: int):
    short = shortened(text, limit)
    assert len(short) <= limit
    assert shortened(short, limit) == short


def test_of_a_huge_text_only_the_beginning_is_read():
    assert shortened("One. " + " " * MAX_READ + "Two.", 240) == "One."


def test_what_is_done_in_between_is_done_until_nothing_changes():
    assert shortened("xxxxabc", 240, lambda text: text.removeprefix("x")) == "abc"
