from collections.abc import Iterator
from typing import Any

import pytest

from proxy_core.backends.direct_call import DirectCall, DirectLane
from tests.support.pages import Strangers, strangers


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[DirectCall]:
    """The calls that went without a task."""
    seen: list[DirectCall] = []
    begin = DirectLane.begin

    def noted(self: DirectLane, *of: Any) -> DirectCall | None:
        call = begin(self, *of)
        if call is not None:
            seen.append(call)
        return call

    monkeypatch.setattr(DirectLane, "begin", noted)
    return seen


@pytest.fixture(scope="module")
def process() -> Iterator[Strangers]:
    """That of strangers who publish pages."""
    with strangers() as process:
        yield process
