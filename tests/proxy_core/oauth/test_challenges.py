"""What is read out of a WWW-Authenticate, which a stranger wrote."""

import pytest

from proxy_core.oauth.challenges import MAX_CHARS, Challenge, challenge_of


def test_a_challenge_says_where_the_metadata_are_which_scopes_are_wanted_and_what_is_wrong():
    header = 'Bearer error="insufficient_scope", scope="a:b c", resource_metadata="https://x/y?z=1,2"'
    assert challenge_of(header) == Challenge(True, "https://x/y?z=1,2", ("a:b", "c"), "insufficient_scope")


@pytest.mark.parametrize(
    ("header", "scopes"),
    [
        ("bearer scope=a", ("a",)),
        ("Bearer", ()),
        ('Basic realm="Bearer scope=no", Bearer scope="a"', ("a",)),
        ('Bearer scope="a", Basic realm="x", scope="b"', ("a",)),
        ('Bearer scope="a", scope="b"', ("a",)),
        (r'Bearer scope="a \"b c"', ("a", "c")),
        ('Bearer scope="a a  b"', ("a", "b")),
        ('Bearer realm="x, Digest scope=no" , scope="a"', ("a",)),
    ],
)
def test_other_schemes_quotes_and_repeats_do_not_mislead(header: str, scopes: tuple[str, ...]):
    assert challenge_of(header) == Challenge(True, None, scopes)


@pytest.mark.parametrize("header", ["", "Basic realm=x", "Bearerish scope=a", 'Basic realm="a, Bearer x=1"'])
def test_what_asks_for_no_token_is_no_challenge_for_one(header: str):
    assert challenge_of(header) == Challenge()


def test_a_challenge_without_end_says_nothing():
    assert challenge_of(f'Bearer scope="{"a" * MAX_CHARS}"') == Challenge()
