"""The JSON Schema of the configuration, for editors: `# yaml-language-server: $schema=...`. Pure."""

from typing import Any

from proxy_core.config.models import Config


def config_schema() -> dict[str, Any]:
    """What an editor checks and completes with. It may mark `${PORT}` in place of a number, which is valid."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Only1MCP configuration"
    return schema
