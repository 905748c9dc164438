"""Who hears what during a call that several wait for. The rest is in test_saving.py, through the gateway."""

import pytest
from msgspec import Raw

from proxy_core.backends.call import Answer, Call
from proxy_core.gateway.coalescing import Flight, Subject
from proxy_core.gateway.sharing import Crowd, is_personal
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.revisions import MODERN, Era


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (b'{"contents":[]}', False),
        (b'{"resultType":"complete"}', False),
        (b'{"resultType":"input_required","requestState":"s"}', True),
        (b'{"resultType":"task","task":{}}', True),
        (rb'{"resultType":"in\u0070ut_required"}', True),
    ],
)
def test_an_answer_that_is_not_final_is_for_one_alone(result: bytes, expected: bool):
    answer = Answer(Raw(result), Era.MODERN, MODERN)
    assert is_personal(Call("resources/read", Raw()), answer) is expected


@pytest.mark.parametrize("mark", ["has_asked", "is_task"])
def test_an_answer_that_took_more_than_one_message_is_for_one_alone(mark: str):
    call = Call("tools/call", Raw())
    setattr(call, mark, True)
    assert is_personal(call, Answer(Raw(b"{}"), Era.LEGACY, MODERN))


async def test_a_crowd_that_has_gone_is_told_nothing_and_cannot_be_asked():
    crowd = Crowd(Flight(Subject("box", "resources/read", "file:///a")))
    assert not crowd.wants_progress
    crowd.progress({})
    crowd.log(Raw(b"{}"))
    crowd.let_go()
    assert not crowd.may_ask("elicitation/create", Raw(b"{}"))
    refusal = await crowd.server_request(Request(1, b"1", "elicitation/create", Raw(b"{}")))
    assert isinstance(refusal, RpcError)
