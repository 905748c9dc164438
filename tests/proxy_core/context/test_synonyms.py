import pytest

from proxy_core.context.synonyms import LINES
from proxy_core.context.words import STOPWORDS


@pytest.mark.parametrize("line", LINES)
def test_a_line_says_one_thing_or_the_other(line: str):
    """Words, then `>` and words; or words between `=`."""
    asked, arrow, told = line.partition(">")
    equal = line.split("=")
    if arrow:
        assert len(equal) == 1
        assert asked.split()
        assert any({word} != set(told.split()) for word in asked.split()), "it must say something"
        assert told.split()
        words = asked.split() + told.split()
    else:
        assert len(equal) > 1
        words = [word.strip() for word in equal]
    assert all(word.isalnum() and word.islower() for word in words)


def test_no_word_is_there_that_no_query_can_hold():
    words = {word for line in LINES for word in line.replace(">", " ").replace("=", " ").split()}
    assert words & STOPWORDS == set()
