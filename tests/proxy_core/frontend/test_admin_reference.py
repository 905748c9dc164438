import re

import pytest

from proxy_core.frontend.admin_reference import BEGIN, END, PARTS, facts, metrics, routes, shapes, updated
from proxy_core.frontend.admin_routes import ROUTES
from proxy_core.telemetry.prometheus import METRICS


def document(inside: str) -> str:
    return (
        "\n".join(f"before {name}\n{BEGIN.format(name)}\n{inside}\n{END.format(name)}" for name in PARTS)
        + "\nend\n"
    )


def test_every_route_and_every_metric_has_a_row():
    text = "\n".join((*routes(), *metrics()))
    for route in ROUTES:
        assert f"| `{route.method} {route.path}` | {route.does} |" in text
    for metric in METRICS:
        assert f"| `only1mcp_{metric.name}` | {metric.type} |" in text


def test_members_are_said_in_words_of_json():
    rows = {row.split("|")[1].strip(): row for row in (*shapes(), *facts())}
    assert "`descendants`: list of [whole number, text]" in rows["`ChildRow`"]
    assert "`error`: text or null" in rows["`Probe`"]
    assert "`added`: list of text" in rows["`ConfigApplied`"]
    assert "`auth_required`" in rows["`ServerState`"]
    assert "`RequestFinished`" not in rows
    assert not any(word in text for text in rows.values() for word in ("proxy_core", "tuple", "class", "str`"))


def test_only_the_parts_between_the_marks_are_renewed():
    renewed = updated(document("OUTDATED"))
    assert renewed == updated(renewed)
    assert "OUTDATED" not in renewed
    assert renewed.startswith("before routes\n") and renewed.endswith("\nend\n")


@pytest.mark.parametrize("name", PARTS)
def test_a_document_that_lacks_a_mark_is_refused(name: str):
    for mark in (BEGIN, END):
        with pytest.raises(ValueError, match=name):
            updated(document("OUTDATED").replace(mark.format(name), ""))


def test_every_shape_that_a_shape_is_made_of_is_told_too():
    rows = [row.removeprefix("| ").partition(" | ") for row in shapes()][2:]
    told = {name.strip("`") for name, _, _ in rows}
    named = {word for _, _, members in rows for word in re.findall(r"\b[A-Z][a-z]+\w*", members)}
    assert named <= told
