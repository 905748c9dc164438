from proxy_core.config.models import Config, ProfileConfig, ServerConfig, StdioTransport
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
