"""What the configuration may say of the audit. Pure."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from proxy_core.config.base import Model

AuditKey = Annotated[str, StringConstraints(min_length=16, max_length=1024)]


class AuditConfig(Model):
    """Who did what: a line for each call and each act of an operator, chained so that changes show."""

    file: str | None = Field(
        None,
        min_length=1,
        description="Where the lines go, relative to the folder of this file; nothing: there is no audit.",
    )
    arguments: bool = Field(
        False, description="The arguments of calls too, secrets masked, 8192 characters at most."
    )
    on_full: Literal["open", "closed"] = Field(
        "open",
        description="What happens to calls while lines cannot be written. open: they go on, and how many lines "
        "are lost is written later. closed: they are refused.",
    )
    max_bytes: int = Field(
        67_108_864,
        ge=65_536,
        le=1 << 40,
        description="Length at which the file is put aside as `<file>.<number>` and another begun, about.",
    )
    keep: int = Field(10, ge=0, le=10_000, description="Files put aside that are kept; the oldest go.")
    key: AuditKey | None = Field(
        None,
        repr=False,
        description="A secret that the lines are chained with: without it nobody can make the chain anew.",
    )
