"""Keys and signatures: which keys count, and that nothing which a stranger makes is taken for an issuer's."""

import base64
import json
import random
import time
from functools import cache
from typing import Any

import pytest
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from proxy_core.access.compact import NoToken, parsed
from proxy_core.access.signatures import MAX_KEYS, keys_in
from proxy_core.clock import SystemClock
from proxy_core.config.models import AuthConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.jwt_tokens import JwtTokens
from tests.support.authorization_server import AuthorizationServer, as_base64

MANY = [pytest.mark.long, pytest.mark.timeout(900)]
COUNTS = pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=MANY)])
ISSUER = AuthorizationServer("https://as.example")
ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]
AUTH = AuthConfig.model_validate(ISSUER.config(algorithms=ALGORITHMS))


@cache
def key_of(algorithm: str) -> Any:
    kind = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}[algorithm[:2]]
    return kind.generate_key(size_of(algorithm), {"use": "sig", "kid": algorithm})


def size_of(algorithm: str) -> Any:
    return {"ES256": "P-256", "ES384": "P-384"}.get(algorithm, 2048 if algorithm[0] in "RP" else "Ed25519")


def public(*keys: Any) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def signed(algorithm: str, key: Any, *, header: Any = None, claims: Any = None) -> str:
    head = {"alg": algorithm, "kid": key.kid} if header is None else header
    body = ISSUER.claims() if claims is None else claims
    parts = ".".join(as_base64(json.dumps(part).encode()) for part in (head, body))
    maker = JWSRegistry.algorithms["Ed25519" if algorithm == "EdDSA" else algorithm]
    return f"{parts}.{as_base64(maker.sign(parts.encode(), key))}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_knows_its_own_signatures_and_no_others(algorithm: str):
    key = key_of(algorithm)
    (known,) = keys_in(public(key)).keys
    token = parsed(signed(algorithm, key))
    assert known.fits(algorithm)
    assert known.made(token)
    text = signed(algorithm, key)
    claims = as_base64(json.dumps(ISSUER.claims(sub="root")).encode())
    assert not known.made(parsed(f"{text.split('.')[0]}.{claims}.{text.split('.')[2]}"))
    other = {"R": "ES256", "P": "ES256", "E": "RS256"}[algorithm[0]]
    assert not known.fits(other)
    stranger = type(key).generate_key(size_of(algorithm))
    assert not known.made(parsed(signed(algorithm, stranger, header={"alg": algorithm, "kid": algorithm})))


def test_keys_that_cannot_be_used_are_left_out_and_the_rest_are_not():
    good = key_of("ES256").as_dict(private=False)
    rsa = key_of("RS256").as_dict(private=False)
    small = 3 * (1 << 1020) + 1
    for bad in (
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        good | {"use": "enc"},
        good | {"key_ops": ["sign"]},
        good | {"kid": 7},
        good | {"alg": ["ES256"]},
        good | {"x": good["y"]},
        good | {"crv": "P-521"},
        good | {"crv": "none"},
        good | {"x": 7},
        good | {"kty": ["EC"]},
        {"kty": "EC"},
        rsa | {"n": as_base64(small.to_bytes(128, "big"))},
        rsa | {"n": "A" * 5000},
        rsa | {"e": rsa["n"]},
        rsa | {"e": "AA"},
        rsa | {"e": "AQ"},
        "no object",
        None,
    ):
        assert [key.kid for key in keys_in({"keys": [bad, good]}).keys] == ["ES256"], bad
    # Nothing of a private key is read, and so none is ever held.
    private = key_of("ES256").as_dict(private=True)
    assert keys_in({"keys": [private | {"d": "x" * 9000}]}) != keys_in({"keys": []})
    assert len(keys_in({"keys": [good] * 1000}).keys) == MAX_KEYS
    for none in (None, [], {"keys": {}}, {"keys": None}, "keys"):
        with pytest.raises(ValueError, match="no JWK set"):
            keys_in(none)


def test_a_token_that_names_no_key_has_the_only_one_that_fits():
    text = signed("ES256", key_of("ES256"), header={"alg": "ES256"})
    one = keys_in(public(key_of("ES256"), key_of("RS256")))
    assert [key.kid for key in one.candidates(parsed(text))] == ["ES256"]
    two = keys_in(public(key_of("ES256"), ECKey.generate_key("P-256", {"kid": "other"})))
    assert two.candidates(parsed(text)) == ()


# --- whatever comes -------------------------------------------------------------------------------------------

ODD: list[Any] = [None, 0, -1, True, 1e308, "", "none", "HS256", "x" * 300, "\x00", "é"]
ODD += [[], {}, ["RS256"], {"a": [[]]}]


def mutated(chance: random.Random) -> tuple[str, bool]:
    """A token that an attacker could make of a good one, and whether it is the good one."""
    algorithm = chance.choice(["RS256", "ES256", "EdDSA"])
    good = GOOD[algorithm]
    head, claims, signature = good.split(".")
    way = chance.randrange(6)
    if way == 0:
        at = chance.randrange(len(good))
        made = good[:at] + chance.choice("AZaz09-_.=+/ \x00") + good[at + chance.randrange(2) :]
    elif way == 1:
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        header[chance.choice(["alg", "kid", "typ", "crit", "b64", "jwk", "x5c"])] = chance.choice(ODD)
        made = f"{as_base64(json.dumps(header).encode())}.{claims}.{signature}"
    elif way == 2:
        said = ISSUER.claims()
        said[chance.choice([*said, "nbf", "scp", "azp"])] = chance.choice(ODD)
        made = f"{head}.{as_base64(json.dumps(said).encode())}.{signature}"
    elif way == 3:
        pieces = [head, claims, signature, "", "e30", "W10"]
        made = ".".join(chance.choice(pieces) for _ in range(chance.randrange(6)))
    elif way == 4:
        noise = bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
        made = f"{head}.{claims}.{as_base64(noise)}"
    else:
        nested = b"[" * chance.randrange(4000) if chance.random() < 0.5 else b'{"a":' * chance.randrange(1000)
        made = f"{as_base64(nested)}.{claims}.{signature}"
    return made, made == good


LASTING = ISSUER.claims(exp=int(time.time()) + 86_400)
"""They are made when this is loaded, and used when the turn comes: in a long run after many minutes."""
GOOD = {name: signed(name, key_of(name), claims=LASTING) for name in ("RS256", "ES256", "EdDSA")}
SECRET = OctKey.import_key(json.dumps(public(key_of("RS256"))["keys"][0]).encode())


@COUNTS
def test_no_token_of_a_strangers_making_is_taken(count: int):
    tokens = JwtTokens(AUTH, SystemClock(), lambda lost: None)
    keys = tokens._keys[ISSUER.issuer]
    keys.keys = keys_in(public(*(key_of(name) for name in GOOD)))
    keys._tried_at = keys._clock.monotonic()
    for token in GOOD.values():
        assert tokens.identify(token, token.encode()).is_good()
    chance = random.Random(count)
    taken = refused = 0
    for number in range(count):
        token, is_good = mutated(chance)
        try:
            tokens.identify(token, b"%d" % number)
            # What base64 leaves open in the last letter of a signature changes no bit of it.
            same = [good for good in GOOD.values() if good[:-1] == token[:-1]]
            assert is_good or (same and parsed(token).signature == parsed(same[0]).signature), token
            taken += 1
        except HttpRefusal as refusal:
            assert refusal.status == 401
            refused += 1
    assert refused > count * 0.9
    forged = signed("HS256", SECRET, header={"alg": "HS256", "kid": "RS256"})
    with pytest.raises(HttpRefusal):
        tokens.identify(forged, b"forged")


@COUNTS
def test_no_key_set_whatever_is_in_it_does_any_harm(count: int):
    chance = random.Random(count)
    members = ["kty", "crv", "x", "y", "n", "e", "d", "p", "k", "alg", "use", "key_ops", "kid", "x5u"]
    token = parsed(GOOD["ES256"])
    for _ in range(count):
        jwk: Any = dict(public(key_of(chance.choice([*GOOD])))["keys"][0])
        for _ in range(chance.randrange(1, 4)):
            odd = [*ODD, "RSA", "EC", "OKP", "P-256", "AQAB", as_base64(bytes(chance.randrange(70)))]
            jwk[chance.choice(members)] = chance.choice(odd)
        for key in keys_in({"keys": [jwk, chance.choice(ODD)]}).candidates(token):
            # Only the issuer's own key can have made it.
            is_own = key.thumbprint == key_of("ES256").thumbprint()
            assert key.made(token) is is_own


def test_a_token_that_is_no_token_is_told_so():
    forms = "a . .. a.b a.b.c.d e30.e30. e30.e30.AA W10.e30.AA !!.e30.AA".split(" ")
    for text in ("", *forms, "e30." * 4000):
        with pytest.raises(NoToken):
            parsed(text)


def test_the_public_keys_of_a_set_are_what_joserfc_gives():
    assert len(keys_in(KeySet([key_of("RS256"), key_of("ES256")]).as_dict(private=False)).keys) == 2
