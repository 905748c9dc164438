import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import InvalidParams, Only1Error
from proxy_core.protocol.sealed import MAX_TOKEN_BYTES, Sealer

OLD, NEW = b"o" * 32, b"n" * 32
PAYLOAD = {"kind": "tools", "last": "a__echo", "n": 1}


def refusal(sealer: Sealer, purpose: str, token: str) -> str:
    with pytest.raises(InvalidParams) as caught:
        sealer.open(purpose, token)
    return caught.value.message


def test_what_was_sealed_comes_back():
    sealer = Sealer([NEW])
    token = sealer.seal("cursor", PAYLOAD)
    assert token.startswith("o1.") and token.isascii()
    assert sealer.open("cursor", token) == PAYLOAD


def test_an_older_key_still_opens_after_a_rotation_and_a_dropped_one_does_not():
    token = Sealer([OLD]).seal("cursor", PAYLOAD)
    assert Sealer([NEW, OLD]).open("cursor", token) == PAYLOAD
    assert Sealer([NEW, OLD]).seal("cursor", PAYLOAD) == Sealer([NEW]).seal("cursor", PAYLOAD)
    refusal(Sealer([NEW]), "cursor", token)


@pytest.mark.requirement("N15")
def test_every_fault_of_a_token_is_told_in_the_same_words():
    sealer = Sealer([NEW])
    token = sealer.seal("cursor", PAYLOAD)
    form, key_id, body, mac = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps(PAYLOAD | {"n": 2}).encode()).rstrip(b"=").decode()
    faults = [
        "",
        "...",
        "o1",
        token + "-TAMPERED",
        token + "=",
        token + ".",
        f"o2.{key_id}.{body}.{mac}",
        f"{form}.00000000.{body}.{mac}",
        f"{form}.{key_id}.{forged}.{mac}",
        f"{form}.{key_id}.{body}.",
        f"{form}.{key_id}.{body}\n.{mac}",
        f"{form}.{key_id}.{body}.{mac[:-1]}",
        Sealer([OLD]).seal("cursor", PAYLOAD),
        sealer.seal("state", PAYLOAD),
        "é" * 20,
        "x" * (MAX_TOKEN_BYTES + 1),
    ]
    assert {refusal(sealer, "cursor", fault) for fault in faults} == {"Invalid or expired cursor."}


@pytest.mark.requirement("N15")
def test_a_token_has_one_spelling_only():
    sealer = Sealer([NEW])
    token = sealer.seal("cursor", PAYLOAD)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 bytes leave two bits of the last character unused; a lenient decoder ignores them.
    others = [token[:-1] + letter for letter in alphabet if letter != token[-1]]
    assert all(refusal(sealer, "cursor", other) for other in others)


def test_a_payload_too_large_to_come_back_is_refused_at_once():
    with pytest.raises(Only1Error):
        Sealer([NEW]).seal("state", {"x": "y" * MAX_TOKEN_BYTES})


@pytest.mark.parametrize("keys", [[], [b""], [NEW, b""]])
def test_a_sealer_needs_keys(keys: list[bytes]):
    with pytest.raises(ValueError, match="keys"):
        Sealer(keys)


@settings(max_examples=200)
@given(token=st.text() | st.from_regex(r"o1\.[0-9a-f]{8}\.[\w-]{0,20}\.[\w-]{0,44}", fullmatch=True))
def test_any_text_is_refused_by_an_error_of_ours(token: str):
    refusal(Sealer([NEW, OLD]), "cursor", token)
