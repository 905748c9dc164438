from typing import Any

import pytest
from pydantic import ValidationError

from proxy_core.config.models import Config
from proxy_core.config.saving import CacheConfig


@pytest.mark.parametrize(
    ("said", "method", "seconds"),
    [
        ({}, "tools/list", 600),
        ({}, "prompts/list", 600),
        ({}, "resources/list", 300),
        ({}, "resources/templates/list", 300),
        ({}, "resources/read", 0),
        ({"ttl_seconds": 7}, "resources/templates/list", 7),
        ({"methods": {"resources/read": {"ttl_seconds": 9}}}, "resources/read", 9),
        ({"methods": {"resources/read": {"ttl_seconds": 9}}}, "tools/list", 600),
        ({"enabled": False}, "tools/list", 0),
    ],
)
def test_how_long_answers_are_good_for(said: dict[str, Any], method: str, seconds: float):
    assert CacheConfig.model_validate(said).ttl_of(method) == seconds


@pytest.mark.parametrize(
    "section",
    [
        {"cache": {"methods": {"tools/call": {"ttl_seconds": 1}}}},
        {"cache": {"tools": {"weather__forecast": {}}}},
        {"cache": {"ttl_seconds": -1}},
        {"cache": {"tools": {"a": {"ttl_seconds": 1, "scope": "shared"}}}},
        {"batching": {"methods": ["tools/call"]}},
        {"batching": {"max_batch_size": 0}},
        {"batching": {"window_ms": 10_001}},
    ],
)
def test_what_would_not_be_safe_or_mean_nothing_is_refused(section: dict[str, Any]):
    with pytest.raises(ValidationError):
        Config.model_validate(section)
