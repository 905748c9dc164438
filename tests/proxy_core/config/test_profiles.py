import pytest

from proxy_core.config.models import Config, NameRules, ProfileConfig, ServerConfig, StdioTransport
from proxy_core.config.profiles import idle_globs

SERVERS = tuple(ServerConfig(id=each, transport=StdioTransport(command="x")) for each in ("github", "files"))


def told(**profiles: tuple[str, ...]) -> list[str]:
    globs = {name: ProfileConfig(servers=servers) for name, servers in profiles.items()}
    return list(idle_globs(Config(servers=SERVERS, profiles=globs)))


def test_a_glob_that_fits_no_server_is_told_with_its_profile():
    assert told(review=("github", "fi*"), ops=("*", "slack", "g[it]*")) == [
        "profiles.ops.servers: 'slack' fits no server",
    ]


def test_profiles_whose_every_glob_fits_are_not_spoken_of():
    assert told(review=("*",)) == told() == []


def of_names(**rules: NameRules) -> list[str]:
    return list(idle_globs(Config(servers=SERVERS, profiles={"review": ProfileConfig(**rules)})))


@pytest.mark.parametrize("shelf", ["tools", "prompts"])
def test_a_glob_of_names_that_no_server_can_have_is_told_with_its_place(shelf: str):
    rules = NameRules(allow=("github__*", "gh__*", "*__x", "g*__y"), deny=("githb__star", "files__*", "x"))
    assert of_names(**{shelf: rules}) == [
        f"profiles.review.{shelf}.allow: 'gh__*' fits no server's names",
        f"profiles.review.{shelf}.deny: 'githb__star' fits no server's names",
    ]


def test_of_uris_and_of_names_without_a_prefix_nobody_knows():
    rules = NameRules(deny=("else__*", "else+x:*"))
    assert of_names(resources=rules) == []
    one = {"servers": SERVERS[:1], "routing": {"prefix": "none"}}
    config = Config.model_validate({**one, "profiles": {"review": {"tools": {"deny": ["else__*"]}}}})
    assert list(idle_globs(config)) == []
