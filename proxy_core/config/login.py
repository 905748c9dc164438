"""What the configuration may say of how the gateway itself logs in at a server. Pure.

Spec: 2026-07-28 basic/authorization; RFC 6749, RFC 7523 (private_key_jwt), RFC 9728.
"""

from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from proxy_core.config.auth import Issuer, Network, Scope
from proxy_core.config.base import Model

SigningAlgorithm: TypeAlias = Literal["ES256", "ES384", "RS256", "PS256", "EdDSA"]
# RFC 6749, appendix A.1 and A.2.
Visible = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,2048}$")]


def _metadata_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.path in ("", "/") or "#" in value:
        raise ValueError("must be an https:// URL with a path, where a document about this client is served")
    return value


class LoginConfig(Model):
    """How the gateway logs in at a server, by OAuth 2.1. The word alone will do for `auto` and `none`."""

    type: Literal["oauth", "auto", "none"] = Field(
        "oauth",
        description="oauth: with the keys below. auto, where nothing is said: as the server asks for it, once "
        "a person wants to; not where a header Authorization is configured. none: not at all.",
    )
    grant: Literal["authorization_code", "client_credentials"] = Field(
        "authorization_code",
        description="authorization_code: a person logs in with a browser. client_credentials: the gateway does "
        "by itself, with its own `client_secret` or `private_key`.",
    )
    issuer: Issuer | None = Field(
        None,
        description="The one authorization server to log in at, exactly as in its metadata; nothing: the first "
        "that the server names. Needed beside a secret, which must go to nobody else.",
    )
    client_id: Visible | None = Field(
        None, description="Of a client that is registered there already; nothing: the gateway registers itself."
    )
    client_secret: Visible | None = Field(
        None, repr=False, description="Of that client; best as `${VAR}` or `${keyring:service/name}`."
    )
    private_key: str | None = Field(
        None,
        repr=False,
        description="PEM of the key that it signs with instead (private_key_jwt); best as "
        "`${keyring:service/name}`.",
    )
    signing_algorithm: SigningAlgorithm = Field("ES256", description="Of that key.")
    client_metadata_url: Annotated[str, AfterValidator(_metadata_url)] | None = Field(
        None,
        description="Where a document about this client is served, which is its id at authorization servers "
        "that read such documents; the others get a registration.",
    )
    scopes: tuple[Scope, ...] = Field(
        (), description="Scopes to ask for; nothing: those that the server says it needs."
    )
    redirect_port: int = Field(
        0, ge=0, le=65535, description="Loopback port that the browser comes back to; 0: a usual one, or any."
    )
    networks: tuple[Network, ...] = Field(
        (), description="Private networks where its authorization server may be asked (`10.1.0.0/16`)."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        fields = type(self).model_fields.items()
        is_more = any(getattr(self, key) != field.default for key, field in fields if key != "type")
        if self.type != "oauth" and is_more:
            raise ValueError("other keys are for `type: oauth` alone")
        has_secret = self.client_secret is not None or self.private_key is not None
        if has_secret and (self.client_id is None or self.issuer is None):
            raise ValueError("a secret needs its `client_id`, and the `issuer` that it may be sent to")
        if self.client_secret is not None and self.private_key is not None:
            raise ValueError("client_secret and private_key are two ways to the same; give one")
        if self.grant == "client_credentials" and not has_secret:
            raise ValueError("client_credentials needs `client_id`, `issuer`, and a secret or a key")
        return self


def _spelt_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Login: TypeAlias = Annotated[
    LoginConfig,
    BeforeValidator(_spelt_out, json_schema_input_type=Literal["auto", "none"] | LoginConfig),
]
AUTO = LoginConfig(type="auto")
