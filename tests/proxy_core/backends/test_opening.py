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

ASK, INIT, RESPAWN, SSE, READY, FAIL = (
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


def walk(
    kind: Kind, *outcomes: Outcome, era: Era = "auto", is_known_legacy: bool = False
) -> tuple[list[Step], Opening]:
    """The steps that follow from these outcomes; a new process or channel goes on with initialize."""
    opening = Opening(kind, era, is_known_legacy)
    steps = [opening.first()]
    for outcome in outcomes:
        asked = steps[-1]
        steps.append(opening.after_discover(outcome) if asked is ASK else opening.after_initialize(outcome))
    return steps, opening


@pytest.mark.requirement("B01")
@pytest.mark.parametrize(
    ("outcomes", "steps"),
    [
        pytest.param([MODERN], [ASK, READY], id="modern"),
        pytest.param([Discovered(("2099-01-01", "2026-07-28"))], [ASK, READY], id="modern-and-newer"),
        pytest.param([Refused(-32601), OLD], [ASK, INIT, READY], id="method-not-found"),
        pytest.param([Refused(-32602), OLD], [ASK, INIT, READY], id="invalid-params"),
        pytest.param([Refused(-32000), OLD], [ASK, INIT, READY], id="any-other-code"),
        pytest.param([Refused(-32020), OLD], [ASK, INIT, READY], id="a-modern-code-means-nothing-on-stdio"),
        pytest.param([Silence(), OLD], [ASK, INIT, READY], id="silence"),
        pytest.param([Exited(), OLD], [ASK, RESPAWN, READY], id="exit"),
        pytest.param([Exited(), Exited()], [ASK, RESPAWN, FAIL], id="exits-always"),
        pytest.param([UNSUPPORTED, MODERN], [ASK, ASK, READY], id="unsupported-then-modern"),
        pytest.param([UNSUPPORTED, UNSUPPORTED], [ASK, ASK, FAIL], id="unsupported-twice"),
        pytest.param([Refused(-32022, ("2025-06-18",)), OLD], [ASK, INIT, READY], id="unsupported-legacy-only"),
        pytest.param([Refused(-32022, ("2099-01-01",))], [ASK, FAIL], id="unsupported-nothing-in-common"),
        pytest.param([Refused(-32022)], [ASK, FAIL], id="unsupported-without-a-list"),
        pytest.param([Silence(), UNSUPPORTED, MODERN], [ASK, INIT, ASK, READY], id="the-probe-came-late"),
        pytest.param([Silence(), UNSUPPORTED] * 2, [ASK, INIT, ASK, INIT, FAIL], id="no-third-probe"),
        pytest.param([Silence(), Silence()], [ASK, INIT, FAIL], id="dead"),
        pytest.param([Silence(), Refused(-32603)], [ASK, INIT, FAIL], id="refuses-both"),
        pytest.param([Silence(), Initialized("1999-12-31")], [ASK, INIT, FAIL], id="unknown-version"),
        pytest.param([Silence(), Initialized("2026-07-28")], [ASK, INIT, FAIL], id="modern-by-initialize"),
    ],
)
def test_a_child_ends_in_the_right_era(outcomes: list[Outcome], steps: list[Step]) -> None:
    assert walk("stdio", *outcomes)[0] == steps


@pytest.mark.requirement("B02")
@pytest.mark.parametrize(
    ("outcomes", "steps"),
    [
        pytest.param([MODERN], [ASK, READY], id="modern"),
        pytest.param([UNSUPPORTED, MODERN], [ASK, ASK, READY], id="unsupported-then-modern"),
        pytest.param([Refused(-32022, ("2025-11-25",)), OLD], [ASK, INIT, READY], id="unsupported-legacy-only"),
        pytest.param([Refused(-32020)], [ASK, FAIL], id="header-mismatch"),
        pytest.param([Refused(-32021)], [ASK, FAIL], id="missing-capability"),
        pytest.param([Refused(-32601), OLD], [ASK, INIT, READY], id="method-not-found"),
        pytest.param([HttpRefused(400), OLD], [ASK, INIT, READY], id="400-empty"),
        pytest.param([HttpRefused(422), OLD], [ASK, INIT, READY], id="422-empty"),
        pytest.param([HttpRefused(404), HttpRefused(404), OLD], [ASK, INIT, SSE, READY], id="404-is-sse"),
        pytest.param([HttpRefused(405), HttpRefused(405), OLD], [ASK, INIT, SSE, READY], id="405-is-sse"),
        pytest.param([HttpRefused(400), HttpRefused(400), OLD], [ASK, INIT, SSE, READY], id="400-is-sse"),
        pytest.param([HttpRefused(404), HttpRefused(410)], [ASK, INIT, FAIL], id="410-is-not"),
        pytest.param([HttpRefused(404)] * 3, [ASK, INIT, SSE, FAIL], id="sse-once"),
    ],
)
def test_an_http_server_ends_in_the_right_era(outcomes: list[Outcome], steps: list[Step]) -> None:
    assert walk("http", *outcomes)[0] == steps


@pytest.mark.requirement("B04")
@pytest.mark.parametrize("kind", ["stdio", "http"])
@pytest.mark.parametrize("version", LEGACY_REVISIONS)
def test_a_server_that_lists_only_legacy_versions_gets_initialize(kind: Kind, version: str) -> None:
    steps, opening = walk(kind, Discovered((version,)), Initialized(version))
    assert (steps, opening.revision) == ([ASK, INIT, READY], version)


@pytest.mark.parametrize(
    ("kind", "era", "outcomes", "steps"),
    [
        pytest.param("stdio", "legacy", [OLD], [INIT, READY], id="legacy"),
        pytest.param("stdio", "legacy", [UNSUPPORTED], [INIT, FAIL], id="legacy-of-a-modern-server"),
        pytest.param("http", "legacy", [HttpRefused(404), OLD], [INIT, SSE, READY], id="legacy-over-sse"),
        pytest.param("stdio", "modern", [Refused(-32601)], [ASK, FAIL], id="modern-of-a-legacy-server"),
        pytest.param("stdio", "modern", [Exited()], [ASK, FAIL], id="modern-exits"),
        pytest.param("stdio", "modern", [Silence()], [ASK, FAIL], id="modern-is-silent"),
        pytest.param("http", "modern", [HttpRefused(404)], [ASK, FAIL], id="modern-404"),
        pytest.param("sse", "auto", [OLD], [INIT, READY], id="sse-has-one-era"),
        pytest.param("sse", "modern", [OLD], [INIT, READY], id="sse-whatever-is-pinned"),
    ],
)
def test_a_pinned_era_is_the_only_one_tried(
    kind: Kind, era: Era, outcomes: list[Outcome], steps: list[Step]
) -> None:
    assert walk(kind, *outcomes, era=era)[0] == steps


@pytest.mark.requirement("B12")
@pytest.mark.parametrize(
    ("kind", "outcomes", "steps"),
    [
        pytest.param("stdio", [OLD], [INIT, READY], id="still-legacy"),
        pytest.param("http", [OLD], [INIT, READY], id="still-legacy-over-http"),
        pytest.param("stdio", [UNSUPPORTED, MODERN], [INIT, ASK, READY], id="modern-by-now"),
        pytest.param("http", [Refused(-32020), MODERN], [INIT, ASK, READY], id="wants-modern-headers"),
        pytest.param("http", [Refused(-32601), MODERN], [INIT, ASK, READY], id="knows-no-initialize"),
        pytest.param("http", [HttpRefused(400), MODERN], [INIT, ASK, READY], id="400-empty"),
        pytest.param(
            "stdio", [Refused(-32603), Refused(-32601), OLD], [INIT, ASK, INIT, READY], id="a-bad-day"
        ),
        pytest.param("http", [HttpRefused(404)] * 3 + [OLD], [INIT, ASK, INIT, SSE, READY], id="sse-by-now"),
        pytest.param("stdio", [Silence()], [INIT, FAIL], id="silence-says-nothing-of-an-era"),
        pytest.param("stdio", [Exited()], [INIT, FAIL], id="exit-says-nothing-of-an-era"),
    ],
)
def test_a_server_known_as_legacy_is_probed_only_when_it_contradicts(
    kind: Kind, outcomes: list[Outcome], steps: list[Step]
) -> None:
    assert walk(kind, *outcomes, is_known_legacy=True)[0] == steps


@pytest.mark.requirement("B12")
def test_a_pinned_era_needs_no_memory() -> None:
    assert walk("stdio", era="modern", is_known_legacy=True)[0] == [ASK]


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
@pytest.mark.parametrize("is_known_legacy", [False, True])
def test_no_server_keeps_us_opening_for_ever(kind: Kind, always: Outcome, is_known_legacy: bool) -> None:
    opening = Opening(kind, "auto", is_known_legacy)
    step, steps = opening.first(), 1
    while step not in (READY, FAIL):
        step = opening.after_discover(always) if step is ASK else opening.after_initialize(always)
        steps += 1
        assert steps < 10
