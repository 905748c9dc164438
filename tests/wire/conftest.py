"""Each test here runs on either loop that the gateway may run on: their transports are not alike."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.proxy_core.frontend.conftest import (  # noqa: F401 (fixtures)
    facts,
    fast_path,
    frontend,
    gateway,
    http,
    serving,
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
