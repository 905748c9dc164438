"""The context ledger: every part of the bill, by what a model sees or by the wire."""

from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from only1mcp_tui.screens.ledger import LedgerScreen
from proxy_core.telemetry.context_bill import (
    ContextBill,
    Cost,
    DescriptionCost,
    ModeCosts,
    ProfileCost,
    SearchEstimate,
    ServerCost,
    ToolCost,
)
from tests.support.screens import busy_control, pulled, seen, shown, svg_of, text_of

MODES = ModeCosts(Cost(41_200, 30_100), Cost(9_800, 8_700), Cost(1_900, 1_700))
BILL = ContextBill(
    "o200k_base",
    is_complete=True,
    mode="compact",
    modes=MODES,
    searches=SearchEstimate(3, 5, 1.4, 1_500),
    servers=(
        ServerCost("github", 26, Cost(31_000, 20_000), Cost(7_000, 6_000)),
        ServerCost("notes", 4, Cost(10_200, 10_100), Cost(2_800, 2_700)),
    ),
    tools=(
        ToolCost("github", "github__create_issue", Cost(4_000, 900), Cost(500, 400)),
        ToolCost("notes", "notes__search", Cost(1_200, 1_100), Cost(300, 290)),
    ),
    descriptions=(DescriptionCost("notes", "notes__search", 700, 0.58),),
    profiles=(
        ProfileCost("", "compact", 30, MODES),
        ProfileCost("review", "search", 12, MODES),
    ),
)


async def test_the_ledger(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control = busy_control()
    control.bills = [BILL]
    async with shown(control, size) as (app, pilot):
        await pilot.press("T")
        await seen(app, pilot, "41,200")
        assert svg_of(app) == picture


async def test_v_turns_between_what_a_model_sees_and_the_wire() -> None:
    control = busy_control()
    control.bills = [BILL]
    async with shown(control) as (app, pilot):
        await pilot.press("T")
        await seen(app, pilot, "by visible")
        assert text_of(app).index("notes__search") < text_of(app).index("github__create_issue")
        await pilot.press("v")
        await seen(app, pilot, "by wire")
        assert text_of(app).index("github__create_issue") < text_of(app).index("notes__search")


async def test_what_is_not_complete_is_said_and_asked_for_again() -> None:
    control = busy_control()
    control.bills = [ContextBill("o200k_base"), replace(BILL, is_complete=False), BILL]
    async with shown(control) as (app, pilot):
        await pilot.press("T")
        await seen(app, pilot, "Nothing is counted yet")
        for words in ("figures of before", "30 tools of 2 servers"):
            control.use(at=control.current.at + 2)
            await pulled(app, pilot)
            await seen(app, pilot, words)
        assert "figures of before" not in text_of(app)


async def test_the_filter_keeps_the_lines_with_a_word_and_escape_leads_back() -> None:
    control = busy_control()
    control.bills = [BILL]
    async with shown(control) as (app, pilot):
        await pilot.press("T")
        await seen(app, pilot, "by visible")
        await pilot.press("slash", *"review", "enter")
        await pulled(app, pilot)
        assert "github__create_issue" not in text_of(app)
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert not isinstance(app.screen, LedgerScreen)
