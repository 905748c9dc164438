"""Each test here runs on either loop that the gateway may run on: their transports are not alike."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from proxy_core.frontend import fast_path as fast_path_module
from proxy_core.frontend import frontend as frontend_module
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


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that see a refused connection end: it need not linger long, nor wait long for the sweep."""
    monkeypatch.setattr(fast_path_module, "LINGER_S", 0.1)
    monkeypatch.setattr(frontend_module, "SWEEP_S", 0.05)
