"""What people see of settings: nothing that could be a secret."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.config.models import (
    AuthConfig,
    Config,
    HealthConfig,
    HealthEndpoint,
    HealthOverrides,
    HttpTransport,
    ProxyConfig,
    ReplicaConfig,
    ServerConfig,
    StdioTransport,
    Timeouts,
    TokenConfig,
    ToolRules,
    ToolTimeouts,
)
from proxy_core.config.secrets import (
    DOTS,
    masked_address,
    masked_addresses,
    masked_args,
    masked_config,
    masked_settings,
    masked_url,
    masked_value,
)


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        (("--token=x", "-y"), (f"--token={DOTS}", "-y")),
        (("--api-key", "x", "kept"), ("--api-key", DOTS, "kept")),
        (("-e", "GITHUB_TOKEN=x"), ("-e", f"GITHUB_TOKEN={DOTS}")),
        (("--header", "Authorization: Bearer x"), ("--header", f"Authorization: {DOTS}")),
        (("--header", "Authorization: ${AUTH}"), ("--header", "Authorization: ${AUTH}")),
        (("--password", "${PW}"), ("--password", "${PW}")),
        (("postgres://u:p@h/db",), (f"postgres://{DOTS}@h/db",)),
        (("--db=postgres://u:p@h/db",), (f"--db=postgres://{DOTS}@h/db",)),
        (("ghp_0123456789",), (DOTS,)),
        (("0123456789abcdef0123456789",), (DOTS,)),
        (("--author", "me", "--port", "8080"), ("--author", "me", "--port", "8080")),
        (("-y", "@scope/server-files@1.2.3", "/home/me"), ("-y", "@scope/server-files@1.2.3", "/home/me")),
        (("--timezone=Europe/Berlin",), ("--timezone=Europe/Berlin",)),
        (("--token", "--verbose"), ("--token", "--verbose")),
    ],
)
def test_arguments_lose_their_secrets_and_nothing_else(args: tuple[str, ...], shown: tuple[str, ...]):
    assert masked_args(args) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/mcp", "https://host/mcp"),
        ("https://user:pw@host:1/mcp", f"https://{DOTS}@host:1/mcp"),
        ("https://host/mcp?api_key=x&n=3&q=text", f"https://host/mcp?api_key={DOTS}&n=3&q={DOTS}"),
        ("https://host/s/OGQ4ZTA0ZWYtNzY4Mi00abcd/mcp", f"https://host/s/{DOTS}/mcp"),
        ("https://${HOST}/${PATH}?key=${KEY}", "https://${HOST}/${PATH}?key=${KEY}"),
        ("https://[bad", DOTS),
        ("https://host/#x", f"https://host/#{DOTS}"),
    ],
)
def test_urls_lose_their_secrets(url: str, shown: str):
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("LOG_LEVEL", "debug", "debug"),
        ("PORT", "8080", "8080"),
        ("DATA", "/var/lib/x", "/var/lib/x"),
        ("DATA", "anything else", DOTS),
        ("API_KEY", "123", DOTS),
        ("API_KEY", "", ""),
        ("API_KEY", "${API_KEY}", "${API_KEY}"),
        ("API_KEY", "${API_KEY:-hunter2}", DOTS),
    ],
)
def test_variables_are_shown_only_where_plainly_harmless(name: str, value: str, shown: str):
    assert masked_value(name, value) == shown


HTTP = ServerConfig(
    id="aa",
    name="A",
    transport=HttpTransport(url="https://u:p@h/", headers={"Authorization": "Bearer x", "Accept": "a/b"}),
    tools=ToolRules(deny=("x_*",)),
    timeouts=Timeouts(connect_s=2),
    era="legacy",
    enabled=False,
    instructions=False,
)
STDIO = ServerConfig(
    id="bb",
    transport=StdioTransport(
        command="x y", args=("--token", "t"), env={"K": "v"}, cwd="/w", inherit_env=("H*",)
    ),
)


def test_the_settings_of_a_server_are_told_without_secrets():
    assert masked_settings(HTTP) == (
        ("id", "aa"),
        ("name", "A"),
        ("transport", "http"),
        ("url", f"https://{DOTS}@h/"),
        ("headers.Authorization", DOTS),
        ("headers.Accept", "a/b"),
        ("tools.allow", "*"),
        ("tools.deny", "x_*"),
        ("timeouts.connect_s", "2 s"),
        ("timeouts.call_idle_s", "300 s"),
        ("timeouts.call_s", "3600 s"),
        ("enabled", "false"),
        ("instructions", "false"),
        ("era", "legacy"),
    )
    assert dict(masked_settings(STDIO))["command"] == f"'x y' --token '{DOTS}'"
    assert dict(masked_settings(STDIO))["env.K"] == DOTS


def test_settings_of_a_server_that_are_the_defaults_are_left_out_and_the_others_are_not():
    given = {"isolation": "session", "roots": ("file:///r",), "elicitation_prefix": False, "concurrency": 1}
    quiet = ServerConfig(id="aa", transport=StdioTransport(command="x"))
    rows = masked_settings(quiet.model_copy(update={**given, "tools": ToolRules(retry=("get_*",))}))
    assert rows[len(masked_settings(quiet)) + 2 :] == (
        ("tools.retry", "get_*"),
        ("roots", "file:///r"),
        ("isolation", "session"),
        ("elicitation_prefix", "false"),
        ("concurrency", "1"),
    )


SEARCH = ServerConfig(
    id="cc",
    replicas=(
        ReplicaConfig(id="a", weight=2, transport=HttpTransport(url="https://u:canary@h/?key=canary")),
        ReplicaConfig(id="b", transport=StdioTransport(command="x", args=("--token", "canary"))),
    ),
    balance="random",
    health=HealthOverrides(
        probe_interval=10, failure_threshold=1, endpoints=(HealthEndpoint(path="/h?key=canary"),)
    ),
    tools=ToolRules(timeouts={"get_*": ToolTimeouts(call_s=2)}),
)


def test_replicas_and_what_goes_with_them_are_told_without_secrets():
    assert masked_settings(SEARCH) == (
        ("id", "cc"),
        ("name", "cc"),
        ("replicas[a].transport", "http"),
        ("replicas[a].weight", "2"),
        ("replicas[a].url", f"https://{DOTS}@h/?key={DOTS}"),
        ("replicas[b].transport", "stdio"),
        ("replicas[b].command", f"x --token '{DOTS}'"),
        ("tools.allow", "*"),
        ("tools.deny", ""),
        ("tools.timeouts[get_*].call_s", "2 s"),
        ("health.probe_interval", "10 s"),
        ("health.failure_threshold", "1"),
        ("health.endpoints", f"GET /h?key={DOTS} -> 200"),
        ("balance", "random"),
    )
    assert masked_addresses(SEARCH) == f"a: https://{DOTS}@h/?key={DOTS}, b: x --token '{DOTS}'"
    assert masked_addresses(STDIO) == masked_address(STDIO.places[0].transport)


def test_the_whole_configuration_hides_the_secrets_of_replicas_and_probes():
    health = HealthConfig(endpoints=(HealthEndpoint(path="/x?token=canary"),))
    shown = masked_config(Config(servers=(SEARCH, HTTP), health=health))
    assert "canary" not in str(shown)
    assert shown["health"]["endpoints"][0]["path"] == f"/x?token={DOTS}"
    assert shown["servers"][0]["replicas"][1]["transport"]["args"] == ["--token", DOTS]
    assert shown["servers"][1]["replicas"] == []


def test_sealing_keys_and_digests_of_tokens_are_shown_nowhere():
    proxy = ProxyConfig(seal_keys=("canary-canary-canary", "another-canary-here"))
    auth = AuthConfig(tokens=(TokenConfig(name="ci", sha256="ab" * 32),))
    config = Config(proxy=proxy, auth=auth)
    shown = masked_config(config)
    assert shown["proxy"]["seal_keys"] == [DOTS, DOTS]
    assert shown["auth"]["tokens"][0]["sha256"] == DOTS
    assert not re.search("canary|abab", f"{shown} {config} {config!r}")


def test_the_whole_configuration_is_told_without_secrets():
    shown = masked_config(Config(servers=(HTTP, STDIO)))
    assert shown["proxy"]["port"] == 8080
    assert shown["servers"][0]["transport"]["headers"] == {"Authorization": DOTS, "Accept": "a/b"}
    assert shown["servers"][1]["transport"]["args"] == ["--token", DOTS]


SECRET = st.text("abcdefXYZ0123456789_-", min_size=12).map(lambda text: f"zz{text}")


@given(SECRET)
def test_a_secret_in_a_known_place_is_never_shown(secret: str):
    stdio = StdioTransport(command="x", args=(f"--api-key={secret}", "--token", secret, f"X_SECRET={secret}"))
    assert secret not in masked_address(stdio)
    assert secret not in masked_address(HttpTransport(url=f"https://u:{secret}@h/?token={secret}#{secret}"))


@given(st.text())
def test_any_text_can_be_masked(text: str):
    masked_url(text)
    masked_args((text, text))
    masked_value(text, text)
