"""The lines a screen keeps: bounded, chosen, each looked at once."""

from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.filters import parse_filter
from only1mcp_tui.view.log_book import LogBook
from only1mcp_tui.view.logs import FILTER_KEYS, Choice, passing
from only1mcp_tui.view.tail import Tail
from proxy_core.telemetry.snapshot import LogLine

LEVELS = ("debug", "info", "warning", "error")


def line(number: int, text: str = "text") -> LogLine:
    return LogLine(float(number), LEVELS[number % 4], f"s{number % 3}", f"{text} {number}")


def choice(expression: str = "", level: str = "debug", source: str = "") -> Choice:
    return Choice(parse_filter(expression, FILTER_KEYS), level, source)


def test_old_lines_make_room_by_number_and_what_was_shown_is_counted() -> None:
    book = LogBook(most_lines=10)
    book.choose(choice(level="error"))
    assert book.take(map(line, range(10))) == (2, 0)
    assert book.take(map(line, range(10, 15))) == (1, 1)
    assert [each.wall for each in book.lines] == list(range(5, 15))
    assert [each.wall for each in book.kept] == [7, 11]


def test_old_lines_make_room_by_what_they_weigh() -> None:
    book = LogBook(most_bytes=50_000)
    book.take(line(number, "x" * 4000) for number in range(100))
    assert 0 < len(book.lines) < 14
    assert book.lines[-1].wall == 99


def test_one_line_that_is_too_heavy_leaves_the_book_empty_and_sound() -> None:
    book = LogBook(most_bytes=100)
    book.take([line(1, "x" * 4000), line(2)])
    assert [each.wall for each in book.lines] == [2]


def test_a_search_goes_back_in_steps_the_newest_first() -> None:
    book = LogBook()
    book.take(map(line, range(10)))
    book.choose(choice(source="s0"))
    assert (len(book.kept), book.is_searching) == (0, True)
    assert (book.search(4), [each.wall for each in book.kept]) == (2, [6, 9])
    book.take([line(12)])
    assert (book.search(100), [each.wall for each in book.kept]) == (2, [0, 3, 6, 9, 12])
    assert not book.is_searching


@given(
    st.lists(st.one_of(st.integers(1, 20), st.sampled_from(["choose", "search"])), max_size=30),
    st.integers(1, 30),
)
def test_whatever_happens_the_kept_are_those_that_pass(steps: list[int | str], most: int) -> None:
    """As if the whole list were filtered anew each time."""
    book, number = LogBook(most_lines=most), 0
    wanted = choice(level="warning")
    for step in steps:
        if isinstance(step, int):
            book.take(map(line, range(number, number + step)))
            number += step
        elif step == "choose":
            wanted = choice(
                "!s1" if wanted.level == "warning" else "", "info" if wanted.filter.terms else "warning"
            )
            book.choose(wanted)
        else:
            book.search(3)
    while book.is_searching:
        book.search(3)
    passes = passing(book.choice)
    assert list(book.kept) == [each for each in book.lines if passes(each)]
    assert [each.wall for each in book.lines] == list(range(max(0, number - most), number))


def test_words_are_sought_in_all_that_a_line_says() -> None:
    whole = LogLine(0.0, "warning", "GitHub", "Could not READ", (("path", "/etc/Passwd"),))
    for found in (
        "read",
        "could",
        "github",
        "warning",
        "path=/etc/passwd",
        "level:info",
        "src:git",
        "level:warn !jira",
    ):
        assert passing(choice(found))(whole), found
    for missed in ("write", "!read", "level:error", "!level:info", "src:jira", "!src:github", "read jira"):
        assert not passing(choice(missed))(whole), missed
    assert not passing(choice(level="error"))(whole)
    assert not passing(choice(source="github"))(whole)


@given(st.lists(st.integers(0, 5), max_size=40))
def test_a_tail_is_the_list_that_it_stands_for(cuts: list[int]) -> None:
    tail: Tail[int] = Tail()
    plain: list[int] = []
    for number, cut in enumerate(cuts):
        tail.append(number)
        plain.append(number)
        if cut == 5:
            tail.put_before([-1, -2])
            plain = [-1, -2, *plain]
        tail.cut(cut)
        del plain[:cut]
        assert list(tail) == plain
        assert (len(tail), tail[1:3], tail[-2:]) == (len(plain), plain[1:3], plain[-2:])
