"""What is hidden in recorded traffic, and what is not; and that hostile bodies cost little."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.telemetry import masking
from proxy_core.telemetry.masking import DOTS, is_secret_name, masked_body, masked_headers, masked_text

PLANTED = "Zq7Planted9xW"
TOKENS = (
    "sk-proj-Abcdefghijklmnop1234",
    "ghp_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "gho_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqr",
    "xoxb-123456789012-abcdefghijkl",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4",
    "Bearer abc123.def-456",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
)
SECRET_NAMES = (
    *("authorization", "Authorization", "token", "access_token", "accessToken", "client_secret", "password"),
    *("passwd", "DB_PASSWORD", "api_key", "apiKey", "API-KEY", "x-api-key", "access_key", "private_key"),
    *("Cookie", "credentials", "sessionId", "jwt", "auth"),
)


def shown(value: Any) -> Any:
    return json.loads(masked_body(json.dumps(value).encode()).text)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_what_goes_under_a_secrets_name_is_hidden(name: str) -> None:
    assert shown({"deep": [{name: PLANTED, "n": 1}]}) == {"deep": [{name: DOTS, "n": 1}]}


@pytest.mark.parametrize(
    "name",
    ["author", "progressToken", "max_tokens", "maxTokens", "nextPageToken", "monkey", "compass", "tokens"],
)
def test_names_that_only_sound_so_hide_nothing(name: str) -> None:
    assert not is_secret_name(name)
    assert shown({name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_known_by_its_looks(token: str) -> None:
    masked = masked_body(json.dumps({"text": f"use {token} now"}).encode())
    assert token not in masked.text
    assert json.loads(masked.text)["text"] == f"use {DOTS} now"
    assert masked.found == 1


def test_a_text_says_as_much_as_it_may() -> None:
    assert masked_text("GET https://me:pw@host/x?token=abc&page=2").text == (
        f"GET https://{DOTS}@host/x?token={DOTS}&page=2"
    )
    assert masked_text("password=foo, then go on").text == f"password={DOTS}, then go on"
    assert masked_text("Cookie: a=b; c=d\nnext").text == f"Cookie: {DOTS}\nnext"
    assert masked_text("the bearer of good news").found == 0


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "form", ["{}={}", "{}: {}", '"{}": "{}"', "{} = '{}'", '{{\\"{}\\":\\"{}\\"}}', "--{}={}"]
)
def test_a_text_hides_what_stands_behind_a_secrets_name(name: str, form: str) -> None:
    # A letter that becomes two in lower case moves no border.
    text = "İ before " + form.format(name, PLANTED) + "\nafter"
    masked = masked_text(text)
    assert masked.text == text.replace(PLANTED, DOTS)
    assert masked.found == 1


def test_what_is_hidden_twice_over_is_hidden_once() -> None:
    assert masked_text("Authorization: Bearer abc123.def-456, token=sk-Abcdefghijklmnop1234").found == 1
    assert masked_text(f"{DOTS} token={DOTS}").found == 0


def test_everything_under_a_secrets_name_is_hidden_however_deep() -> None:
    value = {"credentials": {"user": PLANTED, "more": [PLANTED, 12, True, None]}}
    assert shown(value) == {"credentials": {"user": DOTS, "more": [DOTS, DOTS, True, None]}}


def test_what_describes_a_secret_may_be_read_but_not_what_it_would_be() -> None:
    schema = {"password": {"type": "string", "description": "yours", "default": PLANTED}}
    assert shown(schema) == {"password": {"type": "string", "description": "yours", "default": DOTS}}


def test_pairs_of_name_and_value_are_known() -> None:
    assert shown([{"name": "API_KEY", "value": PLANTED}]) == [{"name": "API_KEY", "value": DOTS}]


def test_json_in_a_string_of_json_is_looked_into() -> None:
    inner = json.dumps({"secret": PLANTED, "other": 1})
    assert json.loads(shown({"text": inner})["text"]) == {"secret": DOTS, "other": 1}


def test_a_name_written_with_escapes_is_known() -> None:
    assert PLANTED not in masked_body(b'{"pass\\u0077ord":"%s"}' % PLANTED.encode()).text
    # Cut, so that it is no JSON any more.
    assert PLANTED not in masked_body(b'{"pass\\u0077ord":"%s' % PLANTED.encode()).text


def test_what_holds_no_secret_is_told_as_it_came() -> None:
    body = b'{ "a" : 1.0, "b":"caf\xc3\xa9" , "progressToken": 3 }'
    assert masked_body(body) == (body.decode(), 0)


def test_headers_lose_their_credentials_and_a_session_all_but_its_beginning() -> None:
    headers = [
        ("authorization", "Bearer abc"),
        ("cookie", "a=b"),
        ("x-api-key", "abc"),
        ("mcp-session-id", "0123456789abcdef0123"),
        ("user-agent", "test/1"),
        ("referer", "https://u:p@h/"),
    ]
    masked, found = masked_headers(headers)
    assert dict(masked) == {
        "authorization": DOTS,
        "cookie": DOTS,
        "x-api-key": DOTS,
        "mcp-session-id": "01234567…",
        "user-agent": "test/1",
        "referer": f"https://{DOTS}@h/",
    }
    assert found == 5


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))
around = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@given(before=around, after=around, name=st.sampled_from(SECRET_NAMES), depth=st.integers(0, 40))
def test_a_planted_secret_never_comes_out(before: Any, after: Any, name: str, depth: int) -> None:
    value: Any = {"before": before, name: PLANTED, "after": after}
    for number in range(depth):
        value = {"in": value} if number % 2 else [before, value]
    masked = masked_body(json.dumps(value).encode())
    assert PLANTED not in masked.text
    json.loads(masked.text)


@given(before=st.text(max_size=30), after=st.text(max_size=30), token=st.sampled_from(TOKENS))
def test_a_planted_token_never_comes_out(before: str, after: str, token: str) -> None:
    body = json.dumps({"text": f"{before} {token} {after}"}).encode()
    assert token not in json.loads(masked_body(body).text)["text"]


@given(name=st.sampled_from(SECRET_NAMES), cut=st.integers(0, 30), rest=st.text(max_size=30))
def test_a_planted_secret_never_comes_out_of_what_was_cut(name: str, cut: int, rest: str) -> None:
    body = json.dumps({"a": rest, name: PLANTED, "b": rest}, ensure_ascii=False).encode()
    assert PLANTED not in masked_body(body[: len(body) - cut]).text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"token":' * 6_000 + b"1" + b"}" * 6_000,
        b'{"token":[' * 6_000,
        b"-----BEGIN PRIVATE KEY-----" * 2_400,
        b"bearer " * 9_000,
        b'"token":"\\' * 6_000,
        b"eyJaaaaaa.aaaa." * 4_000,
        b"://" * 20_000 + b"@",
        b"token" * 13_000,
        json.dumps([{"key": f"value {number}", "token": "x"} for number in range(900)]).encode(),
    ],
)
def test_a_hostile_body_is_masked_soon(body: bytes) -> None:
    """Of a pattern that goes wrong it would take minutes; the bound is for a busy machine."""
    started_at = time.process_time()
    masked_body(body)
    assert time.process_time() - started_at < 1


@pytest.mark.parametrize("text", ["tools/call", "token=abc123def456", "x" * 100, "caf\udce9"])
def test_a_text_that_comes_again_is_masked_as_it_was(text: str) -> None:
    assert masked_text(text) == masked_text(text)


def test_short_texts_are_known_in_bounds_and_none_that_may_hold_a_secret() -> None:
    for number in range(masking._MAX_HARMLESS + 10):
        masked_text(f"tool_{number}")
        masked_text(f"token={number:08}")
    masked_text("y" * 1000)
    assert 0 < len(masking._harmless) <= masking._MAX_HARMLESS
    assert not any("token" in text or len(text) > 64 for text in masking._harmless)
