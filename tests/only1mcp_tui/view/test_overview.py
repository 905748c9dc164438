"""The lines around the table."""

import pytest

from only1mcp_tui.view.overview import Pace, banner_lines, event_line, selected_line, title_line
from only1mcp_tui.view.targets import Target
from only1mcp_tui.view.text import cells, plain
from proxy_core.config.models import ONLY_REPLICA
from proxy_core.facts import (
    AuditTurned,
    BreakerTurned,
    ConfigApplied,
    ContextModeChanged,
    LimitReached,
    OtherToolNamed,
    ReplicaChanged,
    ToolChanged,
)
from proxy_core.telemetry.snapshot import ConfigStatus, Notice, Totals
from tests.support.fake_control import NOW, row_of, snapshot_of
from tests.support.screens import FAULTS

BAD = ConfigStatus(3, error=FAULTS.message)
WAITS = ConfigStatus(3, is_waiting=True)
REFUSED = Notice("error", f"The configuration was not applied: {FAULTS.message}")


GOOD = ConfigStatus(3)


def title(width: int, config: ConfigStatus = GOOD, **fields: object) -> str:
    known = {"totals": Totals(calls_per_s=142.3), "config": config} | fields
    snapshot = snapshot_of((row_of("a"), row_of("b")), **known)
    return plain(title_line(snapshot, NOW, Pace(4), width))


@pytest.mark.parametrize(
    ("config", "words"),
    [(ConfigStatus(3), "cfg 3 ok"), (BAD, "cfg 3 FILE BAD"), (WAITS, "cfg 3 waits: ctrl+r")],
)
@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_title_says_how_the_configuration_is(config: ConfigStatus, words: str, width: int) -> None:
    assert words in title(width, config)
    assert "2/2 healthy" in title(width, config)


@pytest.mark.parametrize("width", range(20, 130))
def test_the_title_never_grows_over_its_line(width: int) -> None:
    url = "http://h/"
    snapshot = snapshot_of((row_of("a"),), url=url, config=BAD)
    if width >= 30:
        assert cells(title_line(snapshot, NOW, Pace(4), width)) <= width


def test_what_matters_least_gives_way_first() -> None:
    assert "rps" in title(120, BAD)
    assert "up 2h14m" in title(120, BAD)
    assert "rps" not in title(70, BAD)
    assert "FILE BAD" in title(70, BAD)


def test_without_a_file_there_is_no_word_about_one() -> None:
    assert "cfg" not in title(120, config_path=None)


def test_a_title_from_afar_says_so_with_the_address() -> None:
    snapshot = snapshot_of((row_of("a"),), url="http://127.0.0.1:9/mcp")
    for width in (80, 120):
        assert "from afar: http://127.0.0.1:9/mcp" in plain(
            title_line(snapshot, NOW, Pace(4, is_remote=True), width)
        )


@pytest.mark.parametrize("width", [40, 80, 120])
def test_of_several_faults_the_banner_shows_the_first_with_its_line_and_counts_the_others(width: int) -> None:
    snapshot = snapshot_of(notices=(REFUSED,), config=BAD)
    lines = [plain(line) for line in banner_lines(snapshot, (), width)]
    said = "".join(line[3:] for line in lines)
    assert "only1mcp.yaml:12:" in said.replace(" ", "")
    assert lines[-1].strip() == "And 2 more. ctrl+r shows them."
    assert "tols" not in said
    assert all(len(line) <= width for line in lines)


def test_a_fault_as_long_as_a_book_takes_a_few_lines() -> None:
    snapshot = snapshot_of(notices=(Notice("error", "x" * 100_000 + "\nmore\n"),))
    lines = [plain(line) for line in banner_lines(snapshot, (), 80)]
    assert len(lines) == 4
    assert lines[2].endswith("…")
    assert lines[3].strip() == "And 1 more."


def test_events_name_the_replica() -> None:
    snapshot = snapshot_of()
    changed = event_line(ReplicaChanged(NOW, "box", "b", "healthy", "failed", "it ended"), snapshot, 120)
    turned = event_line(BreakerTurned(NOW, "box", "b", "half_open", ""), snapshot, 120)
    alone = event_line(BreakerTurned(NOW, "box", ONLY_REPLICA, "closed", "it answers"), snapshot, 120)
    back = event_line(ConfigApplied(NOW, "c.yaml", (), (), (), ("box",), True), snapshot, 120)
    keys = ("auth.tokens", "profiles.review.tools")
    ruled = event_line(ConfigApplied(NOW, "c.yaml", (), (), (), settings=keys), snapshot, 120)
    assert ruled is not None and "applied: auth.tokens, profiles.review.tools" in plain(ruled)
    assert changed is not None and "box/b" in plain(changed)
    assert turned is not None and "breaker half open" in plain(turned)
    assert alone is not None and "box/" not in plain(alone) and "● box" in plain(alone)
    assert back is not None and "rolled back: updated box" in plain(back)


def test_a_limit_that_refuses_says_whose_it_is_and_of_what() -> None:
    line = event_line(LimitReached(NOW, "tool", "concurrent", "box/run"), snapshot_of(), 120)
    assert line is not None
    assert "▲ box/run" in plain(line) and "more requests at once than the tool may be asked" in plain(line)


def test_that_a_limit_refuses_is_seen_on_a_narrow_terminal_too() -> None:
    for kind in ("rate", "concurrent", "tokens", "listens"):
        line = event_line(LimitReached(NOW, "principal", kind, "anon"), snapshot_of(), 60)
        assert line is not None and "refused" in plain(line)


def test_another_mode_of_listing_tools_is_told_with_the_profile_that_it_is_for() -> None:
    snapshot = snapshot_of()
    for profile, subject in (("", "lists"), ("review", "profile review")):
        line = event_line(ContextModeChanged(NOW, profile, "full", "search"), snapshot, 120)
        assert line is not None
        assert subject in plain(line) and "mode search; before: full" in plain(line)


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (
            ToolChanged(NOW, "files", "read\x1b", "changed", ("title", "description"), True),
            "≠ files            read␛ changed: title, description; withheld until approved",
        ),
        (ToolChanged(NOW, "files", "read", "new"), "+ files            read: new"),
        (ToolChanged(NOW, "files", "read", "gone"), "- files            read: gone"),
        (ToolChanged(NOW, "files", "read", "restored"), "● files            read: again as before"),
        (ToolChanged(NOW, "files", "", "changed", (), False, 7), "≠ files            7 more tools changed"),
        (
            OtherToolNamed(NOW, "files", "read", ("git__log", "web/get")),
            "! files            read names tools of other servers: git__log, web/get",
        ),
    ],
)
def test_what_happens_to_tools_is_an_event(fact: ToolChanged | OtherToolNamed, words: str) -> None:
    line = event_line(fact, snapshot_of(), 120)
    assert line is not None
    assert plain(line).endswith(words)


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (AuditTurned(NOW, True, "No space left on device", 0), "cannot be written: No space left on device"),
        (AuditTurned(NOW, False, "", 3), "is written again; 3 lines lost"),
    ],
)
def test_an_audit_that_cannot_be_written_is_an_event(fact: AuditTurned, words: str) -> None:
    line = event_line(fact, snapshot_of(), 120)
    assert line is not None
    assert "audit" in plain(line) and words in plain(line)


def test_the_selected_row_says_that_tools_changed_and_which_key_shows_it() -> None:
    row = row_of("files", changed=3, withheld=1)
    said = plain(selected_line(Target(row), NOW, 120))
    assert said.endswith("3 tools changed or new, 1 withheld: A shows what is different")
    assert plain(selected_line(Target(row), NOW, 120, may_change=False)).endswith("1 withheld")
    assert "npx" in plain(selected_line(Target(row_of("files")), NOW, 120))
