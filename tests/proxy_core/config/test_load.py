"""From a file to a configuration: where it is found, every fault at once, what is unset."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.config.load import LoadedConfig, find_config, from_text, load, user_config_path
from proxy_core.config.models import Config, HttpTransport, ProfileConfig, StdioTransport
from proxy_core.errors import ConfigError

FOLDER = Path("/etc/somewhere")


def read(text: str, name: str = "x.yaml", environ: Mapping[str, str] | None = None) -> LoadedConfig:
    return from_text(dedent(text), FOLDER / name, environ or {})


def faults(text: str, name: str = "x.yaml", environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, name, environ)
    return [f"{one.line}: {one.key}: {one.message}" for one in caught.value.problems]


# --- finding --------------------------------------------------------------------------------------------------


def test_files_are_found_in_the_documented_order(tmp_path: Path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    own = user_config_path(environ)
    assert own == tmp_path / "xdg" / "only1mcp" / "only1mcp.yaml"
    assert find_config(None, environ, tmp_path) is None
    named = tmp_path / "named.yaml"
    expected = [own, *(tmp_path / f"only1mcp.{ending}" for ending in ("json", "toml", "yml", "yaml")), named]
    for path in expected:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        if path is named:
            environ["ONLY1MCP_CONFIG"] = str(named)
        assert find_config(None, environ, tmp_path) == path
    other = tmp_path / "other.yaml"
    other.write_text("")
    assert find_config(other, environ, tmp_path) == other


@pytest.mark.parametrize(("explicit", "by"), [(Path("no.yaml"), "--config"), (None, "ONLY1MCP_CONFIG")])
def test_a_named_file_that_is_missing_is_a_fault(tmp_path: Path, explicit: Path | None, by: str):
    with pytest.raises(ConfigError, match=by):
        find_config(explicit, {"ONLY1MCP_CONFIG": "also-no.yaml"}, tmp_path)


def test_a_home_in_a_named_path_is_expanded(tmp_path: Path):
    (tmp_path / "c.yaml").write_text("")
    assert find_config(Path("~/c.yaml"), {"HOME": str(tmp_path)}, FOLDER) == tmp_path / "c.yaml"


# --- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.yaml", "servers:\n- id: aa\n  transport: {type: http, url: 'http://h/'}\nproxy: {port: 9}"),
        (
            "x.json",
            '{"servers":[{"id":"aa","transport":{"type":"http","url":"http://h/"}}],"proxy":{"port":9}}',
        ),
        ("x.toml", '[[servers]]\nid="aa"\ntransport={type="http",url="http://h/"}\n[proxy]\nport=9'),
    ],
)
def test_the_three_formats_say_the_same(name: str, text: str):
    config = read(text, name).config
    assert config.proxy.port == 9
    assert config.servers[0].transport == HttpTransport(url="http://h/")


def test_a_file_is_loaded_with_its_path(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("proxy: {port: 9}")
    loaded = load(path, {})
    assert (loaded.path, loaded.config.proxy.port) == (path, 9)


def test_relative_folders_are_those_beside_the_file_and_home_is_expanded():
    text = """
        servers:
        - {id: aa, transport: {type: stdio, command: ~/bin/x, args: [~/y], cwd: sub}}
        - {id: bb, transport: {type: stdio, command: x, cwd: ~}}
        logging: {file: log.json}
        """
    loaded = read(text.replace("cwd: ~}", "cwd: ~/}"), environ={"HOME": "/home/me"})
    first, second = (server.transport for server in loaded.config.servers)
    assert first == StdioTransport(command="/home/me/bin/x", args=("~/y",), cwd="/etc/somewhere/sub")
    assert isinstance(second, StdioTransport)
    assert second.cwd == "/home/me"
    assert loaded.config.logging.file == "/etc/somewhere/log.json"


def test_numbers_and_switches_may_come_from_the_environment():
    loaded = read("proxy: {port: '${PORT}', grace_s: '${GRACE:-5}'}", environ={"PORT": "9000"})
    assert (loaded.config.proxy.port, loaded.config.proxy.grace_s) == (9000, 5)


# --- unset variables ------------------------------------------------------------------------------------------

UNSET = """
    servers:
    - id: aa
      timeouts: {connect_s: "${SLOW}"}
      transport: {type: http, url: "${URL}", headers: {Authorization: "Bearer ${TOKEN}"}}
    - {id: bb, transport: {type: http, url: "https://${HOST}/"}}
    """


def test_an_unset_variable_switches_off_its_server_alone_and_says_why():
    loaded = read(UNSET, environ={"HOST": "h", "TOKEN": "a-long-secret"})
    first, second = loaded.config.servers
    assert (first.enabled, second.enabled) == (False, True)
    assert loaded.unset == {"aa": "environment variable SLOW is not set; environment variable URL is not set"}
    assert isinstance(first.transport, HttpTransport)
    assert "${URL}" in first.transport.url
    assert loaded.secrets == {"a-long-secret"}
    assert "a-long-secret" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("proxy: {host: '${NOPE}'}", "proxy.host"),
        ("servers: [{id: '${NOPE}', transport: {type: stdio, command: x}}]", "servers[0].id"),
        ("servers: [{id: aa, transport: {type: '${NOPE}', command: x}}]", "servers[0].transport.type"),
        ("servers: [{id: aa, replicas: [{id: '${NOPE}'}]}]", "servers[0].replicas[0].id"),
        (
            "servers: [{id: aa, replicas: [{id: a, transport: {type: '${NOPE}'}}]}]",
            "servers[0].replicas[0].transport.type",
        ),
        ("servers: ['${NOPE}']", "servers[0]"),
    ],
)
def test_an_unset_variable_elsewhere_is_a_fault(text: str, key: str):
    assert any(f" {key}: environment variable NOPE is not set" in fault for fault in faults(text))


def test_a_url_with_a_reference_left_in_it_still_shows_it():
    text = '{"servers": {"aa": {"url": "${input:the url}/mcp"}}}'
    (server,) = read(text, "x.json").config.servers
    assert isinstance(server.transport, HttpTransport)
    assert server.transport.url == "http://unset.invalid/${input:theurl}/mcp"


def test_a_value_of_the_environment_is_never_printed():
    environ = {"SECRET": "hunter2-hunter2", "ID": "hunter2"}
    text = """
        proxy: {port: "${SECRET}", path: "${SECRET}"}
        logging: {level: "${SECRET}"}
        servers:
        - {id: "${SECRET}!", transport: {type: "${SECRET}", url: "${SECRET}"}}
        - {id: "${ID}", transport: {type: stdio, command: x}}
        - {id: "${ID}", transport: {type: stdio, command: x}}
        - {id: aa, era: "${SECRET}", transport: {type: http, url: "${SECRET}", headers: {"a b": "${SECRET}"}}}
        """
    found = faults(text, environ=environ)
    assert len(found) >= 7
    assert not any("hunter2" in fault for fault in found)


# --- faults ---------------------------------------------------------------------------------------------------

MANY_FAULTS = """\
version: 2
prxy: {}
proxy:
  prot: 8080
  port: abc
  grace_s: -1
servers:
  - id: a_b
    transport: {type: http, urll: "https://x"}
  - id: gh
    transport: {type: htp, url: "https://x"}
  - id: gh
    transport: {type: stdio, command: npx, args: [1], env: {PORT: 8080}}
    prefixx: none
  - transport: {url: x}
    era: modrn
  - nonsense
routing: {prefix: none}
logging: {level: verbose}
tools: []
"""


def test_every_fault_of_a_file_is_told_at_once_with_line_key_and_what_is_allowed():
    assert faults(MANY_FAULTS) == [
        "1: version: found 2; allowed: 1.",
        "2: prxy: unknown key. Did you mean 'proxy'? "
        "Allowed: version, proxy, auth, servers, routing, limits, health, circuit_breaker, retry, "
        "cache, batching, context, profiles, elicitation, admin, reload, logging, inspect, audit, tui.",
        "4: proxy.prot: unknown key. Did you mean 'port'? "
        "Allowed: host, port, path, grace_s, max_body_bytes, legacy_sse, seal_keys, allowed_hosts, "
        "allowed_origins, tls.",
        "5: proxy.port: found 'abc'; a whole number is wanted.",
        "6: proxy.grace_s: found -1; it must be at least 0.",
        "8: servers[0].id: found 'a_b'; an id is 2 to 24 of a-z, 0-9 and -, from a letter on: "
        "for example 'a-b'.",
        "9: servers[0].transport.url: this key is required and missing.",
        "9: servers[0].transport.urll: unknown key. Did you mean 'url'? Allowed: type, url, headers, auth.",
        "11: servers[1].transport.type: found 'htp'; allowed: stdio, http, sse. Did you mean 'http'?",
        "12: servers[2].id: found 'gh', which servers[1] on line 10 already has; ids must differ.",
        "13: servers[2].transport.args[0]: found a value that is no text; "
        "text is wanted here (put it in quotes).",
        "13: servers[2].transport.env.PORT: found a value that is no text; "
        "text is wanted here (put it in quotes).",
        "14: servers[2].prefixx: unknown key. Did you mean 'prefix'? "
        "Allowed: id, name, enabled, transport, replicas, balance, health, tools, prefix, instructions, era, "
        "isolation, roots, elicitation_prefix, on_change, timeouts, concurrency, limits.",
        "15: servers[3].id: this key is required and missing.",
        "15: servers[3].transport: the key 'type' is missing; it must be one of stdio, http, sse.",
        "16: servers[3].era: found 'modrn'; allowed: auto, modern, legacy. Did you mean 'modern'?",
        "17: servers[4]: found 'nonsense'; a mapping of keys is wanted.",
        "18: routing.prefix: found 'none' with 5 servers; it is for at most one.",
        "19: logging.level: found 'verbose'; allowed: debug, info, warning, error.",
        "20: tools: unknown key. "
        "Allowed: version, proxy, auth, servers, routing, limits, health, circuit_breaker, retry, "
        "cache, batching, context, profiles, elicitation, admin, reload, logging, inspect, audit, tui.",
    ]


def test_only_one_server_may_go_without_prefix():
    servers = "".join(f"- {{id: s{n}, prefix: none, transport: {{type: stdio, command: x}}}}\n" for n in (1, 2))
    assert faults(f"servers:\n{servers}") == [
        "3: servers[1].prefix: found 'none' with 2 servers; it is for at most one."
    ]
    read(f"routing: {{prefix: none}}\nservers:\n{servers.replace('none', 'always', 1)}")


def test_an_empty_section_is_as_good_as_none():
    assert read("servers:\nlogging: # nothing yet\n").config == Config()


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name in ("x.yaml", "x.toml", "x.json") for text in ("", " \n\t\n")]
    + [("x.yaml", "# nothing yet\n"), ("x.toml", "# nothing yet\n"), ("x.yaml", "---\n# nothing\n...\n")],
)
def test_a_file_that_says_nothing_is_no_configuration_without_servers(tmp_path: Path, name: str, text: str):
    """An editor that truncates before it writes must not end every server."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"the file is empty|found nothing"):
        load(path, {})


@pytest.mark.parametrize(("name", "text"), [("x.yaml", "{}"), ("x.yaml", "servers:"), ("x.json", "{}")])
def test_that_there_are_no_servers_can_be_said(name: str, text: str):
    assert read(text, name).config == Config()


def test_toml_faults_have_the_key_path_alone():
    assert faults("[proxy]\nprot = 1", "x.toml")[0].startswith("None: proxy.prot: unknown key.")


def test_an_unknown_key_may_be_called_what_pydantic_calls_a_key():
    assert faults('"[key]": 1') == [f"1: [key]: unknown key. Allowed: {', '.join(Config.model_fields)}."]


REPLICA_FAULTS = """\
servers:
  - id: aa
    replicas:
      - id: a
        weight: 0
        transport: {type: http, urll: "https://x"}
      - {id: a, transport: {type: htp}}
      - id: "-"
        transport: {type: stdio, command: x, env: {PORT: 8080}}
      - {id: c, wieght: 2, transport: {type: http, url: "canary"}}
      - {id: d}
    tools: {timeouts: {get_*: {call: 1}, x: 3}}
    health: {probe: htp, probe_intervall: 3, endpoints: [{path: canary}]}
  - id: bb
    transport: {type: stdio, command: x}
    replicas: [{id: a, transport: {type: stdio, command: x}}]
    era: modrn
  - id: cc
    balance: round-robin
  - {id: dd, replicas: [{id: a, transport: {type: stdio, command: x}}], health: {endpoints: []}}
routing: {hash_key: clint}
admin: {on_port: yes}
"""


def test_faults_of_replicas_and_of_what_goes_with_them_name_their_places():
    assert faults(REPLICA_FAULTS) == [
        "5: servers[0].replicas[0].weight: found 0; it must be at least 1.",
        "6: servers[0].replicas[0].transport.url: this key is required and missing.",
        "6: servers[0].replicas[0].transport.urll: unknown key. Did you mean 'url'? "
        "Allowed: type, url, headers, auth.",
        "7: servers[0].replicas[1].id: found 'a', which servers[0].replicas[0] on line 4 already has; "
        "ids must differ.",
        "7: servers[0].replicas[1].transport.type: found 'htp'; allowed: stdio, http, sse. "
        "Did you mean 'http'?",
        "8: servers[0].replicas[2].id: found '-'; an id is 1 to 24 of a-z, 0-9 and -: for example 'server'.",
        "9: servers[0].replicas[2].transport.env.PORT: found a value that is no text; "
        "text is wanted here (put it in quotes).",
        "10: servers[0].replicas[3].transport.url: found text; must be an http:// or https:// URL.",
        "10: servers[0].replicas[3].wieght: unknown key. Did you mean 'weight'? "
        "Allowed: id, weight, transport.",
        "11: servers[0].replicas[4].transport: this key is required and missing.",
        "12: servers[0].tools.timeouts.get_*.call: unknown key. Did you mean 'call_s'? "
        "Allowed: call_idle_s, call_s.",
        "12: servers[0].tools.timeouts.x: found 3; a mapping of keys is wanted.",
        "13: servers[0].health.probe: found 'htp'; allowed: mcp, http. Did you mean 'http'?",
        "13: servers[0].health.endpoints[0].path: found text; must begin with / and hold neither spaces "
        "nor characters beyond ASCII.",
        "13: servers[0].health.probe_intervall: unknown key. Did you mean 'probe_interval'? Allowed: "
        "probe_interval, timeout, failure_threshold, success_threshold, probe, endpoints.",
        "16: servers[1].replicas: found beside `transport`; a server has one of the two.",
        "17: servers[1].era: found 'modrn'; allowed: auto, modern, legacy. Did you mean 'modern'?",
        "18: servers[2].transport: this key or `replicas` is required, and both are missing.",
        "19: servers[2].balance: found 'round-robin'; allowed: round_robin, least_connections, "
        "consistent_hash, random, weighted_random. Did you mean 'round_robin'?",
        "20: servers[3].health.endpoints: found a list; at least 1 of them are needed.",
        "21: routing.hash_key: found 'clint'; allowed: tool, client, session, header:<Name>. "
        "Did you mean 'client'?",
        "22: admin.on_port: found true without auth.tokens: everyone who reaches the port could steer the "
        "gateway. Add a token (`only1mcp token new NAME --write`), or leave it false and use the socket.",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("servers: [{id: aa}]", "servers[0].transport"),
        (
            "servers: [{id: aa, transport: {type: stdio, command: x}, "
            "replicas: [{id: a, transport: {type: stdio, command: x}}]}]",
            "servers[0].replicas",
        ),
        (
            "servers: [{id: aa, replicas: [{id: a, transport: {type: stdio, command: x}}, "
            "{id: a, transport: {type: stdio, command: y}}]}]",
            "servers[0].replicas[1].id",
        ),
    ],
)
def test_a_fault_between_keys_is_told_once(text: str, key: str):
    (fault,) = faults(text)
    assert fault.startswith(f"1: {key}: ")


@pytest.mark.parametrize(
    ("replica_id", "is_one"),
    [(text, True) for text in ("a", "0", "eu-west-1", "a" * 24)]
    + [(text, False) for text in ("", "-", "a-", "-a", "A", "a_b", "a" * 25)],
)
def test_what_a_replica_may_be_called(replica_id: str, is_one: bool):
    text = f"servers: [{{id: aa, replicas: [{{id: '{replica_id}', transport: {{type: stdio, command: x}}}}]}}]"
    if is_one:
        assert read(text).config.servers[0].replicas[0].id == replica_id
    else:
        assert [fault.split(": ")[1] for fault in faults(text)] == ["servers[0].replicas[0].id"]


def test_the_admin_api_may_be_on_the_port_with_a_token():
    loaded = read(f"{{admin: {{on_port: true}}, auth: {{tokens: [{{name: ci, sha256: {SHA}}}]}}}}")
    assert loaded.config.admin.on_port


@pytest.mark.parametrize("kind", ["tool", "client", "session", "header:X-Tenant"])
def test_consistent_hash_may_go_by_any_of_these(kind: str):
    assert read(f"routing: {{hash_key: '{kind}'}}").config.routing.hash_key == kind


def test_a_hash_key_that_is_no_header_name_is_a_fault():
    assert faults("routing: {hash_key: 'header:a b'}") == [
        "1: routing.hash_key: found 'header:a b'; not a valid HTTP header name."
    ]


def test_paths_of_every_replica_and_of_the_socket_are_settled():
    text = """
        servers:
        - id: aa
          replicas:
          - {id: a, transport: {type: stdio, command: ~/bin/x, cwd: sub}}
          - {id: b, weight: 3, transport: {type: http, url: "http://h/"}}
        admin: {socket: run/x.sock}
        """
    loaded = read(text, environ={"HOME": "/home/me"})
    first, second = loaded.config.servers[0].replicas
    assert first.transport == StdioTransport(command="/home/me/bin/x", cwd="/etc/somewhere/sub")
    assert (second.weight, second.transport) == (3, HttpTransport(url="http://h/"))
    assert loaded.config.admin.socket == "/etc/somewhere/run/x.sock"


@pytest.mark.parametrize("said", ["auto", "null"])
def test_a_socket_that_is_no_path_is_left_as_it_is(said: str):
    assert read(f"admin: {{socket: {said}}}").config.admin.socket == (None if said == "null" else said)


UNSET_REPLICAS = """
    servers:
    - id: aa
      replicas:
      - {id: a, weight: "${W}", transport: {type: http, url: "${URL}", headers: {A: "${TOKEN}"}}}
      - {id: b, transport: {type: stdio, command: x, env: {weight: "${W}"}}}
      balance: "${B}"
      health: {timeout: "${T}"}
      tools: {deny: [x], timeouts: {t: {call_s: "${T}"}}}
    - {id: bb, replicas: [{id: a, transport: {type: http, url: "http://h/"}}]}
    """


def test_an_unset_variable_of_any_replica_switches_off_its_server():
    loaded = read(UNSET_REPLICAS)
    first, second = loaded.config.servers
    assert (first.enabled, second.enabled) == (False, True)
    assert set(loaded.unset) == {"aa"}
    assert all(f"variable {name} is not set" in loaded.unset["aa"] for name in ("W", "URL", "TOKEN", "B", "T"))
    assert first.tools.deny == ("x",)
    replica, child = first.replicas
    assert isinstance(replica.transport, HttpTransport)
    assert "${URL}" in replica.transport.url
    assert child.transport == StdioTransport(command="x", env={"weight": "${W}"})


SHA = "ab" * 32


def test_a_profile_is_servers_tools_and_a_context_and_all_of_it_may_be_left_out():
    loaded = read("""
        context: {mode: auto, always: ["files__*"]}
        profiles:
          review: {servers: [github, "fi*"], tools: {deny: ["*__delete_*"]}, context: search}
          all:
            servers: ["*"]
        """)
    review, everything = loaded.config.profiles["review"], loaded.config.profiles["all"]
    assert (review.servers, review.tools.allow, review.tools.deny) == (
        ("github", "fi*"),
        ("*",),
        ("*__delete_*",),
    )
    assert (review.context, everything.context) == ("search", None)
    assert everything == ProfileConfig()
    assert (loaded.config.context.mode, loaded.config.context.always) == ("auto", ("files__*",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "profiles: {My_Review: {}}",
            "1: profiles.My_Review: the name of a profile is 2 to 24 of a-z, 0-9 and -, from a letter on: "
            "for example 'my-review'.",
        ),
        (
            "profiles: {review: {context_mode: search}}",
            "1: profiles.review.context_mode: unknown key. Did you mean 'context'? "
            "Allowed: servers, tools, prompts, resources, context, limits.",
        ),
        (
            "profiles: {review: {context: serch}}",
            "1: profiles.review.context: found 'serch'; allowed: full, compact, search, auto. "
            "Did you mean 'search'?",
        ),
        (
            "profiles: {review: {tools: {denny: [x]}}}",
            "1: profiles.review.tools.denny: unknown key. Did you mean 'deny'? Allowed: allow, deny.",
        ),
        (
            f"profiles: {{review: {{}}}}\nauth: {{tokens: [{{name: ci, sha256: {SHA}, profile: revue}}]}}",
            "2: auth.tokens[0].profile: found 'revue', which is no profile; the profiles are review. "
            "Did you mean 'review'?",
        ),
        (
            f"auth: {{tokens: [{{name: ci, sha256: {SHA}, profile: review}}]}}",
            "1: auth.tokens[0].profile: found 'review', which is no profile; there are no profiles.",
        ),
        (
            "proxy: {path: /}\nprofiles: {metrics: {}}",
            "2: profiles.metrics: a profile of this name cannot be reached: with proxy.path '/', /metrics is "
            "another page.",
        ),
        (
            "limits: {burst: 5}",
            "1: limits: found a mapping; `burst` is how many may come at once of `calls_per_s`",
        ),
        (
            "profiles: {review: {limits: {burst: 5, calls_per_s: 0}}}",
            "1: profiles.review.limits: found a mapping; `burst` is how many may come at once of `calls_per_s`",
        ),
        (
            f"auth: {{tokens: [{{name: ci, sha256: {SHA}, limits: {{burst: 5}}}}]}}",
            "1: auth.tokens[0].limits: found a mapping; `burst` is how many may come at once of `calls_per_s`",
        ),
        (
            "profiles: {review: {limits: {calls: 5}}}",
            "1: profiles.review.limits.calls: unknown key. Did you mean 'calls_per_s'? "
            "Allowed: calls_per_s, burst, concurrent, tokens_per_day.",
        ),
        ("context: {mode: fuul}", "1: context.mode: found 'fuul'; allowed: full, compact, search, auto."),
    ],
)
def test_faults_of_profiles_and_modes_say_what_is_allowed(text: str, fault: str):
    (found,) = faults(text)
    assert found.startswith(fault)


def test_a_token_may_be_bound_to_a_profile():
    loaded = read(
        f"profiles: {{review: {{}}}}\nauth: {{tokens: [{{name: ci, sha256: {SHA}, profile: review}}]}}"
    )
    assert loaded.config.auth.tokens[0].profile == "review"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"auth: {{tokens: [{{name: ci, sha256: {SHA}}}, {{name: ci, sha256: {'cd' * 32}}}]}}",
            "a name of its own",
        ),
        (f"auth: {{tokens: [{{name: ci, sha256: {SHA}}}, {{name: me, sha256: {SHA}}}]}}", "under two names"),
        (f"auth: {{tokens: [{{name: 'a:b', sha256: {SHA}}}]}}", "it must match"),
        ("auth: {tokens: [{name: ci, sha256: canary}]}", "found text; it must match"),
        ("auth: {tokens: [{name: ci, sha256: '${CANARY}'}]}", "found text; it must match"),
        ("proxy: {seal_keys: [canary]}", "found text; at least 16 characters are needed"),
        ("proxy: {seal_keys: ['${UNSET}']}", "environment variable UNSET is not set, and this key cannot"),
    ],
)
def test_faults_of_tokens_and_sealing_keys_are_told_without_showing_them(text: str, words: str):
    (fault,) = faults(text, environ={"CANARY": "canary-canary"})
    assert words in fault
    assert "canary" not in fault


def test_sealing_keys_may_come_from_the_environment_and_count_as_secrets():
    loaded = read("proxy: {seal_keys: ['${KEY}', written-in-the-file]}", environ={"KEY": "k" * 16})
    assert loaded.config.proxy.seal_keys == ("k" * 16, "written-in-the-file")
    assert loaded.secrets == {"k" * 16}


def test_another_programs_file_may_hold_our_tokens():
    text = (
        f'{{"mcpServers": {{}}, "only1mcp": {{"auth": {{"tokens": [{{"name": "ci", "sha256": "{SHA}"}}]}}}}}}'
    )
    assert read(text, "x.json").config.auth.tokens[0].name == "ci"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("just text", "a mapping of keys is wanted"),
        ("- a list", "a mapping of keys is wanted"),
        ("servers: {}", "a list is wanted"),
        ("servers: [{id: aa, transport: {type: stdio, command: ''}}]", "at least 1 characters"),
        ("servers: [{id: aa, transport: {type: http, url: ftp://x}}]", "must be an http:// or https:// URL"),
        ("servers: [{id: aa, transport: {type: http, url: 'http://x', headers: {'a b': x}}}]", "header name"),
        (
            'servers: [{id: aa, transport: {type: http, url: "http://x", headers: {A: "x\\r\\nB: y"}}}]',
            "line end",
        ),
        ("proxy: {path: mcp}", "it must match"),
        ("proxy: {port: 1.5}", "a whole number is wanted"),
        ("proxy: {grace_s: .nan}", "must be"),
        ("routing: {name_budget: 1000}", "it must be at most 128"),
        ("servers: [{id: aa, transport: {type: stdio, command: 'x${A-B}'}}]", "${A-B} is not a variable"),
        ("limits: {sessions: ~}", "found nothing; a whole number is wanted"),
    ],
)
def test_a_bad_value_says_what_is_wanted(text: str, words: str):
    found = faults(text)
    assert len(found) == 1
    assert words in found[0]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "servers",
                    "id",
                    "transport",
                    "type",
                    "url",
                    "command",
                    "env",
                    "replicas",
                    "weight",
                    "tools",
                    "timeouts",
                    "health",
                    "admin",
                    "proxy",
                    "mcpServers",
                    "only1mcp",
                ]
            )
            | st.text(max_size=5),
            inner | st.sampled_from(["stdio", "http", "aa", "${X}", "${X:-y}", "none"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(value=JSON_VALUES)
@settings(max_examples=300, deadline=None)
def test_any_json_loads_or_raises_a_config_error(value: object):
    try:
        loaded = from_text(json.dumps(value), Path("/x.json"), {})
    except ConfigError as error:
        assert error.problems
    else:
        assert set(loaded.unset) <= {server.id for server in loaded.config.servers if not server.enabled}


def test_servers_that_did_not_change_are_the_very_objects_of_before():
    text = """
        servers:
        - {id: aa, transport: {type: http, url: 'http://h/%s'}}
        - {id: bb, transport: {type: http, url: 'http://h/'}}
        """
    old = read(text % "1")
    new = read(text % "2").sharing(old)
    assert new.config.servers[0] == read(text % "2").config.servers[0]
    assert new.config.servers[1] is old.config.servers[1]
    assert new == read(text % "2")
