"""What the configuration may say of authorization servers, whose tokens let clients in, and of TLS. Pure.

Spec: 2026-07-28 basic/authorization; RFC 9728 (resource), RFC 8414 (issuer), RFC 9068 (claims of a token).
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from proxy_core.config.base import Model, Slug, is_loopback

Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]
"""All of them asymmetric: with a shared secret whoever can verify a token could make one."""


def _secure_url(value: str) -> str:
    parts = urlsplit(value)
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError("must be an https:// URL; http:// is for this machine alone")
    if re.search(r'[^!-~]|["\\]', value) or parts.fragment or "#" in value or parts.username is not None:
        raise ValueError("may hold no fragment, no user, no quotes, no spaces and nothing beyond ASCII")
    if not _has_good_port(value):
        raise ValueError("its port is none")
    return value


def _has_good_port(value: str) -> bool:
    try:
        return urlsplit(value).port != 0
    except ValueError:
        return False


def _issuer(value: str) -> str:
    if "?" in _secure_url(value):
        raise ValueError("an issuer has no query")
    return value


def _network(value: str) -> str:
    network: IPv4Network | IPv6Network
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ValueError("must be a network as 10.0.0.0/8, or one address") from error
    if not network.is_private or network.is_link_local or network.is_loopback:
        raise ValueError("must be a private network: public addresses are allowed anyway, link-local never")
    return value


def _claim_value(value: Any) -> Any:
    if not isinstance(value, str | int):
        raise ValueError("text, a whole number, true or false is wanted here")
    return value


SecureUrl = Annotated[str, AfterValidator(_secure_url)]
Issuer = Annotated[str, AfterValidator(_issuer)]
Network = Annotated[str, AfterValidator(_network)]
# RFC 6749, section 3.3.
Scope = Annotated[str, StringConstraints(pattern=r"^[!#-\[\]-~]{1,128}$")]
ClaimValue: TypeAlias = Annotated[str | int | bool, BeforeValidator(_claim_value)]


class GrantConfig(Model):
    """What the tokens get that have these scopes and these claims."""

    profile: Slug | None = Field(None, description="A profile of `profiles`; nothing: everything there is.")
    scopes: tuple[Scope, ...] = Field((), description="Scopes that the token must have, beside auth.scopes.")
    claims: dict[str, ClaimValue] = Field(
        {}, description="Claims that it must have with this value; of a list one item must be it."
    )


class IssuerConfig(Model):
    """An authorization server whose tokens (JWT) let clients in."""

    issuer: Issuer = Field(description="Its issuer identifier, exactly as in its metadata and tokens.")
    jwks_url: SecureUrl | None = Field(
        None, description="Where its keys are; nothing: as its metadata says (RFC 8414, OpenID discovery)."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "PS256", "ES256", "EdDSA", "Ed25519"),
        min_length=1,
        description="Signatures that are accepted from it.",
    )
    networks: tuple[Network, ...] = Field(
        (), description="Private networks where its metadata and keys may be fetched from (`10.1.0.0/16`)."
    )
    grants: tuple[GrantConfig, ...] = Field(
        (GrantConfig(),),
        min_length=1,
        description="What its tokens get: all that fit, of which the first is served at the plain URL. A token "
        "that none fits is refused.",
    )
    deny: tuple[dict[str, ClaimValue], ...] = Field(
        (), description="Tokens that have all claims of one entry are refused, as `{jti: ...}`, `{sub: ...}`."
    )

    @model_validator(mode="after")
    def _denies_something(self) -> "IssuerConfig":
        if not all(self.deny):
            raise ValueError("an entry of `deny` without claims would refuse every token")
        return self


class TlsConfig(Model):
    """Certificates of the listener, their paths relative to the folder of this file. Files that are renewed are
    read again while the gateway runs.
    """

    certificate: str = Field(min_length=1, description="Path of its certificate and chain, PEM.")
    key: str = Field(min_length=1, description="Path of its private key, PEM, without a password.")
    client_ca: str | None = Field(
        None, description="Path of certificates, PEM: only clients with a certificate of these may connect."
    )
