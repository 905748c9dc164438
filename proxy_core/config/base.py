"""What every model of the configuration is built on: frozen, unknown keys refused. Pure."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
