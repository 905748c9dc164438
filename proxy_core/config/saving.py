"""The sections that save work: what answers are kept, and which requests are asked together. Pure."""

from typing import Annotated, Final, Literal

from pydantic import Field

from proxy_core.config.base import Model

CACHED_METHODS: Final = (
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "resources/read",
)
CachedMethod = Literal[
    "tools/list", "resources/list", "resources/templates/list", "prompts/list", "resources/read"
]
BatchedMethod = Literal[
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "resources/read",
    "prompts/get",
    "completion/complete",
]
Ttl = Annotated[float, Field(ge=0, le=86_400)]


class MethodCache(Model):
    """How long answers to one method are good for."""

    ttl_seconds: Ttl = Field(description="In place of cache.ttl_seconds; 0 keeps none.")


class ToolCache(Model):
    """How long results of one tool are good for."""

    ttl_seconds: Ttl = Field(description="0 keeps none.")
    scope: Literal["private", "public"] = Field(
        "private", description="private: each principal has its own; public: all share one result."
    )


def _default_methods() -> dict[CachedMethod, MethodCache]:
    return {
        "tools/list": MethodCache(ttl_seconds=600),
        "resources/list": MethodCache(ttl_seconds=300),
        "prompts/list": MethodCache(ttl_seconds=600),
        "resources/read": MethodCache(ttl_seconds=0),
    }


class CacheConfig(Model):
    """Answers that are given again without asking the server.

    A server's own ttlMs and cacheScope are obeyed: the shorter time counts, and what it calls private is shared
    with nobody.
    """

    enabled: bool = Field(True, description="False: every list and every read is asked of its server.")
    ttl_seconds: Ttl = Field(300, description="How long an answer is good for where nothing else is said.")
    max_entries_per_method: int = Field(
        1000, ge=1, le=1_000_000, description="Answers kept for each method; the least recently used go first."
    )
    max_bytes: int = Field(
        67_108_864, ge=65_536, le=1 << 34, description="Of all kept answers together; lists are not among them."
    )
    methods: dict[CachedMethod, MethodCache] = Field(
        default_factory=_default_methods, description="What is different for some methods."
    )
    tools: dict[str, ToolCache] = Field(
        {},
        description="Glob of exposed tool names -> how long their results are good for; no other call is kept.",
    )
    stale_if_error_seconds: Ttl = Field(
        0,
        description="How much longer an answer may be given, marked as stale, while its server is down; 0: not "
        "at all.",
    )

    def ttl_of(self, method: str) -> float:
        """Seconds that an answer to this method is good for; 0 if none is kept."""
        if not self.enabled:
            return 0
        # What is said of some methods keeps the defaults of the others.
        said = self.methods.get(method) or _DEFAULTS.get(method)  # type: ignore[call-overload]
        return self.ttl_seconds if said is None else said.ttl_seconds


_DEFAULTS: Final = _default_methods()


class BatchingConfig(Model):
    """Equal requests that wait at the same time become one call of the server.

    Those that are under way join always; the window also waits a moment for more of them.
    """

    enabled: bool = Field(
        True, description="False: no window and no JSON-RPC batches; equal requests still join."
    )
    window_ms: int = Field(
        100, ge=0, le=10_000, description="How long the first request waits for others to go with it."
    )
    max_batch_size: int = Field(
        10,
        ge=1,
        le=1000,
        description="Requests that end the window early; also the most of one JSON-RPC batch.",
    )
    methods: tuple[BatchedMethod, ...] = Field(
        ("tools/list", "resources/list", "resources/templates/list", "prompts/list"),
        description="Whose requests wait in a window; never those that the cache answers.",
    )
    tools: tuple[str, ...] = Field(
        (), description="Globs of exposed tool names whose equal calls may become one; no other call is joined."
    )
