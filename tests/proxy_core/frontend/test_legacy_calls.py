"""Which lists of a legacy client may be answered at once."""

import pytest
from msgspec import Raw

from proxy_core.frontend.legacy_calls import _is_first_page


@pytest.mark.parametrize("params", [b"", b"{}", b'{"_meta":{"progressToken":1}}'])
def test_a_first_page_may_be(params: bytes):
    assert _is_first_page(Raw(params))


@pytest.mark.parametrize(
    "params", [b'{"cursor":"x"}', b'{"cursor":null}', b'{"\\u0063ursor":"x"}', b"[]", b"{"]
)
def test_a_page_that_is_named_is_looked_at(params: bytes):
    assert not _is_first_page(Raw(params))
