"""The methods of MCP as tables: eras, routing header, caching. Spec: 2026-07-28 schema; protocol pages."""

META = "io.modelcontextprotocol/"
"""Prefix of the spec's own `_meta` keys."""
PROTOCOL_VERSION = META + "protocolVersion"
CLIENT_CAPABILITIES = META + "clientCapabilities"
CLIENT_INFO = META + "clientInfo"
LOG_LEVEL = META + "logLevel"
SERVER_INFO = META + "serverInfo"
SUBSCRIPTION_ID = META + "subscriptionId"
OWN_META = "dev.only1mcp/"
"""Prefix of our own `_meta` keys."""

MODERN_REQUESTS = frozenset(
    {
        "server/discover",
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "completion/complete",
        "subscriptions/listen",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
    }
)
LEGACY_REQUESTS = frozenset(
    {
        "initialize",
        "ping",
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "completion/complete",
        "logging/setLevel",
    }
)
NAME_HEADER_PARAM = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""Which param the `Mcp-Name` header repeats."""

CACHEABLE = frozenset(
    {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    }
)
"""Modern results that must carry ttlMs and cacheScope."""

LIST_METHODS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
"""List method -> the member of its result that holds the items."""

LIST_CHANGED = {
    "tools": "notifications/tools/list_changed",
    "resources": "notifications/resources/list_changed",
    "prompts": "notifications/prompts/list_changed",
}

RESOURCE_UPDATED = "notifications/resources/updated"
TASK_CHANGED = "notifications/tasks"
SUBSCRIPTIONS_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
