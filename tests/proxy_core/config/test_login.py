"""What may be said of how the gateway logs in at a server, and what of it is a fault or a secret."""

from pathlib import Path

import pytest

from proxy_core.config.load import from_text
from proxy_core.config.models import HttpTransport
from proxy_core.config.secrets import masked_config, masked_settings
from tests.proxy_core.config.test_load import faults, read

SECRET = "s3cret-value-of-the-client"
START = "servers: [{id: box, transport: {type: http, url: https://mcp.example/mcp, auth: "
FULL = (
    f"{{client_id: me, issuer: https://as.example, client_secret: {SECRET}, scopes: [a, b], redirect_port: 9}}"
)


def text(auth: str) -> str:
    return f"{START}{auth}}}}}]"


def test_a_word_or_a_mapping_says_how_the_gateway_logs_in():
    for auth, kind in (
        ("auto", "auto"),
        ("none", "none"),
        ("{}", "oauth"),
        ("{type: auto}", "auto"),
        (FULL, "oauth"),
    ):
        transport = read(text(auth), "x.yaml").config.servers[0].transport
        assert isinstance(transport, HttpTransport)
        assert transport.auth.type == kind
    assert HttpTransport(url="https://x.example").auth.type == "auto"


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("maybe", "allowed: oauth, auto, none"),
        ("{type: none, client_id: me}", "other keys are for `type: oauth` alone"),
        (f"{{client_secret: {SECRET}}}", "a secret needs its `client_id`, and the `issuer`"),
        (f"{{client_id: me, client_secret: {SECRET}}}", "a secret needs its `client_id`, and the `issuer`"),
        (FULL.replace("scopes: [a, b]", "private_key: x"), "two ways to the same"),
        ("{grant: client_credentials}", "client_credentials needs"),
        ("{client_metadata_url: http://x.example/me}", "https:// URL with a path"),
        ("{client_metadata_url: https://x.example/}", "https:// URL with a path"),
        ("{issuer: http://as.example}", "must be an https:// URL"),
        ("{networks: [8.8.8.0/24]}", "must be a private network"),
        ('{scopes: ["a b"]}', "must match"),
        ("{scope: a}", "Did you mean 'scopes'?"),
    ],
)
def test_what_would_not_work_or_would_give_a_secret_away_is_a_fault(auth: str, said: str):
    (found,) = faults(text(auth), "x.yaml")
    assert said in found
    assert SECRET not in found


def test_a_header_and_a_login_exclude_each_other():
    both = text("{}").replace("auth: {}", "headers: {authorization: x}, auth: {}")
    assert "exclude each other" in faults(both, "x.yaml")[0]
    assert read(both.replace("auth: {}", "auth: auto"), "x.yaml").config.servers


def test_secrets_of_a_login_are_shown_nowhere():
    config = read(text(FULL), "x.yaml").config
    for shown in (str(masked_config(config)), str(masked_settings(config.servers[0])), repr(config)):
        assert SECRET not in shown
    assert ("auth.scopes", "a b") in masked_settings(config.servers[0])
    assert masked_config(config)["servers"][0]["transport"]["auth"]["client_id"] == "me"


def test_a_login_that_cannot_be_filled_in_switches_its_server_off_and_no_other(tmp_path: Path):
    broken = text("{client_id: me, issuer: '${NOWHERE}', client_secret: '${keyring:as/nothing}'}")
    loaded = from_text(broken, tmp_path / "x.yaml", {"HOME": str(tmp_path)})
    assert loaded.unset == {
        "box": "environment variable NOWHERE is not set; "
        "the secret as/nothing is not kept here: only1mcp secret set as/nothing"
    }
    assert not loaded.config.servers[0].enabled
