import hashlib
import json
import re
from pathlib import Path

import pytest

from proxy_core.config.load import from_text
from proxy_core.config.tokens import fragment, new_token
from proxy_core.errors import ConfigError


def test_a_token_is_long_random_and_known_by_its_beginning():
    tokens = {new_token("ci")[0] for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"o1_[A-Za-z0-9_-]{43}", token) for token in tokens)


@pytest.mark.parametrize("ending", [".yaml", ".json", ".toml"])
def test_what_the_file_has_to_say_holds_the_digest_and_not_the_token(ending: str):
    token, entry = new_token("ci")
    text = fragment(entry, ending)
    assert token not in text
    (read,) = from_text(text, Path(f"/x{ending}"), {}).config.auth.tokens
    assert read == entry
    assert read.sha256 == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize("ending", [".yaml", ".json", ".toml"])
def test_a_token_may_be_bound_to_a_profile(ending: str):
    _, entry = new_token("ci", "review")
    profiles = {".yaml": "profiles: {review: {}}\n", ".toml": "[profiles.review]\n", ".json": ""}[ending]
    text = fragment(entry, ending)
    if ending == ".json":
        text = json.dumps(json.loads(text) | {"profiles": {"review": {}}})
    (read,) = from_text(f"{profiles}{text}", Path(f"/x{ending}"), {}).config.auth.tokens
    assert (read, read.profile) == (entry, "review")
    with pytest.raises(ConfigError, match="only1mcp token new: profile: "):
        new_token("ci", 'x"y')


@pytest.mark.parametrize("ending", [".yaml", ".json", ".toml"])
def test_what_a_token_may_do_is_written_only_where_it_is_not_the_default(ending: str):
    for admin in ("none", "read", "steer"):
        _, entry = new_token("ci", admin=admin)
        text = fragment(entry, ending)
        (read,) = from_text(text, Path(f"/x{ending}"), {}).config.auth.tokens
        assert (read, read.admin) == (entry, admin)
        assert ("admin" in text) is (admin != "read")


def test_a_token_of_a_profile_cannot_steer_and_an_unknown_word_is_none():
    with pytest.raises(ConfigError, match="cannot have admin: steer"):
        new_token("ci", "review", "steer")
    with pytest.raises(ConfigError, match="only1mcp token new: admin: "):
        new_token("ci", admin="all")


@pytest.mark.parametrize("name", ["", "a b", "token:x", "-x", "x" * 65])
def test_a_name_that_could_be_mistaken_for_something_else_is_refused(name: str):
    with pytest.raises(ConfigError, match="only1mcp token new: name: "):
        new_token(name)
