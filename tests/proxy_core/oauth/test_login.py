"""A login from end to end inside one process: the servers are others', and some of them hostile."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from proxy_core.config.load import load
from proxy_core.control import LoggedOut
from proxy_core.errors import BackendAuthRequired, BackendFault, LoginFailed, UnknownReplica
from proxy_core.logging_in import log_in
from proxy_core.oauth import revoking
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import ServerRow, ServerState
from tests.support.gateway_process import remote, write_config
from tests.support.login_server import (
    RESOURCE_METADATA,
    ROBOT,
    ROBOT_SECRET,
    SERVER_METADATA,
    LoginServer,
    login_server,
)
from tests.support.processes import free_port
from tests.support.wire import comes_true

Json = dict[str, Any]


@pytest.fixture
def guarded() -> Iterator[LoginServer]:
    with login_server() as server:
        yield server


@asynccontextmanager
async def gateway(folder: Path, *servers: Json) -> AsyncIterator[Proxy]:
    path = write_config(folder, servers)
    proxy = Proxy(load(path, {"HOME": str(folder)}), listen=False)
    async with proxy.started():
        assert await proxy.wait_ready(20)
        yield proxy


def box(guarded: LoginServer, **login: Any) -> Json:
    server = remote("box", guarded.url)
    if login:
        server["transport"]["auth"] = login
    return server


def row(proxy: Proxy) -> ServerRow:
    return proxy.snapshot().servers[0]


def visit(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


async def person(proxy: Proxy, server: str = "box", timeout_s: float = 20) -> list[str]:
    """Logs in; what the browser was shown at the end. Raises: LoginFailed."""
    shown: list[asyncio.Future[str]] = []
    loop = asyncio.get_running_loop()
    try:
        await log_in(proxy, server, lambda url: shown.append(loop.run_in_executor(None, visit, url)), timeout_s)
    finally:
        pages = await asyncio.gather(*shown, return_exceptions=True)
    return [str(page) for page in pages]


async def call(proxy: Proxy) -> str:
    return str((await proxy.call("box__t", {}))["content"][0]["text"])


def grants(guarded: LoginServer, kind: str) -> list[Json]:
    return [each for each in guarded.seen("/token") if each["form"].get("grant_type") == kind]


async def test_the_request_for_a_login_has_all_that_the_spec_wants(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        assert row(proxy).state is ServerState.AUTH_REQUIRED
        assert row(proxy).login == "press L, or only1mcp login box"
        assert "Logged in" in (await person(proxy))[0]
        assert row(proxy).state is ServerState.HEALTHY
        assert row(proxy).login == ""
        assert await call(proxy) == "done"
    asked, given = guarded.seen("/authorize")[0]["query"], guarded.seen("/token")[0]["form"]
    wanted = {"response_type": "code", "code_challenge_method": "S256", "scope": "mcp:use"}
    assert asked == asked | wanted
    assert asked["resource"] == given["resource"] == guarded.url
    assert asked["redirect_uri"] == given["redirect_uri"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])
    assert len(asked["state"]) >= 40
    registered = guarded.seen("/register")[0]["json"]
    assert registered["application_type"] == "native"
    assert registered["token_endpoint_auth_method"] == "none"


async def test_a_login_outlives_a_restart_and_ends_with_a_logout(tmp_path: Path, guarded: LoginServer):
    server = box(guarded, redirect_port=free_port())
    async with gateway(tmp_path, server) as proxy:
        await person(proxy)
    async with gateway(tmp_path, server) as proxy:
        assert row(proxy).state is ServerState.HEALTHY
        assert await call(proxy) == "done"
        assert (await proxy.logout("box")).was_in
        await comes_true(lambda: row(proxy).state is ServerState.AUTH_REQUIRED, "it wants a login again")
        assert not (await proxy.logout("box")).was_in
    async with gateway(tmp_path, server) as proxy:
        assert row(proxy).state is ServerState.AUTH_REQUIRED
        await person(proxy)
    # Known there already.
    assert len(guarded.seen("/register")) == 1


# --- logging out ----------------------------------------------------------------------------------------------


async def test_a_logout_revokes_both_tokens_at_the_authorization_server(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        assert await call(proxy) == "done"
        given = guarded.seen("/mcp")[-1]["authorization"].removeprefix("Bearer ")
        assert guarded.taken(given)
        assert (await proxy.logout("box")) == LoggedOut(was_in=True)
        asked = [each["form"] for each in guarded.seen("/revoke")]
        assert [form["token_type_hint"] for form in asked] == ["refresh_token", "access_token"]
        assert asked[1]["token"] == given
        # As the client that it is there, and to nobody else.
        assert all(form["client_id"].startswith("client-") for form in asked)
        assert not any(guarded.taken(form["token"]) for form in asked)
        await comes_true(lambda: row(proxy).state is ServerState.AUTH_REQUIRED, "it wants a login again")
        assert (await proxy.logout("box")) == LoggedOut(was_in=False)
        assert len(guarded.seen("/revoke")) == 2


async def test_so_does_that_of_the_gateway_itself(tmp_path: Path, guarded: LoginServer):
    own = {"grant": "client_credentials", "issuer": guarded.issuer, "client_id": ROBOT}
    async with gateway(tmp_path, box(guarded, **own, client_secret=ROBOT_SECRET)) as proxy:
        assert await call(proxy) == "done"
        assert (await proxy.logout("box")).note == ""
        assert [each["form"]["token_type_hint"] for each in guarded.seen("/revoke")] == ["access_token"]
        assert guarded.seen("/revoke")[0]["authorization"].startswith("Basic ")


@pytest.mark.requirement("A07")
@pytest.mark.parametrize(
    ("rules", "answer", "words"),
    [
        ({"metadata": {"revocation_endpoint": None}}, {}, "has no way to be told"),
        ({"metadata": {"revocation_endpoint": "http://169.254.169.254/revoke"}}, {}, "not HTTPS"),
        ({"metadata": {"revocation_endpoint": "https://10.1.2.3/revoke"}}, {}, "may not be asked"),
        ({"metadata": {"revocation_endpoint": "file:///etc/passwd"}}, {}, "a URL that is none"),
        ({}, {"status": 503, "json": {}}, "HTTP status 503"),
        ({}, {"status": 307, "location": "http://169.254.169.254/", "json": {}}, "redirects"),
        ({}, {"status": 401, "json": {"error": "invalid_client"}}, "invalid_client"),
        ({}, {"status": 400, "json": {"error": "\x1b[31mred"}}, "HTTP status 400"),
        ({}, {"delay_s": 2, "json": {}}, "took longer than"),
    ],
)
async def test_a_logout_that_cannot_be_told_forgets_the_tokens_all_the_same_and_says_so(
    tmp_path: Path,
    guarded: LoginServer,
    rules: Json,
    answer: Json,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(revoking, "REVOKE_S", 0.5)
    guarded.rules(**rules)
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        if answer:
            guarded.says("/revoke", **answer)
        ended = await proxy.logout("box")
        assert ended.was_in
        assert words in ended.note and "until they expire" in ended.note
        assert f"box: logged out, but {ended.note}" in caplog.text
        assert "\x1b" not in ended.note
        await comes_true(lambda: row(proxy).state is ServerState.AUTH_REQUIRED, "it wants a login again")
    # Nor does the next run find any.
    async with gateway(tmp_path, box(guarded)) as proxy:
        assert row(proxy).state is ServerState.AUTH_REQUIRED


async def test_where_access_tokens_cannot_be_revoked_the_other_one_is_enough(
    tmp_path: Path, guarded: LoginServer
):
    guarded.says("/revoke", status=400, json={"error": "unsupported_token_type"}, only="access_token")
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        assert (await proxy.logout("box")).note == ""
        assert len(guarded.seen("/revoke")) == 2


# --- tokens that end ------------------------------------------------------------------------------------------


@pytest.mark.requirement("A10")
@pytest.mark.parametrize("hints", [{"readOnlyHint": True}, {"destructiveHint": True, "idempotentHint": False}])
async def test_a_token_is_renewed_once_however_many_are_refused_whatever_the_tool_says_of_itself(
    tmp_path: Path, guarded: LoginServer, hints: Json
):
    guarded.rules(hints=hints)
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        guarded.revoke("access")
        assert await asyncio.gather(*(call(proxy) for _ in range(20))) == ["done"] * 20
        assert len(grants(guarded, "refresh_token")) == 1
        # What is renewed is used once: the next one has to be the new one.
        guarded.revoke("access")
        assert await call(proxy) == "done"
        first, second = (each["form"]["refresh_token"] for each in grants(guarded, "refresh_token"))
        assert first != second


async def test_gateways_that_share_a_login_take_over_what_one_of_them_got(tmp_path: Path, guarded: LoginServer):
    """As when each AI client starts an `only1mcp stdio` of its own. Refresh tokens are good for one use."""
    async with gateway(tmp_path, box(guarded)) as first, gateway(tmp_path, box(guarded)) as second:
        await person(first)
        await comes_true(lambda: row(second).state is ServerState.HEALTHY, "the other one has it too")
        for _ in range(2):
            guarded.revoke("access")
            assert await call(first) == "done"
            assert await call(second) == "done"
        assert len(grants(guarded, "refresh_token")) == 2
        # What has ended for one has not for the other, until it has.
        guarded.revoke("access", "refresh")
        for proxy in (first, second):
            with pytest.raises(BackendAuthRequired):
                await call(proxy)
        await person(second)
        await comes_true(lambda: row(first).state is ServerState.HEALTHY, "the other one has it too")


async def test_a_renewal_that_fails_for_a_while_is_no_end_of_the_login(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        guarded.revoke("access")
        guarded.says("/token", status=503, json={})
        with pytest.raises(BackendFault) as caught:
            await call(proxy)
        assert not isinstance(caught.value, BackendAuthRequired)
        guarded.says("/token")
        assert await call(proxy) == "done"
        assert row(proxy).login == ""


async def test_a_call_that_wants_more_scopes_is_answered_after_a_wider_login(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(tool_scope="mcp:write")
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        with pytest.raises(BackendAuthRequired, match="wider login"):
            await call(proxy)
        # The rest of the server goes on.
        assert row(proxy).state is ServerState.HEALTHY
        assert row(proxy).login.startswith("it wants the scopes mcp:write: press L")
        await person(proxy)
        assert row(proxy).login == ""
        assert await call(proxy) == "done"
    assert guarded.seen("/authorize")[-1]["query"]["scope"] == "mcp:use mcp:write"


async def test_a_server_that_is_never_content_is_not_logged_in_at_for_ever(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(tool_scope="mcp:write", grants_tool_scope=False)
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        for _ in range(2):
            with pytest.raises(BackendAuthRequired):
                await call(proxy)
            assert row(proxy).login
            await person(proxy)
        with pytest.raises(BackendAuthRequired) as caught:
            await call(proxy)
        assert caught.value.detail == "it refuses for want of scopes that it was given: mcp:write"
        assert row(proxy).login == ""


async def test_the_gateway_gets_its_own_token_with_a_secret_of_the_configuration(
    tmp_path: Path, guarded: LoginServer
):
    login = {"grant": "client_credentials", "client_id": ROBOT, "issuer": guarded.issuer}
    async with gateway(tmp_path, box(guarded, **login, client_secret=ROBOT_SECRET)) as proxy:
        assert row(proxy).state is ServerState.HEALTHY
        assert await call(proxy) == "done"
        guarded.revoke("access")
        assert await call(proxy) == "done"
        with pytest.raises(LoginFailed, match="nobody is needed"):
            await person(proxy)
    assert {each["authorization"].partition(" ")[0] for each in guarded.seen("/token")} == {"Basic"}
    assert len(grants(guarded, "client_credentials")) == 2


async def test_scopes_that_the_gateways_own_token_lacked_are_asked_for_from_then_on(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(tool_scope="mcp:write")
    login = {"grant": "client_credentials", "client_id": ROBOT, "issuer": guarded.issuer}
    async with gateway(tmp_path, box(guarded, **login, client_secret=ROBOT_SECRET)) as proxy:
        assert await call(proxy) == "done"
        for _ in range(3):
            guarded.revoke("access")
            assert await call(proxy) == "done"
    scopes = [each["form"]["scope"] for each in grants(guarded, "client_credentials")]
    assert scopes == ["mcp:use", *["mcp:use mcp:write"] * 4]


async def test_a_token_for_another_resource_is_given_up_after_one_more_try(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(resource="https://another.example/mcp")
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        assert row(proxy).state is ServerState.AUTH_REQUIRED
        assert row(proxy).login.startswith("it refuses the login that it was just given: press L")
        tries = len(guarded.seen("/token"))
        await asyncio.sleep(1.5)
        assert len(guarded.seen("/token")) == tries <= 3


async def test_the_token_of_one_server_is_not_sent_to_another_of_the_same_issuer(tmp_path: Path):
    with login_server() as first, login_server() as second:
        document = {"resource": second.url, "authorization_servers": [first.issuer]}
        second.says(RESOURCE_METADATA, json=document)
        async with gateway(tmp_path, box(first), {**box(second), "id": "other"}) as proxy:
            await person(proxy)
            assert proxy.snapshot().servers[1].state is ServerState.AUTH_REQUIRED
        token = first.seen("/mcp")[-1]["authorization"]
        assert token.startswith("Bearer ")
        assert all(each["authorization"] == "" for each in second.seen("/mcp"))


async def test_another_issuer_gets_nothing_that_was_the_first_ones(tmp_path: Path):
    with login_server() as first, login_server() as second:
        async with gateway(tmp_path, box(first)) as proxy:
            await person(proxy)
            old = first.seen("/token")[0]["form"] | first.seen("/authorize")[0]["query"]
            first.says(
                RESOURCE_METADATA, json={"resource": first.url, "authorization_servers": [second.issuer]}
            )
            first.revoke("access", "refresh")
            with suppress(BackendFault):
                await call(proxy)
            await comes_true(lambda: row(proxy).state is ServerState.AUTH_REQUIRED, "the login is over")
            # The first server does not know the second one's tokens: what matters is what the second one sees.
            await person(proxy)
        seen = [*second.seen("/register"), *second.seen("/authorize"), *second.seen("/token")]
        assert seen
        text = str(seen)
        assert old["client_id"] not in text
        assert old["code"] not in text


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"metadata": {"code_challenge_methods_supported": None}}, "PKCE"),
        ({"metadata": {"code_challenge_methods_supported": ["plain"]}}, "PKCE"),
        ({"metadata": {"issuer": "https://evil.example"}}, "another issuer's"),
        ({"metadata": {"authorization_endpoint": "javascript:alert(1)"}}, "a URL that is none"),
        ({"metadata": {"authorization_endpoint": "http://evil.example/in"}}, "not HTTPS"),
        ({"metadata": {"authorization_endpoint": None}}, "no page"),
        ({"metadata": {"registration_endpoint": "http://169.254.169.254/register"}}, "not HTTPS"),
        ({"metadata": {"registration_endpoint": "https://10.1.2.3/register"}}, ": 10.1.2.3 may not be asked"),
        ({"metadata": {"token_endpoint_auth_methods_supported": ["tls_client_auth"]}}, "none of the ways"),
        ({"registers": False}, "client_id"),
    ],
)
async def test_an_authorization_server_that_does_not_keep_the_rules_is_not_logged_in_at(
    tmp_path: Path, guarded: LoginServer, rules: Json, words: str
):
    guarded.rules(**rules)
    async with gateway(tmp_path, box(guarded)) as proxy:
        with pytest.raises(LoginFailed, match=words):
            await person(proxy)
        assert row(proxy).state is ServerState.AUTH_REQUIRED
    assert guarded.seen("/authorize") == []
    assert guarded.seen("/token") == []
    if words == "PKCE":
        assert guarded.seen("/register") == []


@pytest.mark.parametrize("iss", ["https://evil.example", "{}/", None])
async def test_a_code_is_sent_to_nobody_if_the_answer_is_not_the_issuers(
    tmp_path: Path, guarded: LoginServer, iss: str | None
):
    guarded.rules(iss=iss.format(guarded.issuer) if iss else None)
    async with gateway(tmp_path, box(guarded)) as proxy:
        with pytest.raises(LoginFailed, match="answer"):
            await person(proxy)
    assert guarded.seen("/authorize")
    assert guarded.seen("/token") == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"json": {"access_token": "a\r\nX-Injected: y", "token_type": "Bearer"}}, "gave no token"),
        ({"json": {"access_token": "ünïcode", "token_type": "Bearer"}}, "gave no token"),
        ({"json": {"access_token": "good", "token_type": "DPoP"}}, "no bearer token"),
        ({"json": {"access_token": ["good"], "token_type": "Bearer"}}, "gave no token"),
        ({"json": ["good"]}, "gave no token"),
        ({"size": 2_000_000}, "its answer is larger than 1048576 bytes"),
        ({"status": 400, "json": {"error": "invalid_grant"}}, "invalid_grant"),
        ({"status": 400, "json": {"error": "\x1b[31mred"}}, "HTTP status 400"),
        ({"status": 307, "location": "http://169.254.169.254/", "json": {}}, "redirects"),
    ],
)
async def test_an_answer_with_a_token_is_believed_only_as_far_as_it_can_be_sent(
    tmp_path: Path, guarded: LoginServer, answer: Json, words: str
):
    guarded.says("/token", **answer)
    async with gateway(tmp_path, box(guarded)) as proxy:
        with pytest.raises(LoginFailed, match=words) as caught:
            await person(proxy)
        assert "\x1b" not in caught.value.message
    assert all("x-injected" not in str(each["headers"]).lower() for each in guarded.seen("/mcp"))


async def test_a_registration_that_was_dropped_there_is_made_anew_once_a_login(
    tmp_path: Path, guarded: LoginServer
):
    async with gateway(tmp_path, box(guarded)) as proxy:
        guarded.says("/token", status=401, json={"error": "invalid_client"})
        for times in (1, 2):
            with pytest.raises(LoginFailed, match="invalid_client"):
                await person(proxy)
            assert len(guarded.seen("/register")) == times
        guarded.says("/token")
        await person(proxy)
        assert len(guarded.seen("/register")) == 3
        assert row(proxy).state is ServerState.HEALTHY


async def test_only_the_answer_to_this_login_is_taken_and_only_once(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        begun = await proxy.begin_login("box", "http://127.0.0.1:9/callback")
        state = parse_qs(urlsplit(begun.url).query)["state"][0]
        assert begun.state == state
        with pytest.raises(LoginFailed, match="no login that is under way"):
            await proxy.finish_login("box", {"state": "another", "code": "c", "iss": guarded.issuer})
        with pytest.raises(LoginFailed, match="did not let us in: access_denied"):
            await proxy.finish_login("box", {"state": state, "error": "access_denied", "iss": guarded.issuer})
        with pytest.raises(LoginFailed, match="no login that is under way"):
            await proxy.finish_login("box", {"state": state, "code": "c", "iss": guarded.issuer})
        for elsewhere in ("https://evil.example/cb", "http://10.0.0.1:80/cb", "http://127.0.0.1:9/cb#x", ""):
            with pytest.raises(LoginFailed, match="come back to a port of this machine"):
                await proxy.begin_login("box", elsewhere)
    assert guarded.seen("/token") == []


@pytest.mark.requirement("A11")
async def test_logins_that_nobody_ends_do_not_pile_up(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        begun = [await proxy.begin_login("box", "http://127.0.0.1:9/callback") for _ in range(6)]
        given = {"error": "access_denied", "iss": guarded.issuer}
        for old in begun[:2]:
            with pytest.raises(LoginFailed, match="no login that is under way"):
                await proxy.finish_login("box", {"state": old.state, **given})
        for new in begun[2:]:
            with pytest.raises(LoginFailed, match="access_denied"):
                await proxy.finish_login("box", {"state": new.state, **given})
    assert len(guarded.seen("/register")) == 1


async def test_no_token_is_sent_over_a_line_that_everybody_can_read(tmp_path: Path):
    async with gateway(tmp_path, remote("box", "http://mcp.example/mcp", enabled=False)) as proxy:
        with pytest.raises(LoginFailed, match="not HTTPS"):
            await proxy.begin_login("box", "http://127.0.0.1:9/callback")


async def test_what_comes_to_the_port_of_a_login_beside_its_answer_gets_nothing(
    tmp_path: Path, guarded: LoginServer
):
    async with gateway(tmp_path, box(guarded)) as proxy:
        urls: list[str] = []
        login = asyncio.create_task(log_in(proxy, "box", urls.append, 20))
        await comes_true(lambda: urls, "the page to log in at is known")
        back = parse_qs(urlsplit(urls[0]).query)["redirect_uri"][0]
        for path in ("", "?code=c&state=wrong", "?" + "x" * 40_000, "/else?state=x"):
            with pytest.raises((HTTPError, OSError)):
                await asyncio.to_thread(visit, back + path)
        assert not login.done()
        assert "Logged in" in await asyncio.to_thread(visit, urls[0])
        await login


async def test_nobody_is_waited_for_for_ever(tmp_path: Path, guarded: LoginServer):
    async with gateway(tmp_path, box(guarded)) as proxy:
        with pytest.raises(LoginFailed, match=r"Nobody logged in within 0\.2 seconds"):
            await log_in(proxy, "box", lambda url: None, 0.2)


@pytest.mark.requirement("A12")
async def test_no_log_line_holds_a_token_a_code_or_a_secret(
    tmp_path: Path, guarded: LoginServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    login = {"client_id": ROBOT, "issuer": guarded.issuer, "client_secret": ROBOT_SECRET}
    async with gateway(tmp_path, box(guarded, **login, grant="client_credentials")) as proxy:
        await call(proxy)
    async with gateway(tmp_path, box(guarded)) as proxy:
        await person(proxy)
        await call(proxy)
        guarded.revoke("access")
        await call(proxy)
        guarded.revoke("access", "refresh")
        with pytest.raises(BackendAuthRequired):
            await call(proxy)
    forms = [each["form"] for each in guarded.seen("/token")]
    secrets = {form[key] for form in forms for key in ("code", "code_verifier", "refresh_token") if key in form}
    secrets |= {each["authorization"].partition(" ")[2] for each in guarded.seen("/mcp")} - {""}
    secrets |= {each["query"]["state"] for each in guarded.seen("/authorize")} | {ROBOT_SECRET}
    assert len(secrets) > 5
    assert not [secret for secret in secrets if secret in caplog.text]


async def test_a_server_that_asks_for_something_else_than_a_token_is_not_logged_in_at(
    tmp_path: Path, guarded: LoginServer
):
    guarded.says("/mcp", status=401, json={})
    async with gateway(tmp_path, box(guarded)) as proxy:
        assert "are the headers right?" in row(proxy).reason
    server = box(guarded)
    server["transport"]["headers"] = {"Authorization": "Bearer configured"}
    async with gateway(tmp_path, server) as proxy:
        assert row(proxy).reason == "it answered 401: check the headers in its config"
        with pytest.raises(LoginFailed, match="has an Authorization header, which says who asks"):
            await person(proxy)
        with pytest.raises(UnknownReplica, match="has no replica 'nope'"):
            await proxy.logout("box/nope")
    async with gateway(tmp_path, box(guarded, type="none")) as proxy:
        assert row(proxy).login == ""
        with pytest.raises(LoginFailed, match="says `auth: none`"):
            await person(proxy)
    assert guarded.seen(SERVER_METADATA) == []
