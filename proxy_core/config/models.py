"""What the configuration may say: frozen models, unknown keys refused, units in names. Pure.

A key exists only once its feature does: nothing is accepted and ignored.
"""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from proxy_core.config.audit import AuditConfig
from proxy_core.config.auth import IssuerConfig, Scope, SecureUrl, TlsConfig
from proxy_core.config.base import LOOPBACK_NAMES as LOOPBACK_NAMES
from proxy_core.config.base import SLUG_PATTERN as SLUG_PATTERN
from proxy_core.config.base import Model, Seconds, Slug
from proxy_core.config.base import is_loopback as is_loopback
from proxy_core.config.limits import LimitsConfig, PlaceLimits, ProfileLimits, TokenLimits
from proxy_core.config.login import AUTO, Login
from proxy_core.config.saving import BatchingConfig, CacheConfig

ReplicaId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]$|^[a-z0-9][a-z0-9-]{0,22}[a-z0-9]$")]
ONLY_REPLICA = "main"
"""What the one replica is called of a server that names none."""


def _header_safe(value: str) -> str:
    # A configured value with a line end could add headers of its own.
    if re.search(r"[\r\n\x00]", value):
        raise ValueError("a header value may not hold a line end or NUL")
    return value


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        raise ValueError("not a valid HTTP header name")
    return value


def _http_url(value: str) -> str:
    if not re.match(r"^https?://[^/\s]+", value) or re.search(r"\s", value):
        raise ValueError("must be an http:// or https:// URL")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_safe)]


def _hash_key(value: str) -> str:
    kind, colon, name = value.partition(":")
    if colon and kind == "header":
        _header_name(name)
    elif value not in ("tool", "client", "session"):
        raise ValueError("allowed: tool, client, session, header:<Name>")
    return value


def _probe_path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError("must begin with / and hold neither spaces nor characters beyond ASCII")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
HashKey = Annotated[str, AfterValidator(_hash_key)]
ProbePath = Annotated[str, AfterValidator(_probe_path)]
Balance = Literal["round_robin", "least_connections", "consistent_hash", "random", "weighted_random"]
SealKey = Annotated[str, StringConstraints(min_length=16, max_length=1024)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TokenName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
FileUri = Annotated[str, StringConstraints(pattern=r"^file://")]


class ProxyConfig(Model):
    """The listener that AI clients connect to."""

    host: str = Field(
        "127.0.0.1", description="Address to listen on; anything but loopback needs `auth`, or --insecure."
    )
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    path: str = Field("/mcp", pattern=r"^/[A-Za-z0-9._~/-]*$", description="Path of the MCP endpoint.")
    grace_s: float = Field(
        30, ge=0, le=3600, description="How long a stop or a drain waits for calls in flight, in seconds."
    )
    max_body_bytes: int = Field(
        4_194_304, ge=1024, le=1 << 30, description="Largest request body accepted from a client, in bytes."
    )
    legacy_sse: bool = Field(
        False, description="Serve HTTP+SSE too, the transport of 2024-11-05, on /sse and /messages."
    )
    seal_keys: tuple[SealKey, ...] = Field(
        (),
        repr=False,
        description="Secrets that seal what clients keep for us (cursors, request states, task ids): the first "
        "seals, all verify. Empty: a random one for each process.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host header values accepted beside the loopback names (`name` or `name:port`)."
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Origin header values accepted beside the loopback ones (`https://app.example`)."
    )
    tls: TlsConfig | None = Field(None, description="Serve HTTPS instead of HTTP.")


class TokenConfig(Model):
    """One bearer token: whoever sends it is this principal."""

    name: TokenName = Field(description="Names the principal on screens and in logs.")
    sha256: Sha256 = Field(repr=False, description="Of the token, in hex; `only1mcp token new` makes both.")
    profile: Slug | None = Field(
        None, description="The one profile of `profiles` that it may use, also at the plain URL."
    )
    admin: Literal["none", "read", "steer"] = Field(
        "read",
        description="What it may do with the gateway as a whole: nothing, look at the admin API and numbers, "
        "or steer too. One with a `profile` may do nothing.",
    )
    limits: TokenLimits = Field(TokenLimits(), description="How much it may ask.")

    @property
    def principal(self) -> str:
        """Who its bearer is: a name holds no colon, so no principal of a token is called as anyone else is."""
        return f"token:{self.name}"

    @model_validator(mode="after")
    def _steers_all_or_nothing(self) -> "TokenConfig":
        if self.profile is not None and self.admin == "steer":
            raise ValueError("a token with a profile is for that alone: it cannot have admin: steer")
        return self


class AuthConfig(Model):
    """Who may connect. Without tokens and issuers, everyone who can reach the listener."""

    tokens: tuple[TokenConfig, ...] = Field((), description="Bearer tokens, each a principal of its own.")
    resource: SecureUrl | None = Field(
        None, description="Our own URI, which tokens of the issuers must be for, as `https://gw.example/mcp`."
    )
    scopes: tuple[Scope, ...] = Field(("mcp:use",), description="Scopes that every token of an issuer needs.")
    leeway_s: float = Field(
        30, ge=0, le=300, description="How far an issuer's clock may be from ours, in seconds."
    )
    issuers: tuple[IssuerConfig, ...] = Field(
        (), description="Authorization servers whose tokens let clients in; needs `resource`."
    )

    @property
    def is_set(self) -> bool:
        """Whether clients have to say who they are."""
        return bool(self.tokens or self.issuers)

    @field_validator("tokens")
    @classmethod
    def _told_apart(cls, tokens: tuple[TokenConfig, ...]) -> tuple[TokenConfig, ...]:
        if len({token.name for token in tokens}) < len(tokens):
            raise ValueError("each token needs a name of its own")
        if len({token.sha256 for token in tokens}) < len(tokens):
            raise ValueError("the same token may not stand under two names")
        return tokens

    @field_validator("issuers")
    @classmethod
    def _each_once(cls, issuers: tuple[IssuerConfig, ...]) -> tuple[IssuerConfig, ...]:
        if len({each.issuer for each in issuers}) < len(issuers):
            raise ValueError("the same issuer may not stand there twice")
        return issuers

    @model_validator(mode="after")
    def _has_a_resource(self) -> Self:
        if self.issuers and self.resource is None:
            raise ValueError("issuers need `resource`: a token that is for someone else must not get in")
        if self.resource is not None and not self.issuers:
            raise ValueError("`resource` is for `issuers`, and there are none")
        return self


class StdioTransport(Model):
    """A child process that speaks MCP on its stdin and stdout."""

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1, description="Program to run, looked up in PATH; never a shell line.")
    args: tuple[str, ...] = Field((), description="Its arguments, one item each.")
    env: dict[str, str] = Field({}, description="Variables set for the child beside the few it inherits.")
    inherit_env: tuple[str, ...] = Field(
        (),
        description="Names or globs of variables passed on from our environment, beside HOME, LOGNAME, PATH, "
        "SHELL, TERM, USER, LANG and TMPDIR.",
    )
    cwd: str | None = Field(None, description="Working folder; relative to the folder of this file.")


class HttpTransport(Model):
    """A server on Streamable HTTP."""

    type: Literal["http"] = "http"
    url: HttpUrl = Field(description="The server's MCP endpoint.")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="Headers sent with every request.")
    auth: Login = Field(
        AUTO, description="How the gateway logs in there, if it has to: `auto`, `none`, or more."
    )

    @model_validator(mode="after")
    def _says_once_who_asks(self) -> Self:
        _check_authorization(self)
        return self


class SseTransport(Model):
    """A server on HTTP+SSE, the transport of 2024-11-05."""

    type: Literal["sse"] = "sse"
    url: HttpUrl = Field(description="The URL of the event stream.")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="Headers sent with every request.")
    auth: Login = Field(
        AUTO, description="How the gateway logs in there, if it has to: `auto`, `none`, or more."
    )

    @model_validator(mode="after")
    def _says_once_who_asks(self) -> Self:
        _check_authorization(self)
        return self


def _check_authorization(transport: HttpTransport | SseTransport) -> None:
    if transport.auth.type == "oauth" and has_authorization(transport):
        raise ValueError("a login and a header Authorization exclude each other")


def has_authorization(transport: HttpTransport | SseTransport) -> bool:
    """Whether the configuration itself says who asks there."""
    has_user = re.match(r"https?://[^/?#]*@", transport.url) is not None
    return has_user or any(name.lower() == "authorization" for name in transport.headers)


Transport = Annotated[StdioTransport | HttpTransport | SseTransport, Field(discriminator="type")]


class ToolTimeouts(Model):
    """Waits for some tools of a server, in seconds, in place of the server's own."""

    call_idle_s: Seconds | None = Field(None, description="A call without an answer or progress.")
    call_s: Seconds | None = Field(None, description="A call, whatever its progress.")


class ToolRules(Model):
    """Which of a server's tools clients may see and call, by its own names."""

    allow: tuple[str, ...] = Field(("*",), description="Globs of tools that are kept.")
    deny: tuple[str, ...] = Field((), description="Globs of tools that are removed, after `allow`.")
    retry: tuple[str, ...] = Field(
        (), description="Globs of tools that are safe to repeat: asked again, as `retry` says, if they fail."
    )
    timeouts: dict[str, ToolTimeouts] = Field(
        {}, description="Glob of tools -> waits for them; the first glob that fits counts."
    )
    limits: dict[str, PlaceLimits] = Field(
        {}, description="Glob of tools -> how much each of them is asked; the first glob that fits counts."
    )

    def is_repeatable(self, tool: str) -> bool:
        """Whether the configuration says that this tool may be called twice for one call."""
        return any(fnmatchcase(tool, glob) for glob in self.retry)


class Timeouts(Model):
    """Waits for one server, in seconds."""

    connect_s: Seconds = Field(10, description="Start, handshake and era probe, each.")
    call_idle_s: Seconds = Field(300, description="A call without an answer or progress.")
    call_s: Seconds = Field(3600, description="A call, whatever its progress.")


class HealthEndpoint(Model):
    """What an HTTP probe asks of a server."""

    path: ProbePath = Field("/health", description="On the host and port of the server's URL.")
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = Field("GET", description="HTTP method.")
    expected_status: int = Field(200, ge=100, le=599, description="The HTTP status of a server that is well.")


class HealthConfig(Model):
    """Active probes of every replica that is connected."""

    probe_interval: Seconds = Field(
        30, description="From one probe to the next, in seconds, a little jittered."
    )
    timeout: Seconds = Field(5, description="How long an answer may take, in seconds.")
    failure_threshold: int = Field(
        3,
        ge=1,
        le=1000,
        description="Probes in a row that must fail before a replica is unhealthy; one makes it degraded.",
    )
    success_threshold: int = Field(
        2, ge=1, le=1000, description="Probes in a row that must be answered before it is healthy again."
    )
    probe: Literal["mcp", "http"] = Field(
        "mcp",
        description="mcp: server/discover or ping on the connection that carries its calls. http: the "
        "endpoints below; a stdio server is probed by mcp all the same.",
    )
    endpoints: tuple[HealthEndpoint, ...] = Field(
        (HealthEndpoint(),), min_length=1, description="Of an HTTP probe; all must answer as expected."
    )


class HealthOverrides(Model):
    """What is different for one server from the section `health`."""

    probe_interval: Seconds | None = Field(None, description="In place of health.probe_interval.")
    timeout: Seconds | None = Field(None, description="In place of health.timeout.")
    failure_threshold: int | None = Field(
        None, ge=1, le=1000, description="In place of health.failure_threshold."
    )
    success_threshold: int | None = Field(
        None, ge=1, le=1000, description="In place of health.success_threshold."
    )
    probe: Literal["mcp", "http"] | None = Field(None, description="In place of health.probe.")
    endpoints: tuple[HealthEndpoint, ...] | None = Field(
        None, min_length=1, description="In place of health.endpoints."
    )

    def over(self, general: HealthConfig) -> HealthConfig:
        """The section with what is said here put in its place."""
        said = {key: value for key, value in self if value is not None}
        return general.model_copy(update=said) if said else general


class ReplicaConfig(Model):
    """One of several places where the same server runs: same tools, one name, calls balanced."""

    id: ReplicaId = Field(description="Names it beside the server's id, as `search/a`.")
    weight: int = Field(1, ge=1, le=1000, description="Its share of calls, where the balance knows weights.")
    transport: Transport = Field(description="How to reach it.")


class ServerConfig(Model):
    """One MCP server behind the gateway."""

    id: Slug = Field(description="Short name; its tools become `<id>__<tool>`.")
    name: str | None = Field(None, max_length=80, description="Shown to people; default: the id.")
    enabled: bool = Field(True, description="False: configured but not started.")
    transport: Transport | None = Field(None, description="How to reach it; or else `replicas`.")
    replicas: tuple[ReplicaConfig, ...] = Field(
        (), max_length=64, description="Where it runs, if in several places; calls are balanced over them."
    )
    balance: Balance | None = Field(None, description="In place of routing.balance.")
    health: HealthOverrides = Field(HealthOverrides(), description="What is different from `health`.")
    tools: ToolRules = Field(ToolRules(), description="Which of its tools are kept.")
    prefix: Literal["always", "none"] | None = Field(
        None, description="How its names begin, in place of routing.prefix; `none` for at most one server."
    )
    instructions: bool = Field(True, description="Join its instructions to ours.")
    era: Literal["auto", "modern", "legacy"] = Field(
        "auto", description="Which protocol era to speak to it; auto asks the server."
    )
    isolation: Literal["auto", "shared", "principal", "session"] = Field(
        "auto",
        description="Who shares a connection to it: everyone, each principal, or each legacy session. auto: "
        "a stdio server is shared without tokens and per principal with them; a legacy HTTP server has a "
        "session for each principal and set of client capabilities.",
    )
    roots: tuple[FileUri, ...] = Field(
        (), description="file:// URIs told to a server that asks for roots when no client can be asked."
    )
    elicitation_prefix: Literal["auto"] | bool = Field(
        "auto",
        description="Begin its questions to people with `[name] `; auto: if there is more than one server.",
    )
    on_change: Literal["warn", "quarantine"] = Field(
        "warn",
        description="When a tool is not what it was first seen as: warn tells of it. quarantine also withholds "
        "it, and tools that the server did not have before, until you approve them.",
    )
    timeouts: Timeouts = Field(Timeouts(), description="Waits for this server.")
    concurrency: int = Field(
        64, ge=1, le=10_000, description="Calls in flight at it, all its replicas together; more wait."
    )
    limits: PlaceLimits = Field(PlaceLimits(), description="How much clients ask of it; more is refused.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.transport is not None and self.replicas:
            raise ValueError("a server has either a transport or replicas")
        if self.transport is None and not self.replicas:
            raise ValueError("a server needs a transport, or replicas with one each")
        if len({replica.id for replica in self.replicas}) < len(self.replicas):
            raise ValueError("each replica needs an id of its own")
        return self

    @property
    def title(self) -> str:
        return self.name or self.id

    def waits_for(self, tool: str) -> tuple[float, float]:
        """Seconds without an answer or progress, and in all, that a call of this tool may take."""
        own = next((said for glob, said in self.tools.timeouts.items() if fnmatchcase(tool, glob)), None)
        idle_s = own.call_idle_s if own is not None else None
        cap_s = own.call_s if own is not None else None
        return idle_s or self.timeouts.call_idle_s, cap_s or self.timeouts.call_s

    @property
    def places(self) -> tuple[ReplicaConfig, ...]:
        """Where it runs: its replicas, or the one that its transport stands for."""
        if self.transport is None:
            return self.replicas
        return (ReplicaConfig.model_construct(id=ONLY_REPLICA, weight=1, transport=self.transport),)

    def at(self, place: ReplicaConfig) -> "EndpointConfig":
        """The settings of one replica, as if it were the whole server."""
        known = {name: getattr(self, name) for name in ServerConfig.model_fields}
        fields = known | {"transport": place.transport, "replicas": ()}
        return EndpointConfig.model_construct(self.model_fields_set, **fields)


class EndpointConfig(ServerConfig):
    """One replica of a server with all of the server's settings. No part of the file."""

    transport: Transport = Field(description="How to reach it.")


class RoutingConfig(Model):
    """How names are made, and which replica of a server is asked."""

    balance: Balance = Field(
        "round_robin",
        description="How one of several replicas is chosen. least_connections: the less busy of two drawn at "
        "random. consistent_hash: the same for the same hash_key.",
    )
    hash_key: HashKey = Field(
        "tool", description="What consistent_hash goes by: tool, client, session or header:<Name>."
    )
    virtual_nodes: int = Field(
        150, ge=1, le=10_000, description="Points of each replica on the ring of consistent_hash."
    )
    prefix: Literal["always", "none"] = Field(
        "always", description="`none` lists names as the server has them; for at most one server."
    )
    charset: Literal["plain", "sep986"] = Field(
        "plain", description="plain: A-Z a-z 0-9 _ -; sep986 also allows the dot."
    )
    name_budget: int = Field(48, ge=24, le=128, description="Longest exposed tool name, in characters.")


class CircuitBreakerConfig(Model):
    """When a server that is connected but keeps failing is not asked for a while."""

    failure_threshold: int = Field(
        5, ge=1, le=1000, description="Failures in a row that open it; an error answer is none."
    )
    open_s: Seconds = Field(30, description="How long calls then fail at once, in seconds.")
    half_open_requests: int = Field(
        1, ge=1, le=1000, description="Trials under way at the same time after that; probes count as trials."
    )
    success_threshold: int = Field(
        2, ge=1, le=1000, description="Trials that must be answered to close it; one that fails opens it again."
    )


class RetryConfig(Model):
    """Repeating what failed: reads, prompts, completions, and tools that `tools.retry` names."""

    attempts: int = Field(
        2, ge=0, le=10, description="Further tries after the first, on another replica if there is one."
    )
    budget_ratio: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Repeats allowed for each call of the last while, so that they add no storm.",
    )


ContextMode = Literal["full", "compact", "search", "auto"]


class ContextConfig(Model):
    """How much of their context the tools cost the clients' models."""

    mode: ContextMode = Field(
        "full",
        description="full: every tool as its server has it. compact: shortened, and what only programs read "
        "left out. search: three tools that find and call all others. auto: whichever of them is cheapest.",
    )
    always: tuple[str, ...] = Field(
        (), description="Globs of exposed tool names that stay listed in search mode."
    )


class NameRules(Model):
    """What a profile shows of one kind: by the names that clients see, by URI, or by `uriTemplate`."""

    allow: tuple[str, ...] = Field(("*",), description="Globs of what is shown.")
    deny: tuple[str, ...] = Field((), description="Globs of what is not, whatever `allow` says.")


class ProfileConfig(Model):
    """A part of everything for some clients: at `<proxy.path>/<name>`, or for the tokens that name it."""

    servers: tuple[str, ...] = Field(("*",), description="Globs of the ids of servers that take part.")
    tools: NameRules = Field(NameRules(), description="Which of their tools are shown.")
    prompts: NameRules = Field(NameRules(), description="Which of their prompts.")
    resources: NameRules = Field(
        NameRules(),
        description="Which of their resources and templates. What a template fits is judged by its own URI.",
    )
    context: ContextMode | None = Field(None, description="In place of context.mode.")
    limits: ProfileLimits = Field(ProfileLimits(), description="How much its clients may ask together.")


class AdminConfig(Model):
    """Where the gateway is steered from outside."""

    socket: str | None = Field(
        "auto",
        description="Path of a Unix socket for its owner alone; auto: `<runtime folder>/only1mcp/<port>.sock`; "
        "nothing: none.",
    )
    on_port: bool = Field(
        False, description="Serve the admin API under /admin on the port too; needs auth.tokens."
    )


class ReloadConfig(Model):
    """What happens when this file changes while the gateway runs."""

    watch: bool = Field(True, description="Notice it.")
    debounce_ms: int = Field(100, ge=10, le=60_000, description="How long the file must hold still first.")
    confirm: bool = Field(False, description="Show the plan and wait for a person before anything changes.")


class LoggingConfig(Model):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    format: Literal["pretty", "json"] | None = Field(
        None, description="Of the lines on stderr; default: pretty on a terminal, JSON otherwise."
    )
    file: str | None = Field(None, description="Also write JSON lines to this file, rotated at 10 MiB, 3 kept.")


class InspectConfig(Model):
    """What the traffic inspector keeps of the clients' requests."""

    bodies: Literal["off", "redacted", "full"] = Field(
        "redacted",
        description="off: what was asked and how it ended, not what was said. redacted: that too, secrets "
        "masked. full: as it came; credentials in HTTP headers stay masked.",
    )
    exchanges: int = Field(5000, ge=0, le=100_000, description="Requests kept, the newest; 0 records nothing.")
    max_bytes: int = Field(
        33_554_432, ge=1_048_576, description="Most that is kept of all of them together; the oldest go first."
    )


class ElicitationConfig(Model):
    """What servers ask people in the middle of a call."""

    answer_in_terminal: bool = Field(
        False,
        description="Where a client cannot be asked, ask whoever watches over the gateway: on its screen, by "
        "`only1mcp answer` or the admin API. Servers are then told that people can be asked.",
    )


class TuiConfig(Model):
    theme: str | None = Field(None, description="Name of a Textual theme; null: the one that was chosen last.")
    fps: int = Field(4, ge=1, le=10, description="Most repaints a second.")
    screen: Literal["overview", "servers", "metrics", "requests", "logs"] | None = Field(
        None, description="The screen shown first; null: the one that was shown last."
    )
    readonly: bool = Field(False, description="Look only: every verb that changes something is refused.")
    keys: dict[str, str] = Field(
        {}, description="Action to its keys, separated by commas: `drain: x` or `follow: 'f,ctrl+l'`."
    )
    fault_drills: bool = Field(
        False,
        description="Allow faults that are made on purpose: delays, errors and kills, to see what holds. From "
        "every door, not the screen alone.",
    )


class Config(Model):
    """The whole file."""

    version: Literal[1] = Field(1, description="Of this format.")
    proxy: ProxyConfig = Field(ProxyConfig(), description="The listener.")
    auth: AuthConfig = Field(AuthConfig(), description="Who may connect.")
    servers: tuple[ServerConfig, ...] = Field((), description="The MCP servers, in list order.")
    routing: RoutingConfig = Field(
        RoutingConfig(), description="How names are made, and which replica is asked."
    )
    limits: LimitsConfig = Field(LimitsConfig(), description="Bounds on clients.")
    health: HealthConfig = Field(HealthConfig(), description="Active probes.")
    circuit_breaker: CircuitBreakerConfig = Field(
        CircuitBreakerConfig(), description="When failing servers are not asked."
    )
    retry: RetryConfig = Field(RetryConfig(), description="Repeating what failed.")
    cache: CacheConfig = Field(CacheConfig(), description="Answers that are kept.")
    batching: BatchingConfig = Field(BatchingConfig(), description="Requests that become one.")
    context: ContextConfig = Field(ContextConfig(), description="What tool lists cost the clients' models.")
    profiles: dict[Slug, ProfileConfig] = Field(
        {}, description="Parts of everything, each for some clients; see the section on profiles."
    )
    elicitation: ElicitationConfig = Field(
        ElicitationConfig(), description="What servers ask people during calls."
    )
    admin: AdminConfig = Field(AdminConfig(), description="Where it is steered from outside.")
    reload: ReloadConfig = Field(ReloadConfig(), description="What a change of this file does.")
    logging: LoggingConfig = Field(LoggingConfig(), description="Where log lines go.")
    inspect: InspectConfig = Field(InspectConfig(), description="What the traffic inspector keeps.")
    audit: AuditConfig = Field(AuditConfig(), description="Who did what, in a file that only grows.")
    tui: TuiConfig = Field(TuiConfig(), description="The terminal screen.")

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach the listener and nobody there has to say who they are."""
        return not (self.auth.is_set or is_loopback(self.proxy.host))
