"""What every model of the configuration is built on: frozen, unknown keys refused. Pure."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Seconds = Annotated[float, Field(gt=0, le=86_400)]
SLUG_PATTERN = r"^[a-z][a-z0-9-]{0,22}[a-z0-9]$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
