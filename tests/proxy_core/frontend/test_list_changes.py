import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.frontend.list_changes import UNTAGGED, tagged
from proxy_core.gateway.subscriptions import ALL_KINDS, ListKind

SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"


@pytest.mark.parametrize("kind", sorted(ALL_KINDS))
def test_a_session_is_told_the_kind_alone(kind: ListKind):
    method = f"notifications/{kind}/list_changed"
    assert json.loads(UNTAGGED[kind]) == {"jsonrpc": "2.0", "method": method}


@given(st.sampled_from(sorted(ALL_KINDS)), st.integers() | st.text() | st.just('"id"') | st.just("id"))
def test_a_listen_is_told_its_own_id_too_of_the_same_type(kind: ListKind, request_id: Any):
    assert json.loads(tagged(kind, json.dumps(request_id).encode())) == {
        "jsonrpc": "2.0",
        "method": f"notifications/{kind}/list_changed",
        "params": {"_meta": {SUBSCRIPTION_ID: request_id}},
    }
