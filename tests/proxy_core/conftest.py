from typing import Any

import pytest

from proxy_core.backends.direct_call import DirectCall


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[DirectCall]:
    """The calls that went without a task."""
    seen: list[DirectCall] = []
    begin = DirectCall.begin

    def noted(self: DirectCall, call: Any) -> bool:
        is_begun = begin(self, call)
        if is_begun:
            seen.append(self)
        return is_begun

    monkeypatch.setattr(DirectCall, "begin", noted)
    return seen
