import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.aliases import alias_of, split_alias
from proxy_core.config.models import SLUG_PATTERN

slugs = st.from_regex(SLUG_PATTERN, fullmatch=True)


def test_an_alias_is_a_uri_whose_scheme_names_the_server():
    assert alias_of("gh", "file:///x") == "gh+file:///x"


def test_the_alias_of_a_page_keeps_its_scheme():
    assert alias_of("gh", "ui://board/main") == "ui://gh.board/main"


@given(slugs, st.text(min_size=1) | st.text().map("ui://".__add__))
def test_an_alias_leads_back_to_server_and_uri(slug: str, uri: str):
    assert split_alias(alias_of(slug, uri), {slug}) == (slug, uri)


@pytest.mark.parametrize("uri", ["file:///x", "other+file:///x", "ui://board/main", "ui://other.board/x", ""])
def test_a_uri_that_names_no_known_server_is_no_alias(uri: str):
    assert split_alias(uri, {"gh"}) is None
