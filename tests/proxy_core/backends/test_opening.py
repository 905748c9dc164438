"""How the era of a backend is found, as tables: outcomes in, steps out."""

from typing import Literal, TypeAlias

import pytest

from proxy_core.backends.opening import (
    Discovered,
    Exited,
    HttpRefused,
    Initialized,
    Opening,
    Outcome,
    Refused,
    Silence,
    Step,
)
from proxy_core.protocol.revisions import LEGACY_REVISIONS

Era: TypeAlias = Literal["auto", "modern", "legacy"]
Kind: TypeAlias = Literal["stdio", "http", "sse"]

D, I, RESPAWN, SSE, READY, FAIL = (
    Step.DISCOVER,
    Step.INITIALIZE,
    Step.RESPAWN,
    Step.TRY_SSE,
    Step.READY,
    Step.FAIL,
)
MODERN = Discovered(("2026-07-28",))
OLD = Initialized("2025-06-18")
UNSUPPORTED = Refused(-32022, ("2026-07-28",))


def walk(kind: Kind, *outcomes: Outcome, era: Era = "auto") -> tuple[list[Step], Opening]:
    """The steps that follow from these outcomes; a new process or channel goes on with initialize."""
    opening = Opening(kind, era)
    steps = [opening.first()]
    for outcome in outcomes:
        asked = steps[-1]
        steps.append(opening.after_discover(outcome) if asked is D else opening.after_initialize(outcome))
    return steps, opening


@pytest.mark.requirement("B01")
@pytest.mark.parametrize(
    ("outcomes", "steps"),
    [
        pytest.param([MODERN], [D, READY], id="modern"),
        pytest.param([Discovered(("2099-01-01", "2026-07-28"))], [D, READY], id="modern-and-newer"),
        pytest.param([Refused(-32601), OLD], [D, I, READY], id="method-not-found"),
        pytest.param([Refused(-32602), OLD], [D, I, READY], id="invalid-params"),
        pytest.param([Refused(-32000), OLD], [D, I, READY], id="any-other-code"),
        pytest.param([Refused(-32020), OLD], [D, I, READY], id="a-modern-code-means-nothing-on-stdio"),
        pytest.param([Silence(), OLD], [D, I, READY], id="silence"),
        pytest.param([Exited(), OLD], [D, RESPAWN, READY], id="exit"),
        pytest.param([Exited(), Exited()], [D, RESPAWN, FAIL], id="exits-always"),
        pytest.param([UNSUPPORTED, MODERN], [D, D, READY], id="unsupported-then-modern"),
        pytest.param([UNSUPPORTED, UNSUPPORTED], [D, D, FAIL], id="unsupported-twice"),
        pytest.param([Refused(-32022, ("2025-06-18",)), OLD], [D, I, READY], id="unsupported-legacy-only"),
        pytest.param([Refused(-32022, ("2099-01-01",))], [D, FAIL], id="unsupported-nothing-in-common"),
        pytest.param([Refused(-32022)], [D, FAIL], id="unsupported-without-a-list"),
        pytest.param([Silence(), UNSUPPORTED, MODERN], [D, I, D, READY], id="the-probe-got-through-late"),
        pytest.param([Silence(), UNSUPPORTED, Silence(), UNSUPPORTED], [D, I, D, I, FAIL], id="no-third-probe"),
        pytest.param([Silence(), Silence()], [D, I, FAIL], id="dead"),
        pytest.param([Silence(), Refused(-32603)], [D, I, FAIL], id="refuses-both"),
        pytest.param([Silence(), Initialized("1999-12-31")], [D, I, FAIL], id="unknown-version"),
        pytest.param([Silence(), Initialized("2026-07-28")], [D, I, FAIL], id="initialize-is-never-modern"),
    ],
)
def test_a_child_ends_in_the_right_era(outcomes: list[Outcome], steps: list[Step]) -> None:
    assert walk("stdio", *outcomes)[0] == steps


@pytest.mark.requirement("B02")
@pytest.mark.parametrize(
    ("outcomes", "steps"),
    [
        pytest.param([MODERN], [D, READY], id="modern"),
        pytest.param([UNSUPPORTED, MODERN], [D, D, READY], id="unsupported-then-modern"),
        pytest.param([Refused(-32022, ("2025-11-25",)), OLD], [D, I, READY], id="unsupported-legacy-only"),
        pytest.param([Refused(-32020)], [D, FAIL], id="header-mismatch"),
        pytest.param([Refused(-32021)], [D, FAIL], id="missing-capability"),
        pytest.param([Refused(-32601), OLD], [D, I, READY], id="method-not-found"),
        pytest.param([HttpRefused(400), OLD], [D, I, READY], id="400-empty"),
        pytest.param([HttpRefused(422), OLD], [D, I, READY], id="422-empty"),
        pytest.param([HttpRefused(404), HttpRefused(404), OLD], [D, I, SSE, READY], id="404-is-sse"),
        pytest.param([HttpRefused(405), HttpRefused(405), OLD], [D, I, SSE, READY], id="405-is-sse"),
        pytest.param([HttpRefused(400), HttpRefused(400), OLD], [D, I, SSE, READY], id="400-is-sse"),
        pytest.param([HttpRefused(404), HttpRefused(410)], [D, I, FAIL], id="410-is-not"),
        pytest.param([HttpRefused(404), HttpRefused(404), HttpRefused(404)], [D, I, SSE, FAIL], id="sse-once"),
    ],
)
def test_an_http_server_ends_in_the_right_era(outcomes: list[Outcome], steps: list[Step]) -> None:
    assert walk("http", *outcomes)[0] == steps


@pytest.mark.requirement("B04")
@pytest.mark.parametrize("kind", ["stdio", "http"])
@pytest.mark.parametrize("version", LEGACY_REVISIONS)
def test_a_server_that_lists_only_legacy_versions_gets_initialize(kind: Kind, version: str) -> None:
    steps, opening = walk(kind, Discovered((version,)), Initialized(version))
    assert (steps, opening.revision) == ([D, I, READY], version)


@pytest.mark.parametrize(
    ("kind", "era", "outcomes", "steps"),
    [
        pytest.param("stdio", "legacy", [OLD], [I, READY], id="legacy"),
        pytest.param("stdio", "legacy", [UNSUPPORTED], [I, FAIL], id="legacy-of-a-modern-server"),
        pytest.param("http", "legacy", [HttpRefused(404), OLD], [I, SSE, READY], id="legacy-over-sse"),
        pytest.param("stdio", "modern", [Refused(-32601)], [D, FAIL], id="modern-of-a-legacy-server"),
        pytest.param("stdio", "modern", [Exited()], [D, FAIL], id="modern-exits"),
        pytest.param("stdio", "modern", [Silence()], [D, FAIL], id="modern-is-silent"),
        pytest.param("http", "modern", [HttpRefused(404)], [D, FAIL], id="modern-404"),
        pytest.param("sse", "auto", [OLD], [I, READY], id="sse-has-one-era"),
        pytest.param("sse", "modern", [OLD], [I, READY], id="sse-whatever-is-pinned"),
    ],
)
def test_a_pinned_era_is_the_only_one_tried(
    kind: Kind, era: Era, outcomes: list[Outcome], steps: list[Step]
) -> None:
    assert walk(kind, *outcomes, era=era)[0] == steps


@pytest.mark.parametrize(
    ("kind", "outcomes", "words"),
    [
        ("stdio", [Discovered(("2099-01-01",))], "no version that we know: 2099-01-01"),
        ("stdio", [Discovered(())], "no version that we know: none"),
        ("stdio", [Silence(), Initialized("1999-12-31")], "the unknown version '1999-12-31'"),
        ("stdio", [Exited(), Exited()], "exited during the handshake"),
        ("stdio", [Silence(), Silence()], "did not answer initialize in time"),
        ("http", [Refused(-32021)], "refused server/discover with error -32021"),
        ("http", [HttpRefused(404), HttpRefused(410)], "refused initialize with HTTP status 410"),
    ],
)
def test_a_failure_says_why(kind: Kind, outcomes: list[Outcome], words: str) -> None:
    assert words in walk(kind, *outcomes)[1].reason


@pytest.mark.parametrize(
    "always",
    [UNSUPPORTED, Refused(-32601), HttpRefused(404), HttpRefused(400), Silence(), Exited()],
    ids=lambda outcome: type(outcome).__name__,
)
@pytest.mark.parametrize("kind", ["stdio", "http", "sse"])
def test_no_server_keeps_us_opening_for_ever(kind: Kind, always: Outcome) -> None:
    opening = Opening(kind, "auto")
    step, steps = opening.first(), 1
    while step not in (READY, FAIL):
        step = opening.after_discover(always) if step is D else opening.after_initialize(always)
        steps += 1
        assert steps < 10
