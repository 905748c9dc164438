"""Settings as people may see them: what could be a secret is replaced by dots. Pure.

When in doubt it is hidden: a shown secret cannot be taken back. References as `${TOKEN}` are no secrets.
"""

import re
import shlex
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from proxy_core.config.limits import PlaceLimits
from proxy_core.config.login import LoginConfig
from proxy_core.config.models import (
    Config,
    HealthEndpoint,
    HealthOverrides,
    ReplicaConfig,
    ServerConfig,
    StdioTransport,
    Timeouts,
    ToolRules,
    Transport,
)
from proxy_core.telemetry.masking import DOTS, SECRET_NAME, TOKEN_STARTS

# Of settings more is hidden than of traffic: whoever wrote them knows them, and nothing is replayed from them.
_SECRET_WORD = re.compile(
    rf"(?i)(?:{SECRET_NAME}|token|auth(?!ors?(?![a-z]))|signature|private|conn(?:ection)?.?str"
    r"|api.?key|access.?key|license.?key|(?:^|[^a-z])(?:key|sig|pat|dsn|pass|jwt)(?:$|[^a-z]))"
)
_SECRET_SHAPE = re.compile(rf"^(?:{TOKEN_STARTS}|gh[a-z]_|eyJ)")
_HARMLESS_VALUE = re.compile(
    r"(?i)^(?:|true|false|yes|no|on|off|none|null|-?\d{1,6}(?:\.\d{1,3})?|trace|debug|info|notice|warn|warning"
    r"|error|production|development|test|utf-8|c\.utf-8|application/json|text/event-stream|\*/\*)$"
)
_REFERENCES_ONLY = re.compile(r"^(?:(?:Bearer|Basic|token) )?(?:\$\{(?:(?!:-)[^}])*\})+$")
_HARMLESS_HEADERS: Final = frozenset({"accept", "content-type", "user-agent", "accept-language"})
_OPTION = re.compile(r"^(--?[A-Za-z][\w-]*)=(.*)$", re.DOTALL)
_ASSIGNMENT = re.compile(r"^([A-Za-z_][\w.-]*)(\s*[=:]\s*)(.+)$", re.DOTALL)
_PLAIN: Final = (
    "balance",
    "enabled",
    "instructions",
    "era",
    "isolation",
    "elicitation_prefix",
    "on_change",
    "concurrency",
)
"""Settings of a server that are one word or number."""
_PROBE_TIMES: Final = frozenset({"probe_interval", "timeout"})
_DEFAULT_WEIGHT: Final = ("weight", "1")
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


def masked_address(transport: Transport) -> str:
    """The command line or URL of a server or of one of its replicas."""
    if isinstance(transport, StdioTransport):
        return shlex.join((transport.command, *masked_args(transport.args)))
    return masked_url(transport.url)


def masked_addresses(server: ServerConfig) -> str:
    """Where a server runs, in one line: its address, or those of its replicas."""
    if server.transport is not None:
        return masked_address(server.transport)
    return ", ".join(f"{replica.id}: {masked_address(replica.transport)}" for replica in server.replicas)


def masked_config(config: Config) -> dict[str, Any]:
    """The whole configuration as plain values, defaults included."""
    data = config.model_dump(mode="json")
    data["proxy"]["seal_keys"] = [DOTS] * len(config.proxy.seal_keys)
    if config.audit.key is not None:
        data["audit"]["key"] = DOTS
    for token in data["auth"]["tokens"]:
        token["sha256"] = DOTS
    data["health"]["endpoints"] = _masked_endpoints(config.health.endpoints)
    for server, plain in zip(config.servers, data["servers"], strict=True):
        if server.transport is not None:
            plain["transport"] |= _masked_transport(server.transport)
        for replica, plain_replica in zip(server.replicas, plain["replicas"], strict=True):
            plain_replica["transport"] |= _masked_transport(replica.transport)
        if server.health.endpoints is not None:
            plain["health"]["endpoints"] = _masked_endpoints(server.health.endpoints)
    return data


def _masked_endpoints(endpoints: tuple[HealthEndpoint, ...]) -> list[dict[str, Any]]:
    return [{**endpoint.model_dump(), "path": masked_url(endpoint.path)} for endpoint in endpoints]


def _masked_transport(transport: Transport) -> dict[str, Any]:
    if isinstance(transport, StdioTransport):
        env = {key: masked_value(key, value) for key, value in transport.env.items()}
        return {"args": list(masked_args(transport.args)), "env": env}
    headers = {key: masked_header(key, value) for key, value in transport.headers.items()}
    return {"url": masked_url(transport.url), "headers": headers, "auth": _shown_login(transport.auth)}


def _shown_login(login: LoginConfig) -> str | dict[str, Any]:
    return login.model_dump(mode="json") | _masked_login(login) if login.type == "oauth" else login.type


def _masked_login(login: LoginConfig) -> dict[str, str]:
    held = {"client_secret": login.client_secret, "private_key": login.private_key}
    return {key: masked_value(key, value) for key, value in held.items() if value is not None}


def masked_settings(server: ServerConfig) -> tuple[tuple[str, str], ...]:
    """What was configured for a server, as pairs of key and text; defaults are left out."""
    rows = [("id", server.id), ("name", server.title)]
    if server.transport is not None:
        rows += [("transport", server.transport.type), *_transport_rows(server.transport)]
    rows += [row for replica in server.replicas for row in _replica_rows(replica)]
    if server.tools != ToolRules():
        rows += [("tools.allow", ", ".join(server.tools.allow)), ("tools.deny", ", ".join(server.tools.deny))]
    rows += [("tools.retry", ", ".join(server.tools.retry))] if server.tools.retry else []
    rows += [
        (f"tools.timeouts[{glob}].{key}", f"{value:g} s")
        for glob, waits in server.tools.timeouts.items()
        for key, value in waits
        if value is not None
    ]
    rows += [
        row
        for glob, limits in server.tools.limits.items()
        for row in _limit_rows(f"tools.limits[{glob}]", limits)
    ]
    if server.timeouts != Timeouts():
        rows += [(f"timeouts.{key}", f"{value:g} s") for key, value in server.timeouts]
    rows += _limit_rows("limits", server.limits)
    rows += [("roots", ", ".join(server.roots))] if server.roots else []
    rows += _health_rows(server.health)
    given = [(key, getattr(server, key)) for key in _PLAIN]
    rows += [
        (key, str(value).lower()) for key, value in given if value != ServerConfig.model_fields[key].default
    ]
    return tuple(rows)


def default_settings(server: ServerConfig) -> tuple[tuple[str, str], ...]:
    """The settings of a server that were not configured, as they are."""
    rows: list[tuple[str, str]] = []
    if server.tools == ToolRules():
        rows += [("tools.allow", "*"), ("tools.deny", "none")]
    rows += [("tools.retry", "none")] if not server.tools.retry else []
    if server.timeouts == Timeouts():
        rows += [(f"timeouts.{key}", f"{value:g} s") for key, value in server.timeouts]
    rows += [("limits", "none")] if server.limits == PlaceLimits() else []
    rows += [("roots", "none")] if not server.roots else []
    rows += [(f"health.{key}", "as in health") for key, value in server.health if value is None]
    given = [(key, getattr(server, key)) for key in _PLAIN]
    rows += [
        (key, "as in routing" if value is None else str(value).lower())
        for key, value in given
        if value == ServerConfig.model_fields[key].default
    ]
    return tuple(rows)


def _replica_rows(replica: ReplicaConfig) -> list[tuple[str, str]]:
    transport = replica.transport
    rows = [("transport", transport.type), ("weight", str(replica.weight)), *_transport_rows(transport)]
    return [(f"replicas[{replica.id}].{key}", text) for key, text in rows if (key, text) != _DEFAULT_WEIGHT]


def _limit_rows(key: str, limits: PlaceLimits) -> list[tuple[str, str]]:
    return [(f"{key}.{name}", f"{value:g}") for name, value in limits if value]


def _health_rows(health: HealthOverrides) -> list[tuple[str, str]]:
    rows = [
        (key, f"{value:g} s" if key in _PROBE_TIMES else str(value))
        for key, value in health
        if value is not None and key != "endpoints"
    ]
    if health.endpoints is not None:
        asked = (f"{one.method} {masked_url(one.path)} -> {one.expected_status}" for one in health.endpoints)
        rows.append(("endpoints", ", ".join(asked)))
    return [(f"health.{key}", text) for key, text in rows]


def _transport_rows(transport: Transport) -> list[tuple[str, str]]:
    if not isinstance(transport, StdioTransport):
        headers = [(f"headers.{key}", masked_header(key, value)) for key, value in transport.headers.items()]
        return [("url", masked_url(transport.url)), *headers, *_login_rows(transport.auth)]
    rows = [("command", masked_address(transport))]
    rows += [("cwd", transport.cwd)] if transport.cwd is not None else []
    rows += [("inherit_env", ", ".join(transport.inherit_env))] if transport.inherit_env else []
    return rows + [(f"env.{key}", masked_value(key, value)) for key, value in transport.env.items()]


def _login_rows(login: LoginConfig) -> list[tuple[str, str]]:
    if login.type == "auto":
        return []
    said = login.model_dump(mode="json", exclude_defaults=True) | _masked_login(login)
    plain = {key: " ".join(value) if isinstance(value, list) else str(value) for key, value in said.items()}
    return [("auth", login.type), *((f"auth.{key}", text) for key, text in plain.items() if key != "type")]


def masked_header(name: str, value: str) -> str:
    return value if name.lower() in _HARMLESS_HEADERS else masked_value(name, value)


def masked_value(name: str, value: str) -> str:
    """The value of a variable or header called `name`; shown only where it is plainly harmless."""
    if _REFERENCES_ONLY.match(value):
        return value
    if _SECRET_WORD.search(name):
        return DOTS if value else ""
    is_path = value.startswith(("/", "~/", "./")) and not looks_secret(value)
    return value if is_path or _HARMLESS_VALUE.match(value) else DOTS


def masked_args(args: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments of a command: `--token=x`, `--api-key x`, `NAME=x`, headers and URLs lose their secrets."""
    result: list[str] = []
    secret_follows = False
    for arg in args:
        is_option = arg.startswith("-")
        result.append(
            DOTS if secret_follows and not is_option and not _REFERENCES_ONLY.match(arg) else _arg(arg)
        )
        secret_follows = is_option and "=" not in arg and _SECRET_WORD.search(arg) is not None
    return tuple(result)


def _arg(arg: str) -> str:
    if _URL.match(arg):
        return masked_url(arg)
    if option := _OPTION.match(arg):
        return f"{option[1]}={_if_secret(option[1], option[2])}"
    if assignment := _ASSIGNMENT.match(arg):
        return assignment[1] + assignment[2] + _if_secret(assignment[1], assignment[3])
    return DOTS if looks_secret(arg) else arg


def _if_secret(name: str, value: str) -> str:
    """An argument's value; unlike `env` most of these are no secrets, so the name or the look must say so."""
    if _URL.match(value):
        return masked_url(value)
    if _REFERENCES_ONLY.match(value):
        return value
    return DOTS if _SECRET_WORD.search(name) or looks_secret(value) else value


def looks_secret(text: str) -> bool:
    """Whether the text looks like a token: a known beginning, or long and mixed as random text is."""
    if _SECRET_SHAPE.match(text):
        return True
    return any(_is_random(part) for part in re.split(r"[^A-Za-z0-9+_-]", text))


def _is_random(part: str) -> bool:
    letters = sum(char.isalpha() for char in part)
    digits = sum(char.isdigit() for char in part)
    return len(part) >= 20 and digits >= 4 and letters >= 4


def masked_url(url: str) -> str:
    """A URL without its user, without query values that are not plainly harmless, without token-like steps."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return DOTS
    return urlunsplit(
        SplitResult(
            parts.scheme,
            f"{DOTS}@{host}" if "@" in parts.netloc else host,
            "/".join(DOTS if looks_secret(step) else step for step in parts.path.split("/")),
            "&".join(_masked_pair(pair) for pair in parts.query.split("&")) if parts.query else "",
            DOTS if parts.fragment else "",
        )
    )


def _masked_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={masked_value(name, value)}" if equals else (DOTS if looks_secret(name) else name)
