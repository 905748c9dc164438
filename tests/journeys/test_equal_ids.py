"""Many clients that number their requests alike, on the shared pipe and connections of one server."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.support.gateway_process import GatewayProcess, remote, serving, stdio
from tests.support.processes import sdk_command, sdk_server
from tests.support.wire import Json, called, connected, messages_of, once_listed

CLIENTS = 64
HOLD_S = 0.5
pytestmark = pytest.mark.requirement("P01")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("ids")
    with (
        sdk_server("http", folder / "sdk.log") as url,
        serving(folder, [stdio("pipe", sdk_command()), remote("http", url)]) as gateway,
    ):
        yield gateway


async def _call_with_the_ids_of_all_others(url: str, era: str, server: str, text: str) -> list[Json]:
    async with connected(url, era) as client:
        arguments = {"mark": text, "seconds": HOLD_S}
        body, headers = called(client, f"{server}__wait", arguments, id=1, token=1)
        return messages_of(await client.send("POST", body, headers=headers))


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("server", ["pipe", "http"])
async def test_64_clients_with_equal_ids_and_tokens_each_get_their_own(
    gateway: GatewayProcess, server: str, era: str
) -> None:
    """No answer and no progress reaches anyone but the one whose call it belongs to."""
    async with connected(gateway.url) as client:
        await once_listed(client, f"{server}__wait")
    texts = [f"client {number} of {era} at {server}" for number in range(CLIENTS)]
    started_at = time.monotonic()
    talks = await asyncio.gather(
        *(_call_with_the_ids_of_all_others(gateway.url, era, server, text) for text in texts)
    )
    assert time.monotonic() - started_at < CLIENTS * HOLD_S, "the calls waited for each other"
    for text, (progress, answer) in zip(texts, talks, strict=True):
        assert progress["params"] == {"progressToken": 1, "progress": 0, "total": 1, "message": f"began {text}"}
        assert answer["id"] == 1
        assert answer["result"]["content"][0]["text"] == f"waited {text}"
