from typing import Any

import pytest

from proxy_core.backends.direct_call import DirectCall, DirectLane


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
