"""The JSON Schema of the configuration, for editors: `# yaml-language-server: $schema=...`. Pure."""

from typing import Any

from proxy_core.config.models import Config


def config_schema() -> dict[str, Any]:
    """What an editor checks and completes with; it may mark `${PORT}` where a number belongs, which we accept."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Only1MCP configuration"
    return schema
