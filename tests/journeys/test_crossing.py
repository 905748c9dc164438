"""Many clients of both eras at once, with equal ids and tokens, each asked something in the middle of a call.

Whatever happens, a question and its answer belong to the client whose call caused them. A server that cannot
say which call it asks for may have a call refused, never one answered by somebody else.
"""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from tests.journeys.test_combinations import configured, everything
from tests.support.asked_client import AskedClient, asked_client
from tests.support.gateway_process import serving

CLIENTS = 8
ROUNDS = 3


async def talk(client: AskedClient, mark: str, rounds: int) -> int:
    """How many calls were answered; what came back, and what was asked, is this client's own."""
    answered = 0
    client.says = mark
    for number in range(rounds):
        message = f"{mark} in round {number}"
        try:
            result = await client.client.call_tool(
                "test_elicitation", {"message": message}, progress_callback=client.report
            )
        except MCPError:
            continue
        text = result.content[0].text
        if result.is_error:
            assert "mark-" not in text
            continue
        assert f'"{mark}"' in text
        assert text.count("mark-") == 2
        answered += 1
    asked = [params["message"] for _, params in client.asked]
    assert all(message.startswith(f"{mark} in round ") for message in asked), asked
    return answered


async def crossing(url: str, clients: int, rounds: int) -> list[int]:
    async with AsyncExitStack() as stack:
        modes = ["legacy" if number % 2 else "auto" for number in range(clients)]
        parties = [await stack.enter_async_context(asked_client(url, mode)) for mode in modes]
        return await asyncio.gather(
            *(talk(party, f"mark-{number}", rounds) for number, party in enumerate(parties))
        )


@pytest.mark.parametrize("kind", ["http", "http-legacy", "stdio", "stdio-legacy", "sse"])
async def test_nothing_leaks_between_clients_that_are_asked_at_once(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        where = stack.enter_context(everything(kind, tmp_path))
        server = configured(kind, where) | {"prefix": "none"}
        gateway = stack.enter_context(serving(tmp_path, [server]))
        answered = await crossing(gateway.url, CLIENTS, ROUNDS)
        if kind in ("http", "http-legacy", "stdio"):
            # The question comes on the stream of its call, or the server does not ask out of turn at all.
            assert answered == [ROUNDS] * CLIENTS
        # Once it has asked out of turn, a server gets one call at a time, and no doubt is left.
        assert sum(await crossing(gateway.url, 4, 2)) == 8


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["http-legacy", "stdio-legacy"])
async def test_nothing_leaks_between_many_clients_in_many_rounds(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        where = stack.enter_context(everything(kind, tmp_path))
        gateway = stack.enter_context(serving(tmp_path, [configured(kind, where) | {"prefix": "none"}]))
        assert sum(await crossing(gateway.url, 32, 20)) > 0
