"""From two configurations to a plan: what goes on, what is replaced, what waits for a restart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.config.changes import RESTART, ConfigChanges, ReplicaChange, ServerChange, diff
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import (
    ONLY_REPLICA,
    Config,
    HealthOverrides,
    HttpTransport,
    ReloadConfig,
    ReplicaConfig,
    ServerConfig,
    SseTransport,
    StdioTransport,
    Timeouts,
    ToolRules,
    ToolTimeouts,
    Transport,
)
from proxy_core.telemetry.snapshot import Action

X = StdioTransport(command="x")
Y = HttpTransport(url="http://y/", headers={"Authorization": "Bearer canary"})
AA = ServerConfig(id="aa", transport=X)
BB = ServerConfig(id="bb", transport=Y)
SEARCH = ServerConfig(
    id="search",
    replicas=(ReplicaConfig(id="a", transport=X), ReplicaConfig(id="b", transport=Y)),
)


def loaded(*servers: ServerConfig, unset: dict[str, str] | None = None, **sections: Any) -> LoadedConfig:
    config = Config.model_validate({**sections, "servers": [server.model_dump() for server in servers]})
    return LoadedConfig(config, unset=unset or {})


def changed(server: ServerConfig, **settings: Any) -> ServerConfig:
    return server.model_copy(update=settings)


def one(before: ServerConfig, after: ServerConfig) -> ServerChange:
    (change,) = diff(loaded(before), loaded(after)).servers
    return change


def replicas(change: ServerChange) -> dict[str, Action]:
    return {replica.id: replica.change for replica in change.replicas}


def test_the_same_configuration_changes_nothing():
    plan = diff(loaded(AA, SEARCH), loaded(AA, SEARCH))
    assert plan.is_empty
    assert plan.servers[0] == ServerChange("aa", Action.KEEP, (), (ReplicaChange(ONLY_REPLICA, Action.KEEP),))


def test_what_comes_is_added_and_what_goes_is_drained_last():
    plan = diff(loaded(AA, BB), loaded(SEARCH, BB))
    assert [(change.id, change.change) for change in plan.servers] == [
        ("search", Action.ADD),
        ("bb", Action.KEEP),
        ("aa", Action.DRAIN),
    ]
    assert replicas(plan.servers[0]) == {"a": Action.ADD, "b": Action.ADD}
    assert replicas(plan.servers[2]) == {ONLY_REPLICA: Action.DRAIN}
    assert not plan.is_empty


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"name": "A"}, ("name",)),
        (
            {"tools": ToolRules(deny=("x",), timeouts={"t": ToolTimeouts(call_s=1)})},
            ("tools.deny", "tools.timeouts"),
        ),
        ({"timeouts": Timeouts(connect_s=1)}, ("timeouts.connect_s",)),
        ({"health": HealthOverrides(probe="http")}, ("health.probe",)),
        ({"concurrency": 1, "balance": "random"}, ("balance", "concurrency")),
        ({"roots": ("file:///r",), "isolation": "session"}, ("isolation", "roots")),
        ({"prefix": "none", "instructions": False}, ("prefix", "instructions")),
        ({"elicitation_prefix": True}, ("elicitation_prefix",)),
    ],
)
def test_settings_alone_leave_connections_and_calls(settings: dict[str, Any], keys: tuple[str, ...]):
    change = one(AA, changed(AA, **settings))
    assert (change.change, change.changed) == (Action.UPDATE, keys)
    assert replicas(change) == {ONLY_REPLICA: Action.KEEP}


def test_the_order_of_globs_is_a_change_where_the_first_counts():
    waits = {"a*": ToolTimeouts(call_s=1), "*": ToolTimeouts(call_s=2)}
    before = changed(AA, tools=ToolRules(timeouts=waits))
    after = changed(AA, tools=ToolRules(timeouts=dict(reversed(waits.items()))))
    assert one(before, after).changed == ("tools.timeouts",)


def test_another_transport_is_another_connection():
    change = one(AA, changed(AA, transport=Y))
    assert change == ServerChange(
        "aa", Action.REPLACE, ("transport",), (ReplicaChange(ONLY_REPLICA, Action.REPLACE),)
    )


def test_another_era_is_another_connection_to_every_replica():
    change = one(SEARCH, changed(SEARCH, era="legacy"))
    assert (change.change, change.changed) == (Action.REPLACE, ("era",))
    assert replicas(change) == {"a": Action.REPLACE, "b": Action.REPLACE}


def test_each_replica_goes_its_own_way():
    after = changed(
        SEARCH,
        replicas=(
            ReplicaConfig(id="c", transport=X),
            ReplicaConfig(id="b", weight=3, transport=Y),
            ReplicaConfig(id="a", transport=Y),
        ),
    )
    change = one(changed(SEARCH, replicas=(*SEARCH.replicas, ReplicaConfig(id="d", transport=X))), after)
    assert change.change is Action.UPDATE
    assert list(replicas(change).items()) == [
        ("c", Action.ADD),
        ("b", Action.UPDATE),
        ("a", Action.REPLACE),
        ("d", Action.DRAIN),
    ]
    assert change.changed == (
        "replicas[c]",
        "replicas[b].weight",
        "replicas[a].transport",
        "replicas[d]",
        "replicas",
    )


def test_a_server_of_which_no_replica_goes_on_is_replaced():
    change = one(changed(SEARCH, transport=X, replicas=()), SEARCH)
    assert change.change is Action.REPLACE
    assert replicas(change) == {"a": Action.ADD, "b": Action.ADD, ONLY_REPLICA: Action.DRAIN}
    assert change.changed == ("replicas[a]", "replicas[b]", "transport")


def test_a_replica_called_as_the_only_one_is_the_same_place():
    named = changed(AA, transport=None, replicas=(ReplicaConfig(id=ONLY_REPLICA, transport=X),))
    assert diff(loaded(AA), loaded(named)).is_empty


def test_switching_off_drains_and_switching_on_starts():
    off = changed(SEARCH, enabled=False)
    assert one(SEARCH, off).change is Action.DRAIN
    assert set(replicas(one(SEARCH, off)).values()) == {Action.DRAIN}
    assert one(off, changed(SEARCH, name="S")).changed == ("name", "enabled")
    assert set(replicas(one(off, SEARCH)).values()) == {Action.START}


def test_what_is_off_and_stays_off_takes_its_new_settings():
    """A person may have switched it on by hand."""
    off = changed(AA, enabled=False)
    assert one(off, changed(off, transport=Y)).change is Action.REPLACE
    assert one(off, changed(off, name="A")).change is Action.UPDATE


def test_another_reason_to_be_off_is_an_update():
    off = changed(AA, enabled=False)
    (change,) = diff(
        loaded(off, unset={"aa": "A is not set"}), loaded(off, unset={"aa": "B is not set"})
    ).servers
    assert (change.change, change.changed) == (Action.UPDATE, ("enabled",))


def test_another_order_keeps_every_server_and_is_a_change_all_the_same():
    plan = diff(loaded(AA, BB), loaded(BB, AA))
    assert [change.change for change in plan.servers] == [Action.KEEP, Action.KEEP]
    assert plan.settings == ("servers",)
    assert not plan.is_empty


def test_a_server_between_two_others_changes_no_order():
    assert diff(loaded(AA, BB), loaded(AA, SEARCH, BB)).settings == ()


def test_settings_apply_at_once_but_for_what_was_opened_at_the_start():
    after = loaded(
        AA,
        proxy={"host": "::1", "port": 9, "path": "/x", "max_body_bytes": 2048, "seal_keys": ["canary" * 3]},
        admin={"socket": "/run/x.sock"},
        limits={"calls": 1},
        auth={"tokens": [{"name": "ci", "sha256": "ab" * 32}]},
        logging={"level": "debug"},
        health={"endpoints": [{"path": "/x"}]},
    )
    plan = diff(loaded(AA), after)
    assert plan.restart == ("proxy.host", "proxy.port", "proxy.path", "admin.socket")
    assert plan.settings == (
        "proxy.max_body_bytes",
        "proxy.seal_keys",
        "auth.tokens",
        "limits.calls",
        "health.endpoints",
        "logging.level",
    )
    assert plan.servers[0].change is Action.KEEP
    assert not plan.is_empty
    assert not ConfigChanges(restart=("proxy.port",)).is_empty


def test_no_value_is_part_of_a_plan():
    before = loaded(BB, SEARCH)
    after = loaded(
        changed(BB, transport=X), changed(SEARCH, replicas=SEARCH.replicas[::-1]), proxy={"port": 4242}
    )
    assert "canary" not in repr(diff(before, after))
    assert "4242" not in repr(diff(before, after))


def test_the_guide_names_every_key_that_waits_and_every_setting_that_does_not_reconnect():
    guide = (Path(__file__).parents[3] / "docs" / "configuration_hot_reload.md").read_text()
    update = next(line for line in guide.splitlines() if line.startswith("| update |"))
    settings = set(ServerConfig.model_fields) - {"id", "enabled", "transport", "replicas", "era"}
    assert all(f"`{name}`" in update for name in settings)
    assert all(
        f"`{key}`" in guide for key in (*RESTART, *(f"reload.{name}" for name in ReloadConfig.model_fields))
    )


# --- of any two configurations --------------------------------------------------------------------------------

TRANSPORTS: st.SearchStrategy[Transport] = st.sampled_from(
    [X, Y, SseTransport(url="http://y/"), StdioTransport(command="z")]
)
REPLICAS = st.lists(
    st.builds(ReplicaConfig, id=st.sampled_from("abcd"), weight=st.integers(1, 2), transport=TRANSPORTS),
    min_size=1,
    max_size=4,
    unique_by=lambda replica: replica.id,
).map(tuple)
REST: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["aa", "bb", "cc", "dd"]),
    "enabled": st.booleans(),
    "era": st.sampled_from(["auto", "legacy"]),
    "name": st.sampled_from([None, "N"]),
    "concurrency": st.integers(1, 2),
    "tools": st.sampled_from([ToolRules(), ToolRules(deny=("x",))]),
}
SERVERS = st.lists(
    st.builds(ServerConfig, transport=TRANSPORTS, **REST) | st.builds(ServerConfig, replicas=REPLICAS, **REST),
    max_size=4,
    unique_by=lambda server: server.id,
)
LOADED = st.builds(
    lambda servers, calls, port: loaded(*servers, limits={"calls": calls}, proxy={"port": port}),
    SERVERS,
    st.integers(0, 1),
    st.integers(1, 2),
)


@given(LOADED)
def test_any_configuration_is_the_same_as_itself(config: LoadedConfig):
    assert diff(config, replace(config, config=config.config.model_copy(deep=True))).is_empty


@given(LOADED, LOADED)
def test_every_server_and_every_replica_appears_exactly_once(old: LoadedConfig, new: LoadedConfig):
    plan = diff(old, new)
    ids = [server.id for server in plan.servers]
    kept = [server.id for server in new.config.servers]
    assert ids[: len(kept)] == kept
    assert sorted(ids) == sorted({*kept, *(server.id for server in old.config.servers)})
    for server in plan.servers:
        names = [replica.id for replica in server.replicas]
        assert names
        assert len(set(names)) == len(names)


@given(LOADED, LOADED)
def test_nothing_is_replaced_whose_transport_and_era_are_equal(old: LoadedConfig, new: LoadedConfig):
    before = {server.id: server for server in old.config.servers}
    after = {server.id: server for server in new.config.servers}
    for change in diff(old, new).servers:
        for replica in change.replicas:
            was, comes = (
                {place.id: (place.transport, servers[change.id].era) for place in servers[change.id].places}
                if change.id in servers
                else {}
                for servers in (before, after)
            )
            is_replaced = replica.change is Action.REPLACE
            if is_replaced:
                assert was[replica.id] != comes[replica.id]
            if replica.change in {Action.KEEP, Action.UPDATE}:
                assert was[replica.id] == comes[replica.id]
        if change.change is Action.REPLACE:
            assert not {Action.KEEP, Action.UPDATE} & {replica.change for replica in change.replicas}


@given(LOADED, LOADED)
def test_a_plan_is_empty_only_where_nothing_is_different(old: LoadedConfig, new: LoadedConfig):
    """Of two forms of the same places, `transport` and one replica called as it, the strategies make none."""
    assert diff(old, new).is_empty == (old.config == new.config)


@given(LOADED, LOADED)
def test_the_way_back_undoes_the_way_there(old: LoadedConfig, new: LoadedConfig):
    there, back = diff(old, new), diff(new, old)
    opposite = {
        Action.ADD: {Action.DRAIN},
        Action.DRAIN: {Action.ADD, Action.START},
        Action.START: {Action.DRAIN},
    }
    returned = {server.id: server.change for server in back.servers}
    for server in there.servers:
        assert returned[server.id] in opposite.get(server.change, {server.change})
    assert set(there.settings) == set(back.settings)
    assert set(there.restart) == set(back.restart)


def test_profiles_that_come_go_or_change_are_named_and_apply_at_once():
    before = loaded(AA, profiles={"gone": {}, "kept": {}, "other": {"servers": ["aa"]}})
    after = loaded(AA, profiles={"other": {"context": "search"}, "kept": {}, "new": {}})
    plan = diff(before, after)
    assert plan.settings == (
        "profiles.gone",
        "profiles.other.servers",
        "profiles.other.context",
        "profiles.new",
    )
    assert plan.restart == ()


def test_the_order_of_profiles_says_nothing():
    assert diff(loaded(AA, profiles={"aa": {}, "bb": {}}), loaded(AA, profiles={"bb": {}, "aa": {}})).is_empty
