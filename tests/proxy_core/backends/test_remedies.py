"""What is done about a failure before the client hears of it."""

from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.remedies import Remedy, may_repeat, remedy_for
from proxy_core.config.models import RetryConfig, ServerConfig, ToolRules
from proxy_core.errors import (
    BackendError,
    BackendExited,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    Only1Error,
    TooManyRounds,
)
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import NEEDED
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.scripted_backend import CHILD, REMOTE, child
from tests.support.scripted_channel import (
    Reply,
    discovered,
    initialized,
    raises,
    refuses,
    result,
    silence,
    tools,
)

LOST = BackendStreamLost("box", "The server broke off its answer.")


def remedy(
    failure: Only1Error,
    method: str = "tools/call",
    *,
    name: str = "add",
    era: Era | None = Era.MODERN,
    transport: Any = REMOTE,
    retry: tuple[str, ...] = (),
) -> Remedy | None:
    settings = ServerConfig(id="box", transport=transport, tools=ToolRules(retry=retry))
    return remedy_for(failure, Call(method, Raw(), name=name), era, settings)


def refusal(code: int) -> BackendError:
    return BackendError("box", code, "no")


@pytest.mark.requirement("H08")
def test_a_header_mismatch_has_the_tools_read_again() -> None:
    assert remedy(refusal(-32020)) is Remedy.READ_TOOLS
    assert remedy(refusal(-32020), transport=CHILD) is Remedy.READ_TOOLS


INSISTS = BackendError("box", -32021, "no", jsonrpc.encode({"requiredCapabilities": NEEDED}))


@pytest.mark.requirement("T04")
def test_a_server_that_insists_on_a_task_gets_one_where_it_can_be_seen_through() -> None:
    settings = ServerConfig(id="box", transport=CHILD)

    def of(failure: Only1Error = INSISTS, era: Era = Era.MODERN, **call: Any) -> Remedy | None:
        made = {"method": "tools/call", "params": Raw(), "may_be_task": True} | call
        return remedy_for(failure, Call(**made), era, settings)

    assert of() is Remedy.RUN_AS_TASK
    assert of(may_be_task=False) is None
    assert of(era=Era.LEGACY) is None
    assert of(method="prompts/get") is None
    assert of(refusal(-32021)) is None
    assert of(refusal(-32601)) is None


@pytest.mark.parametrize("failure", [INSISTS, refusal(-32020), refusal(-32022), LOST])
def test_what_may_have_been_run_as_a_task_is_not_made_again(failure: Only1Error) -> None:
    settings = ServerConfig(id="box", transport=REMOTE, tools=ToolRules(retry=("*",)))
    call = Call("tools/call", Raw(), name="add", may_be_task=True, is_task=True)
    assert remedy_for(failure, call, Era.MODERN, settings) is None


def test_a_header_mismatch_means_nothing_elsewhere() -> None:
    assert remedy(refusal(-32020), "prompts/get") is None
    assert remedy(refusal(-32020), era=Era.LEGACY) is None


@pytest.mark.parametrize("era", Era)
def test_a_remote_server_that_refuses_our_revision_is_connected_to_anew(era: Era) -> None:
    assert remedy(refusal(-32022), era=era) is Remedy.RECONNECT
    assert remedy(refusal(-32022), "prompts/get", era=era) is Remedy.RECONNECT


def test_a_child_that_refuses_its_own_revision_is_not_started_again() -> None:
    assert remedy(refusal(-32022), transport=CHILD) is None


@pytest.mark.parametrize("code", [-32603, -32602, -32601, -32021, -32000, 0])
def test_any_other_refusal_stands(code: int) -> None:
    assert remedy(refusal(code)) is None


FAULTS = [
    LOST,
    BackendExited("box", "gone"),
    BackendTimeout("box", "late"),
    BackendFailing("box", "failing", status=500),
    BackendProtocolError("box", "garbage"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_is_mended_on_the_spot(fault: BackendFault) -> None:
    assert remedy(fault, "resources/read", retry=("*",)) is None


@pytest.mark.requirement("B07")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "completion/complete"])
def test_what_only_reads_may_be_repeated_whatever_went_wrong(method: str, fault: BackendFault) -> None:
    assert may_repeat(fault, asking(method), ToolRules())


@pytest.mark.requirement("B07")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("retry", "outcome"),
    [((), False), (("sub",), False), (("add",), True), (("x", "a*"), True), (("ADD",), False)],
)
def test_a_tool_may_be_repeated_only_where_the_configuration_names_it(
    retry: tuple[str, ...], outcome: bool, fault: BackendFault
) -> None:
    assert may_repeat(fault, asking("tools/call"), ToolRules(retry=retry)) is outcome


@pytest.mark.parametrize("fault", [BackendHttpError("box", 400), TooManyRounds("box", "asks on")])
def test_what_blames_the_request_is_not_repeated(fault: BackendFault) -> None:
    assert not may_repeat(fault, asking("resources/read"), ToolRules())


@pytest.mark.parametrize("what", ["has_asked", "is_task"])
def test_a_call_that_a_person_was_asked_for_or_that_is_a_task_is_not_repeated(what: str) -> None:
    call = asking("prompts/get")
    setattr(call, what, True)
    assert not may_repeat(LOST, call, ToolRules())


# --- asking once more ---------------------------------------------------------------------------------------

BREAKS = raises(LOST)
NEW_REVISION = refuses(-32022, {"supported": ["2027-01-01"]})


def remote(**script: Reply | list[Reply]) -> dict[str, Any]:
    """A modern server with one tool."""
    base = {"server/discover": discovered(), "tools/list": tools("add")}
    return base | {method.replace("_", "/"): reply for method, reply in script.items()}


def asking(method: str, **more: Any) -> Call:
    return Call(method, Raw(b"{}"), name="add", **more)


def annotated(header: str) -> Reply:
    """The one tool, its argument `n` to be repeated in a header."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": header}}}
    return result({"tools": [{"name": "add", "inputSchema": schema}]})


@pytest.mark.requirement("H08")
async def test_a_header_mismatch_has_the_tools_read_again_and_the_call_asked_once_more(boxes: Any) -> None:
    box = await boxes(
        remote(tools_list=[tools("add"), annotated("Number")], tools_call=[refuses(-32020), result({})]),
        transport=REMOTE,
        era="modern",
    ).in_service()
    await box.ask(Call("tools/call", Raw(b'{"name":"add","arguments":{"n":7}}'), name="add"))
    first, second = (a.sent for a in box.server.asked if a.sent.method == "tools/call")
    assert (first.param_headers, second.param_headers) == ([], [("Mcp-Param-Number", "7")])
    assert first.request_id != second.request_id
    assert box.server.count("tools/list") == 2


@pytest.mark.requirement("H08")
async def test_a_second_header_mismatch_goes_up(boxes: Any) -> None:
    box = await boxes(remote(tools_call=refuses(-32020)), transport=REMOTE, era="modern").in_service()
    with pytest.raises(BackendError) as failure:
        await box.call()
    assert failure.value.code == -32020
    assert (box.server.count("tools/call"), box.server.count("tools/list")) == (2, 2)


async def test_a_tool_that_has_gone_meanwhile_is_not_asked_again(boxes: Any) -> None:
    box = await boxes(
        remote(tools_list=[tools("add"), tools("other")], tools_call=refuses(-32020)),
        transport=REMOTE,
        era="modern",
    ).in_service()
    with pytest.raises(BackendError):
        await box.call()
    assert box.server.count("tools/call") == 1


@pytest.mark.requirement("H08")
async def test_a_tool_whose_annotations_are_invalid_by_now_is_not_asked_again(boxes: Any) -> None:
    box = await boxes(
        remote(tools_list=[tools("add"), annotated("not a token")], tools_call=refuses(-32020)),
        transport=REMOTE,
        era="modern",
    ).in_service()
    with pytest.raises(BackendError):
        await box.call()
    assert box.server.count("tools/call") == 1


@pytest.mark.requirement("B07")
@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "completion/complete"])
async def test_what_only_reads_is_asked_again_with_a_new_id_when_its_stream_breaks(
    boxes: Any, method: str
) -> None:
    script = remote() | {method: [BREAKS, result({"contents": []})]}
    box = await boxes(script, transport=REMOTE, era="modern").in_service()
    await box.ask(asking(method))
    first, second = (asked.id for asked in box.server.asked if asked.message["method"] == method)
    assert first != second


@pytest.mark.requirement("B07")
async def test_a_list_is_asked_for_again_when_its_stream_breaks(boxes: Any) -> None:
    script = remote(tools_list=[BREAKS, tools("add")])
    box = await boxes(script, transport=REMOTE, era="modern").in_service()
    assert box.tools == ["add"]
    assert box.server.starts == 1


@pytest.mark.requirement("B07")
@pytest.mark.requirement("A10")
async def test_a_call_whose_stream_broke_is_not_made_twice_whatever_the_tool_says_of_itself(boxes: Any) -> None:
    harmless = {"readOnlyHint": True, "idempotentHint": True, "destructiveHint": False}
    tool = {"name": "add", "inputSchema": {"type": "object"}, "annotations": harmless}
    box = await boxes(
        remote(tools_list=result({"tools": [tool]}), tools_call=BREAKS), transport=REMOTE, era="modern"
    ).in_service()
    with pytest.raises(BackendStreamLost):
        await box.call()
    assert box.server.count("tools/call") == 1
    assert box.backend.members[0].last_error == "The server broke off its answer."


@pytest.mark.requirement("A10")
async def test_a_call_whose_stream_broke_is_made_again_once_where_the_configuration_says_so(boxes: Any) -> None:
    destructive = {"destructiveHint": True}
    tool = {"name": "add", "inputSchema": {"type": "object"}, "annotations": destructive}
    box = await boxes(
        remote(tools_list=result({"tools": [tool]}), tools_call=BREAKS),
        transport=REMOTE,
        era="modern",
        tools={"retry": ["a*"]},
    ).in_service()
    with pytest.raises(BackendStreamLost):
        await box.call()
    assert box.server.count("tools/call") == 1 + RetryConfig().attempts


async def test_a_legacy_stream_that_broke_for_good_is_asked_again_too(boxes: Any) -> None:
    script = child() | {"resources/read": [BREAKS, result({"contents": []})]}
    box = await boxes(script, transport=REMOTE).in_service()
    await box.ask(asking("resources/read"))
    assert box.server.count("resources/read") == 2


async def test_a_server_that_speaks_another_revision_is_connected_to_anew(boxes: Any) -> None:
    box = await boxes(remote(tools_call=NEW_REVISION), transport=REMOTE, era="auto").in_service()
    await box.wait(60)
    box.server.script |= {
        "server/discover": [refuses(-32601)],
        "initialize": [initialized()],
        "notifications/initialized": [silence],
        "tools/call": [NEW_REVISION, result({"by": "the new one"})],
    }
    answer = await box.call()
    assert (bytes(answer.result), answer.era) == (b'{"by": "the new one"}', Era.LEGACY)
    assert box.server.count("tools/call") == 2
    assert box.states == [S.HEALTHY, S.RESTARTING, S.HEALTHY]


async def test_a_server_that_refuses_every_revision_is_not_connected_to_with_every_call(boxes: Any) -> None:
    box = await boxes(remote(tools_call=NEW_REVISION), transport=REMOTE, era="modern").in_service()
    await box.wait(60)
    for _ in range(3):
        with pytest.raises(BackendError) as failure:
            await box.call()
        assert failure.value.code == -32022
    assert box.server.starts == 2
    assert box.server.count("tools/call") == 4
