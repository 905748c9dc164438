"""What the configuration may say of how much is asked: so many a second, so many at once, so many tokens. Pure.

Everywhere 0 means that there is no such limit, and a burst belongs to the rate beside it.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from proxy_core.config.base import Model

Rate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Tokens = Annotated[int, Field(ge=0, le=10**12)]


def _is_of_a_rate(calls_per_s: float | None, burst: int) -> None:
    if burst and not calls_per_s:
        raise ValueError("`burst` is how many may come at once of `calls_per_s`, which is missing here")


class PlaceLimits(Model):
    """How much is asked of one place, by everybody together. What is more is refused."""

    calls_per_s: Rate = Field(0, description="Requests a second, on average; 0: no such limit.")
    burst: Count = Field(0, description="How many of them may come at once; 0: those of one second.")
    concurrent: Count = Field(0, description="Requests in flight; 0: no such limit.")

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        _is_of_a_rate(self.calls_per_s, self.burst)
        return self


class ProfileLimits(PlaceLimits):
    """How much all clients of a profile may ask together."""

    tokens_per_day: Tokens = Field(0, description="Tokens of lists of tools in any 24 hours; 0: no such limit.")


class TokenLimits(Model):
    """How much one token may ask, in place of what `limits` says for every principal."""

    calls_per_s: Rate | None = Field(None, description="In place of limits.calls_per_s; 0: none.")
    burst: Count = Field(0, description="How many of them may come at once; 0: those of one second.")
    concurrent: Count | None = Field(None, description="In place of limits.calls; 0: none.")
    tokens_per_day: Tokens | None = Field(None, description="In place of limits.tokens_per_day; 0: none.")

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        _is_of_a_rate(self.calls_per_s, self.burst)
        return self


class LimitsConfig(Model):
    """Bounds on what each client may ask and hold open. 0 means none."""

    sessions: int = Field(1000, ge=1, description="Legacy sessions alive at once.")
    session_idle_s: float = Field(1800, gt=0, description="A session unused for so long is ended, in seconds.")
    listens: int = Field(
        64, ge=0, description="Open listens of one principal, except without tokens on loopback."
    )
    parked: int = Field(
        100,
        ge=0,
        description="Calls of one principal that wait for input, except without tokens on loopback.",
    )
    server_queue: int = Field(256, ge=1, description="Calls that may wait for a free place at one server.")
    calls: int = Field(
        64, ge=0, description="Calls in flight of one principal, except without tokens on loopback."
    )
    calls_per_s: Rate = Field(
        0, description="Requests a second of one principal, on average; 0: no such limit."
    )
    burst: Count = Field(0, description="How many of them may come at once; 0: those of one second.")
    tokens_per_day: Tokens = Field(
        0, description="Tokens of lists of tools for one principal in any 24 hours; 0: no such limit."
    )

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        _is_of_a_rate(self.calls_per_s, self.burst)
        return self
