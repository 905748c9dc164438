"""Whatever servers and clients send, no control character reaches a rendered line of any screen.

Place by place, where `test_hostile_text` fills every field there is at once, in the short tier too.
"""

import json

import pytest
from msgspec.structs import replace

from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.facts import BreakerTurned, ConfigRejected, NameHidden, ReplicaChanged, StateChanged
from proxy_core.telemetry.snapshot import (
    Change,
    ChildRow,
    DescendantRow,
    LogLine,
    NamedItem,
    Notice,
    OrphanRow,
    Probe,
    ProbedReplica,
    ServerDetail,
    ServerState,
)
from proxy_core.telemetry.tool_detail import ToolDetail
from tests.support.fake_control import NOW, WALL, FakeControl, replica_of, row_of, snapshot_of
from tests.support.screens import pulled, shown

pytestmark = pytest.mark.long

EVIL = (
    '\x1b]52;c;ZXZpbA==\x07\x9b31m\x00\r\n\u202etxt\u2066\u200b[/etc] [bold]{"path":"[/etc]"} '
    "\ud800 \U000e0041 日本語 \x7f"
)


def hostile_control() -> FakeControl:
    row = row_of(
        "evil",
        ServerState.FAILED,
        name=EVIL,
        reason=EVIL,
        address=EVIL,
        server_info=EVIL,
        revision=EVIL,
        era=EVIL,
        last_error=EVIL,
        probe=Probe(NOW, None, EVIL),
        in_flight=1,
        replicas=tuple(
            replica_of(
                name, state, reason=EVIL, address=EVIL, era=EVIL, revision=EVIL, probe=Probe(NOW, 1.0, EVIL)
            )
            for name, state in ((EVIL, ServerState.DEGRADED), ("b", ServerState.HEALTHY))
        ),
        balance=EVIL,
        differences=(EVIL,),
        processes=(
            ChildRow(1, EVIL, EVIL, NOW, descendants=((2, EVIL),), family=(DescendantRow(2, 1, EVIL),)),
        ),
    )
    control = FakeControl(snapshot_of((row,), notices=(Notice("error", EVIL),), url=EVIL, version=EVIL))
    control.plan = ReloadPlan(
        (PlannedServer(EVIL, Action.REPLACE, (EVIL,), (PlannedReplica(EVIL, Action.ADD, 1, 1),), 1, 1),),
        (EVIL,),
        (EVIL,),
    )
    control.tell(
        StateChanged(NOW, EVIL, EVIL, EVIL, EVIL),
        ReplicaChanged(NOW, EVIL, EVIL, EVIL, EVIL, EVIL),
        BreakerTurned(NOW, EVIL, EVIL, EVIL, EVIL),
        NameHidden(NOW, EVIL, EVIL, EVIL),
        ConfigRejected(NOW, EVIL, EVIL),
    )
    control.log(LogLine(WALL, EVIL, EVIL, EVIL, ((EVIL, EVIL),)))
    kinds = ("tool", "resource", "template", "prompt")
    control.details["evil"] = ServerDetail(
        row,
        items=tuple(NamedItem(kind, EVIL, EVIL + "x", EVIL, EVIL, EVIL, ((EVIL, True),)) for kind in kinds),
        stderr=(EVIL,),
        settings=((EVIL, EVIL),),
        instructions=EVIL,
        hidden=((EVIL, EVIL),),
        changes=(Change(NOW, EVIL, "state", EVIL, EVIL, EVIL), Change(NOW, EVIL, "breaker", EVIL, reason=EVIL)),
        probes=(ProbedReplica(EVIL, (Probe(NOW, 1.0, EVIL), Probe(NOW, 2.0, None))), ProbedReplica("b")),
        defaults=((EVIL, EVIL),),
    )
    control.tools[EVIL] = ToolDetail(
        EVIL, EVIL, EVIL, EVIL, EVIL, json.dumps({"properties": {EVIL: {}}}), EVIL, EVIL
    )
    control.left = (OrphanRow(1, EVIL, 1.0),)
    return control


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (40, 12)])
@pytest.mark.parametrize(
    "keys",
    [
        (),
        ("d",),
        ("y",),
        ("p",),
        ("5",),
        ("ctrl+r",),
        ("ctrl+r", "y"),
        ("j", "d"),
        ("2", "j", "enter"),
        *[("2", "enter", *["right_square_bracket"] * number) for number in range(9)],
        ("2", "right_square_bracket", "l", "enter"),
        ("2", *["right_square_bracket"] * 7, "o"),
    ],
)
async def test_no_control_character_is_rendered(size: tuple[int, int], keys: tuple[str, ...]) -> None:
    control = hostile_control()
    async with shown(control, size) as (app, pilot):
        await pilot.press(*keys)
        await pulled(app, pilot)
        control.use(replace(control.current.servers[0], calls=1))
        await pulled(app, pilot)
        for strip in app.screen._compositor.render_strips():
            for character in strip.text:
                code = ord(character)
                assert code >= 0x20, repr(strip.text)
                assert not 0x7F <= code < 0xA0, repr(strip.text)
                assert code not in (0x202E, 0x2066, 0x200B, 0xD800, 0xE0041), repr(strip.text)
        assert app.is_running
        assert "could not be drawn" not in str(app._alarms)
