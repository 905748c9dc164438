"""Making a bearer token, and what a configuration says of it: its SHA-256, never the token itself."""

import hashlib
import json
import secrets
from io import StringIO
from typing import Final

from pydantic import ValidationError
from ruamel.yaml import YAML

from proxy_core.config.document import shown_path
from proxy_core.config.faults import faults
from proxy_core.config.models import TokenConfig
from proxy_core.errors import ConfigError, ConfigProblem

PREFIX: Final = "o1_"
"""By which a person, or a scanner for leaked secrets, knows one of ours."""
RANDOM_BYTES: Final = 32


def new_token(name: str, profile: str | None = None, admin: str = "read") -> tuple[str, TokenConfig]:
    """A token, to be shown once, and its entry. Raises: ConfigError for a name that cannot be one."""
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    data = {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "profile": profile}
    data |= {"admin": admin}
    try:
        return token, TokenConfig.model_validate(data)
    except ValidationError as error:
        problems = (ConfigProblem(shown_path(path), message) for path, message in faults(error, data))
        raise ConfigError("only1mcp token new", tuple(problems)) from error


def fragment(entry: TokenConfig, ending: str) -> str:
    """What a file with this ending has to say; to be joined with the tokens that it has."""
    data = {"auth": {"tokens": [entry.model_dump(exclude_defaults=True)]}}
    if ending == ".json":
        return json.dumps(data, indent=2)
    if ending == ".toml":
        said = entry.model_dump(exclude_defaults=True)
        return "\n".join(["[[auth.tokens]]", *(f'{key} = "{value}"' for key, value in said.items())])
    out = StringIO()
    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(data, out)
    return out.getvalue().rstrip()
