"""What a gateway learned of its servers is known to the next one that is started with the same file."""

from pathlib import Path
from typing import Any

import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.backend_server import DISCOVERED, INITIALIZED, accepts, answers, refuses, rpc_error, serving
from tests.support.gateway_process import remote

LEGACY: dict[str, Any] = {
    "server/discover": refuses(404),
    "initialize": answers(INITIALIZED),
    "notifications/initialized": accepts,
    "tools/list": answers({"tools": []}),
}


async def started_once(url: str, config_path: Path | None) -> None:
    config = Config.model_validate({"servers": [remote("box", url)]})
    proxy = Proxy(LoadedConfig(config, config_path), listen=False)
    async with proxy.started():
        assert await proxy.wait_ready(60)


@pytest.mark.requirement("B12")
async def test_a_legacy_server_is_probed_at_the_first_start_only(
    tmp_path: Path, own_state_folder: Path
) -> None:
    path = tmp_path / "only1mcp.yaml"
    async with serving(LEGACY) as server:
        await started_once(server.url, path)
        await started_once(server.url, path)
        assert [key for key in server.keys if key in ("server/discover", "initialize")] == [
            "server/discover",
            "initialize",
            "initialize",
        ]
        (kept,) = own_state_folder.rglob("eras.json")
        assert "127.0.0.1" not in kept.read_text(), "addresses may hold secrets"
        await started_once(server.url, tmp_path / "other.yaml")
        assert len(server.of("server/discover")) == 2


@pytest.mark.requirement("B12")
async def test_a_server_that_became_modern_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "only1mcp.yaml"
    async with serving(dict(LEGACY)) as server:
        await started_once(server.url, path)
        server.table |= {"server/discover": answers(DISCOVERED), "initialize": rpc_error(-32601, 404)}
        for _ in range(2):
            await started_once(server.url, path)
        asked = [key for key in server.keys if key in ("server/discover", "initialize")]
        assert asked[2:] == ["initialize", "server/discover", "server/discover"]


async def test_without_a_file_nothing_is_kept(own_state_folder: Path) -> None:
    async with serving(LEGACY) as server:
        await started_once(server.url, None)
    assert list(own_state_folder.iterdir()) == []
