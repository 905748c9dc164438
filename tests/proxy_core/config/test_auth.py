"""What may be said of authorization servers, and what of it is a fault."""

from pathlib import Path

import pytest

from proxy_core.config.models import Config
from tests.proxy_core.config.test_load import faults, read

GOOD = """
auth:
  resource: https://gw.example/mcp
  issuers:
  - issuer: https://as.example/realms/one
    networks: [10.1.0.0/16, "fd00::/8"]
    grants:
    - {profile: review, scopes: [mcp:review], claims: {groups: reviewers, level: 3, staff: true}}
    - {}
    deny: [{jti: abc}]
profiles: {review: {}}
"""


def test_an_issuer_needs_its_name_and_our_own_alone():
    config = read(GOOD, "x.yaml").config
    (issuer,) = config.auth.issuers
    assert issuer.grants[0].claims == {"groups": "reviewers", "level": 3, "staff": True}
    assert config.auth.scopes == ("mcp:use",)
    assert config.auth.is_set
    assert not Config().auth.is_set
    exposed = GOOD + "proxy: {host: 0.0.0.0}"
    assert not read(exposed, "x.yaml").config.is_exposed


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (
            "https://gw.example/mcp",
            "http://gw.example/mcp",
            "auth.resource: found 'http://gw.example/mcp'; must be",
        ),
        ("https://as.example/realms/one", "https://as.example/#x", "may hold no fragment"),
        ("https://as.example/realms/one", "https://u:p@as.example", "may hold no fragment, no user"),
        ("https://as.example/realms/one", "https://as.example/?a", "an issuer has no query"),
        ("https://as.example/realms/one", "https://as.example:x", "its port is none"),
        ("10.1.0.0/16", "8.8.8.0/24", "must be a private network"),
        ("10.1.0.0/16", "169.254.0.0/16", "link-local never"),
        ("10.1.0.0/16", "0.0.0.0/0", "must be a private network"),
        ("10.1.0.0/16", "x", "must be a network"),
        (
            "profile: review",
            "profile: revew",
            "no profile; the profiles are review. Did you mean 'review'?",
        ),
        ("mcp:review", "two words", "auth.issuers[0].grants[0].scopes[0]"),
        ("level: 3", "level: [3]", "claims.level: found a list; text, a whole number, true or false is wanted"),
        ("{jti: abc}", "{}", "would refuse every token"),
        ("    - {}\n", "    - {}\n    algorithms: [HS256]\n", "found 'HS256'; allowed: RS256"),
        ("  resource: https://gw.example/mcp\n", "", "issuers need `resource`"),
    ],
)
def test_a_fault_is_told_with_what_is_allowed(was: str, now: str, said: str):
    assert was in GOOD
    found = faults(GOOD.replace(was, now))
    assert len(found) == 1
    assert said in found[0]


def test_our_own_uri_without_issuers_and_an_issuer_twice_are_faults():
    (alone,) = faults("auth: {resource: 'https://gw.example/mcp'}")
    assert "`resource` is for `issuers`, and there are none" in alone
    issuer = "{issuer: 'https://as.example'}"
    (twice,) = faults(f"auth: {{resource: 'https://gw.example/mcp', issuers: [{issuer}, {issuer}]}}")
    assert "the same issuer may not stand there twice" in twice


def test_the_examples_of_the_guide_are_configurations():
    guide = (Path(__file__).parents[3] / "docs" / "access.md").read_text()
    blocks = [block.partition("```")[0] for block in guide.split("```yaml\n")[1:]]
    whole = [block for block in blocks if block[:1].isalpha()]
    assert len(whole) == 3
    for block in whole:
        assert read(block, "x.yaml").config != Config()
