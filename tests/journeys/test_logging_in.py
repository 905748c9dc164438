"""The gateway logs in at a server: a person's browser, the running gateway, and an authorization server."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pexpect
import pytest

from proxy_core.config.tokens import new_token
from tests.support.file_keyring import FILE_ENV
from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving, write_config
from tests.support.headless_browser import ENV as BROWSER
from tests.support.login_server import ROBOT, ROBOT_SECRET, SERVER_METADATA, LoginServer, login_server
from tests.support.processes import eventually, free_port, quiet_env
from tests.support.wire import call, call_text, comes_true, connected, once_listed

LOUD = {"level": "debug", "format": "json"}
Json = dict[str, Any]


@pytest.fixture
def guarded() -> Iterator[LoginServer]:
    with login_server() as server:
        yield server


def only1mcp(
    folder: Path, *arguments: str, given: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**quiet_env(folder), **BROWSER, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config_of(folder: Path) -> str:
    return str(folder / "only1mcp.yaml")


async def login(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(only1mcp, folder, "login", "box", "--config", config_of(folder), *arguments)


def shown(done: "subprocess.CompletedProcess[str]", issuer: str) -> bool:
    """Whether it said, once, which page to open, and waited for nothing else."""
    return done.stderr.count(f"Log in here: {issuer}/authorize?") == 1 and "Nobody logged in" in done.stderr


def wants_login(gateway: GatewayProcess) -> None:
    eventually(
        lambda: "auth_required: login needed: press L, or only1mcp login box" in gateway.log, gateway.log
    )


async def test_a_person_logs_in_calls_work_tokens_are_renewed_and_what_is_revoked_is_asked_for_again(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(lifetime_s=3)
    with serving(tmp_path, [remote("box", guarded.url)], logging=LOUD) as gateway:
        wants_login(gateway)
        logged_in = await login(tmp_path)
        assert logged_in.returncode == 0, logged_in.stderr
        assert "box: logged in; healthy" in logged_in.stdout
        async with connected(gateway.url) as client:
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
            first = guarded.seen("/mcp")[-1]["authorization"]
            await comes_true(lambda: _renewed(guarded), "the token is renewed in time", 6)
            assert await call_text(client, "box__t") == "done"
            assert guarded.seen("/mcp")[-1]["authorization"] not in ("", first)
            # Renewed where it was refused, too: nobody hears of it.
            guarded.revoke("access")
            assert await call_text(client, "box__t") == "done"
            guarded.revoke("access", "refresh")
            failed = await call(client, "box__t")
            assert failed["error"]["data"]["dev.only1mcp"]["kind"] == "backend_auth_required"
        eventually(lambda: "auth_required: login needed, the login was ended" in gateway.log, gateway.log)
        for each in (*guarded.seen("/token"), *guarded.seen("/mcp")):
            for secret in (each["form"].get("refresh_token"), each["authorization"].removeprefix("Bearer ")):
                assert not secret or secret not in gateway.log


async def _renewed(guarded: LoginServer) -> bool:
    return any(each["form"].get("grant_type") == "refresh_token" for each in guarded.seen("/token"))


async def test_a_login_without_a_gateway_is_there_when_one_starts_and_logout_forgets_it(
    tmp_path: Path, guarded: LoginServer
):
    write_config(tmp_path, [remote("box", guarded.url)], proxy={"port": free_port()})
    logged_in = await login(tmp_path)
    assert (logged_in.returncode, logged_in.stdout) == (0, "box: logged in; healthy\n"), logged_in.stderr
    with serving(tmp_path, [remote("box", guarded.url)], logging=LOUD) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
        out = await asyncio.to_thread(only1mcp, tmp_path, "logout", "box", "--config", config_of(tmp_path))
        assert (out.returncode, out.stdout, out.stderr) == (0, "box: logged out\n", "")
        assert len(guarded.seen("/revoke")) == 2
        wants_login(gateway)
    # A person's own secrets are another matter.
    assert only1mcp(tmp_path, "secret", "list").stdout == ""


async def test_a_server_that_wants_a_login_is_not_knocked_at_all_the_time(tmp_path: Path, guarded: LoginServer):
    with serving(tmp_path, [remote("box", guarded.url)], logging=LOUD) as gateway:
        wants_login(gateway)
        await asyncio.sleep(3)
        assert len(guarded.seen("/mcp")) <= 8
        assert gateway.log.count("login needed, press L") == 1
        assert gateway.log.count("auth_required") == 1
        # What to do stands there once; no page, which would be for whoever reads the log, and over by then.
        assert gateway.log.count("only1mcp login box says which page to open") == 1
        assert "/authorize" not in gateway.log
        assert guarded.seen(SERVER_METADATA) == guarded.seen("/register") == []
        # And what it says is so.
        assert shown(await login(tmp_path, "--no-browser", "--timeout", "1"), guarded.issuer)


async def test_a_logout_says_where_tokens_may_be_good_still(tmp_path: Path, guarded: LoginServer):
    guarded.rules(metadata={"revocation_endpoint": None})
    write_config(tmp_path, [remote("box", guarded.url)], proxy={"port": free_port()})
    assert (await login(tmp_path)).returncode == 0
    out = await asyncio.to_thread(only1mcp, tmp_path, "logout", "box", "--config", config_of(tmp_path))
    assert (out.returncode, out.stdout) == (0, "box: logged out\n")
    assert (
        f"box: {guarded.issuer} has no way to be told, and may take its tokens until they expire" in out.stderr
    )


@pytest.mark.requirement("A04")
async def test_a_clients_token_never_takes_the_place_of_the_gateways_own(tmp_path: Path, guarded: LoginServer):
    token, entry = new_token("ann", None, "read")
    auth = {"tokens": [{"name": entry.name, "sha256": entry.sha256}]}
    with serving(tmp_path, [remote("box", guarded.url)], auth=auth, logging=LOUD) as gateway:
        wants_login(gateway)
        async with connected(gateway.url, token=token) as client:
            refused = await call(client, "box__t")
            assert "resource_metadata" not in str(refused)
            assert guarded.issuer not in str(refused)
            assert (await login(tmp_path)).returncode == 0
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
        sent = {each["authorization"] for each in guarded.seen("/mcp")}
        assert len(sent - {""}) == 1
        assert not any(token in str(each) for each in guarded.seen("/mcp"))
        assert token not in gateway.log


async def test_a_secret_of_the_keyring_gets_the_gateway_its_token_and_is_shown_nowhere(
    tmp_path: Path, guarded: LoginServer
):
    kept = await asyncio.to_thread(only1mcp, tmp_path, "secret", "set", "as/robot", given=f"{ROBOT_SECRET}\n")
    assert kept.returncode == 0, kept.stderr
    server = remote("box", guarded.url)
    server["transport"]["auth"] = {
        "grant": "client_credentials",
        "client_id": ROBOT,
        "issuer": guarded.issuer,
        "client_secret": "${keyring:as/robot}",
    }
    broken = remote("broken", guarded.url)
    broken["transport"]["headers"] = {"X-Key": "${keyring:as/nothing}"}
    with serving(tmp_path, [server, broken], logging=LOUD) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
        status = only1mcp(tmp_path, "status", "--json", "--config", config_of(tmp_path)).stdout
        rows = {row["id"]: row for row in json.loads(status)["servers"]}
        assert rows["broken"]["state"] == "disabled"
        assert (
            rows["broken"]["reason"] == "the secret as/nothing is not kept here: only1mcp secret set as/nothing"
        )
        shown = only1mcp(tmp_path, "config", "show", "--config", config_of(tmp_path))
        assert "as/robot" not in shown.stdout or shown.returncode == 0
        for text in (gateway.log, status, shown.stdout, kept.stdout, kept.stderr):
            assert ROBOT_SECRET not in text
    assert only1mcp(tmp_path, "secret", "list").stdout == "as/robot\n"
    assert only1mcp(tmp_path, "secret", "delete", "as/robot").stdout == "as/robot: deleted\n"
    assert only1mcp(tmp_path, "secret", "delete", "as/robot").returncode == 1


def test_a_secret_comes_from_stdin_and_never_from_the_arguments(tmp_path: Path):
    assert only1mcp(tmp_path, "secret", "set", "as/robot", "value").returncode == 2
    assert only1mcp(tmp_path, "secret", "set", "as/robot", given="").returncode == 2
    assert only1mcp(tmp_path, "secret", "set", "no-slash", given="value").returncode == 2
    assert only1mcp(tmp_path, "secret", "set", "../x/y", given="value").returncode == 2
    assert only1mcp(tmp_path, "secret", "list").stdout == ""


def test_a_secret_that_is_kept_under_another_key_than_those_before_is_kept_and_told(tmp_path: Path):
    assert "another key" not in only1mcp(tmp_path, "secret", "set", "a/one", given="v").stderr
    kept = only1mcp(tmp_path, "secret", "set", "b/two", given="v", ONLY1MCP_SECRET_KEY="a slip")
    assert kept.returncode == 0
    assert "Sealed with another key than this one, and not opened by it: a/one." in kept.stderr


async def test_where_there_is_a_keyring_secrets_and_logins_are_in_it_and_in_no_file(
    tmp_path: Path, guarded: LoginServer
):
    """Through the real library, with a backend of ours."""
    rings = tmp_path / "rings.json"
    env = {"PYTHON_KEYRING_BACKEND": "tests.support.file_keyring.Keyring", FILE_ENV: str(rings)}
    kept = await asyncio.to_thread(only1mcp, tmp_path, "secret", "set", "box/key", given="value-of-it", **env)
    assert kept.stdout == "box/key: kept in the keyring of the system\n", kept.stderr
    server = remote("box", guarded.url)
    server["transport"]["headers"] = {"X-Key": "${keyring:box/key}"}
    with serving(tmp_path, [server], env={**env, "XDG_STATE_HOME": str(tmp_path / "state")}) as gateway:
        logged_in = await asyncio.to_thread(
            only1mcp, tmp_path, "login", "box", "--config", config_of(tmp_path), **env
        )
        assert logged_in.returncode == 0, logged_in.stderr
        async with connected(gateway.url) as client:
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
    assert guarded.seen("/mcp")[-1]["headers"]["X-Key"] == "value-of-it"
    names = sorted(json.loads(rings.read_text()))
    assert names[0] == "box/key"
    assert [name.partition("-")[0] for name in names[1:]] == ["only1mcp"] * 3
    token = guarded.seen("/mcp")[-1]["authorization"].removeprefix("Bearer ")
    assert token in rings.read_text()
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if path.suffix == ".key" or token.encode() in path.read_bytes()]


def test_a_secret_that_is_typed_is_shown_neither_then_nor_later(tmp_path: Path):
    command = [*COMMAND, "secret", "set", "as/typed"]
    typing = pexpect.spawn(
        command[0], command[1:], cwd=str(tmp_path), env=quiet_env(tmp_path), encoding="utf-8"
    )
    typing.logfile_read = shown = StringIO()
    for words in ("Secret:", "Repeat for confirmation:"):
        typing.expect(words, timeout=30)
        typing.sendline("typed-by-a-person")
    typing.expect(pexpect.EOF, timeout=30)
    typing.close()
    assert typing.exitstatus == 0, shown.getvalue()
    assert "as/typed: kept in a sealed file" in shown.getvalue()
    assert "typed-by-a-person" not in shown.getvalue()
    assert only1mcp(tmp_path, "secret", "list").stdout == "as/typed\n"
