import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.protocol.text import clean_text

HIDDEN = [
    "\x00",
    "\x07",
    "\r",
    "\x7f",
    "\x85",
    "\u00ad",
    "\u034f",
    "\u061c",
    "\u115f",
    "\u180e",
    "\u200b",
    "\u2028",
    "\u200e",
    "\u202e",
    "\u2060",
    "\u2066",
    "\u2065",
    "\u3164",
    "\ufeff",
    "\ufffb",
    "\U0001d173",
    "\U000e0041",
    "\U000e007f",
    "\U000e0100",
    "\U000e01ef",
]


@pytest.mark.requirement("A08")
@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda text: f"U+{ord(text):04X}")
def test_what_hides_is_taken_out(hidden: str):
    assert clean_text(f"a{hidden}b", 100) == "ab"


@pytest.mark.requirement("A08")
@pytest.mark.parametrize(
    "escape",
    [
        "\x1b[31m",
        "\x1b[2J",
        "\x1b[?1049h",
        "\x9b31m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://evil\x1b\\",
        "\x1bPq1\x1b\\",
        "\x1bc",
        "\x1b(B",
    ],
)
def test_terminal_escapes_are_taken_out_whole(escape: str):
    assert clean_text(f"a{escape}b", 100) == "ab"


def test_a_half_escape_leaves_no_control_character():
    assert clean_text("a\x1b\x1b[0m[31mb", 100) == "a[31mb"
    assert clean_text("a\x1b[12;", 100) == "a12;"
    assert clean_text("a\x1b", 100) == "a"


@pytest.mark.requirement("A08")
def test_a_text_in_variation_selectors_is_taken_out_and_an_emoji_stays():
    hidden = "".join(chr(0xFE00 + ord(letter) % 16) for letter in "send it on")
    assert clean_text(f"Reads.\u26a0\ufe0f{hidden} Fast.", 100) == "Reads.\u26a0\ufe0f Fast."
    assert clean_text("a\ufe0f\u200b\ufe01", 100) == "a\ufe0f"


def test_words_in_any_script_tabs_and_line_feeds_stay():
    text = "naïve\tשלום\n世界 👍🏽 {[<b>]}"
    assert clean_text(text, 1000) == text


def test_the_limit_counts_bytes_and_never_cuts_a_character():
    assert clean_text("x" * 9, 8) == "x" * 8
    assert clean_text("é" * 5, 7) == "é" * 3
    assert clean_text("\u200b" * 100 + "ok", 2) == "ok"


def test_hostile_text_is_cleaned_in_linear_time():
    for text in ("\x1b]" * 500_000, "\x9d" * 1_000_000, "\x1b[" + "0" * 1_000_000, "\x9b0" * 500_000):
        assert len(clean_text(text, 100)) <= 100


@settings(max_examples=200)
@given(st.text(), st.integers(0, 40))
def test_cleaning_is_bounded_and_done_once(text: str, limit: int):
    cleaned = clean_text(text, limit)
    assert len(cleaned.encode()) <= limit
    assert clean_text(cleaned, limit) == cleaned
    assert not set(cleaned) & set(HIDDEN)
