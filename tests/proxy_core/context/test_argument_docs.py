import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.context.argument_docs import split

GOOGLE = """Open a gate.

It may take a while.

Args:
    gate: Which one,
        by its name.
    wait (int, optional): Seconds. Default: 3.
    *: not a name

Returns:
    dict: What happened
      - with details

Raises:
    ValueError: If there is no such gate.

Take care."""


def test_sections_of_a_docstring_go_and_what_they_say_of_arguments_is_told():
    found = split(GOOGLE, {"gate", "wait"})
    assert [line for line in found.prose.split("\n") if line] == [
        "Open a gate.",
        "It may take a while.",
        "Take care.",
    ]
    assert found.arguments == {"gate": "Which one, by its name.", "wait": "Seconds. Default: 3."}


@pytest.mark.parametrize(
    "section",
    [
        "Args:\n  gate: Which.",
        "Args:\n- gate: Which.",
        "Args:\n* `gate` (string): Which.",
        "Args:\ngate: Which.",
        "Arguments:\n    gate [str] - Which.",
        "Parameters:\n  - **gate**: Which.",
        "**Parameters:**\n- gate — Which.",
        "## Parameters\n- `gate`: Which.",
        "PARAMS:\n\n  gate:\n    Which.",
    ],
)
def test_arguments_are_found_however_the_section_is_written(section: str):
    assert split(f"Open a gate.\n\n{section}", {"gate"}) == ("Open a gate.", {"gate": "Which."})


@pytest.mark.parametrize(
    "section",
    [
        "Returns:\n    What happened.",
        "Returns: What happened.",
        "Returns:\n- what happened\n- and why",
        "Yields:\n  Gates.",
        "Raises:\n  KeyError: No gate.",
        "Examples:\n```\nopen()\n\nshut()\n```",
        "### Example usage\n  open()",
    ],
)
def test_sections_that_say_nothing_of_arguments_go(section: str):
    assert split(f"Open a gate.\n{section}\nTake care.", ()) == ("Open a gate.\nTake care.", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Open a gate.",
        "Returns the gate that is open.",
        "It raises\nan error.",
        "Examples",
        "Args:\n    other: Of no property.",
        "Arguments: see the manual.",
    ],
)
def test_what_is_no_section_or_tells_of_no_property_stays(text: str):
    assert split(text, {"gate"}) == (text, {})


def test_the_first_word_on_an_argument_counts():
    assert split("Args:\n  gate: One.\nParams:\n  gate: Two.", {"gate"}).arguments == {"gate": "One."}


@pytest.mark.parametrize("run", [" ", "\u00a0", "*", "_", "-", "a_", "(", "a:", "`"])
def test_no_text_takes_long(run: str):
    """Time that grew with the square of the length would take minutes here, and the timeout would end it."""
    for line in (run * 100_000, f"a{run * 100_000}b", f"Args:{run * 100_000}x"):
        split(f"Args:\n{line}\nReturns:\n{line}", {"a"})


lines = st.sampled_from(
    ["Args:", "Returns: x", "  a: b", "- a: b", "", "Text.", "    more", "```", "# Examples", "a:"]
)


@given(st.lists(lines, max_size=12).map("\n".join) | st.text(max_size=60))
def test_nothing_is_added(text: str):
    prose, said = split(text, {"a"})
    assert len(prose) <= len(text)
    assert set(said) <= {"a"}
