"""What a server over HTTP is asked first: one thing after the other, on the connection that is there."""

from aiohttp import web

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.backend_server import DISCOVERED, Handler, Seen, answers, serving
from tests.support.gateway_process import remote


async def test_all_lists_of_a_server_are_read_on_one_connection() -> None:
    ports: dict[str, int] = {}

    def listed(member: str) -> Handler:
        async def handle(seen: Seen) -> web.StreamResponse:
            transport = seen.request.transport
            assert transport is not None
            ports[member] = transport.get_extra_info("peername")[1]
            return await answers({member: []})(seen)

        return handle

    kinds = {
        "tools/list": "tools",
        "prompts/list": "prompts",
        "resources/list": "resources",
        "resources/templates/list": "resourceTemplates",
    }
    table = {method: listed(member) for method, member in kinds.items()}
    offered = DISCOVERED | {"capabilities": {"tools": {}, "prompts": {}, "resources": {}}}
    async with serving({"server/discover": answers(offered), **table}) as server:
        config = Config.model_validate({"proxy": {"port": 0}, "servers": [remote("box", server.url)]})
        proxy = Proxy(LoadedConfig(config))
        async with proxy.started():
            assert await proxy.wait_ready(30)
    assert ports.keys() == set(kinds.values())
    assert len(set(ports.values())) == 1
