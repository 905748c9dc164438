"""A short way to write down what servers have."""

from typing import Literal

from proxy_core.catalog.merge import Catalog, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules


def lists(
    server: str,
    *tools: str,
    uris: tuple[str, ...] = (),
    templates: tuple[str, ...] = (),
    prompts: tuple[str, ...] = (),
    rules: ToolRules | None = None,
    prefix: Literal["always", "none"] | None = None,
) -> ServerLists:
    return ServerLists(
        server=server,
        title=server.title(),
        rules=rules or ToolRules(),
        prefix=prefix,
        tools=tuple({"name": name, "inputSchema": {"type": "object"}} for name in tools),
        resources=tuple({"uri": uri, "name": "r"} for uri in uris),
        templates=tuple({"uriTemplate": template, "name": "t"} for template in templates),
        prompts=tuple({"name": name} for name in prompts),
    )


def merged(*servers: ServerLists, **routing: object) -> Catalog:
    return merge(servers, RoutingConfig.model_validate(routing))
