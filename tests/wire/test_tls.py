"""HTTPS on the listener: certificates that are renewed while it runs, and clients that need one."""

import asyncio
import shutil
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy_core.admin_client import AdminClient
from proxy_core.config.auth import TlsConfig
from proxy_core.config.models import Config, ProxyConfig
from proxy_core.control_client import GatewayClient
from proxy_core.errors import CertificateRefused, GatewayUnreachable, TlsUnusable
from proxy_core.frontend.tls import context_for
from tests.support.certificates import Authority
from tests.support.http_client import SOON_S, Client, modern
from tests.support.scripted_channel import until

BOTH_PATHS = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def tls_of(files: tuple[Path, Path], **more: Any) -> TlsConfig:
    return TlsConfig(certificate=str(files[0]), key=str(files[1]), **more)


async def tools(url: str, context: ssl.SSLContext) -> int:
    """The status of a request on a connection of its own."""
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=SOON_S)) as http:
        return int((await Client(http, url).ask("tools/list")).status)


@BOTH_PATHS
async def test_both_eras_are_served_over_https_and_plain_http_is_not(serving: Any, authority: Authority):
    async with serving(tls=tls_of(authority.issue("gw"))) as frontend:
        assert frontend.url.startswith("https://127.0.0.1:")
        connector = aiohttp.TCPConnector(ssl=authority.trusting())
        async with aiohttp.ClientSession(connector=connector) as http:
            client = Client(http, frontend.url)
            for _ in range(3):
                assert (await client.ask("tools/list")).status == 200
            assert (await client.initialize()).status == 200
            # GET leaves the fast path, on the connection that is open.
            listening = client.legacy_headers(Accept="text/event-stream", Content_Type=None)
            async with client.stream("GET", headers=listening):
                assert frontend.stream_count == 1
            body, headers = modern("tools/list", {"padding": "x" * 300_000})
            assert (await client.send("POST", body, headers=headers)).status == 200
            with pytest.raises(aiohttp.ClientError):
                await Client(http, frontend.url.replace("https", "http")).ask("tools/list")


async def test_a_client_without_a_certificate_of_the_right_authority_does_not_get_in(
    serving: Any, authority: Authority, tmp_path: Path
):
    other = Authority(tmp_path, "other")
    tls = tls_of(authority.issue("gw"), client_ca=str(authority.path))
    async with serving(tls=tls) as frontend:
        assert await tools(frontend.url, authority.trusting(authority.issue("ann"))) == 200
        for context in (authority.trusting(), authority.trusting(other.issue("eve"))):
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await tools(frontend.url, context)


async def test_certificates_that_are_renewed_are_served_at_once_and_open_connections_go_on(
    serving: Any, authority: Authority, tmp_path: Path
):
    newer = Authority(tmp_path, "newer")
    files = authority.issue("gw")
    async with serving(tls=tls_of(files)) as frontend:
        connector = aiohttp.TCPConnector(ssl=authority.trusting())
        async with aiohttp.ClientSession(connector=connector) as http:
            open_before = Client(http, frontend.url)
            assert (await open_before.ask("tools/list")).status == 200
            for new, old in zip(newer.issue("renewed"), files, strict=True):
                shutil.copy(new, old)

            async def is_renewed() -> bool:
                try:
                    return await tools(frontend.url, newer.trusting()) == 200
                except aiohttp.ClientError:
                    return False

            async with asyncio.timeout(SOON_S):
                while not await is_renewed():
                    await asyncio.sleep(0.05)
            assert (await open_before.ask("tools/list")).status == 200
        with pytest.raises(aiohttp.ClientError):
            await tools(frontend.url, authority.trusting())


async def test_a_reload_changes_who_needs_a_certificate_and_bad_files_change_nothing(
    serving: Any, authority: Authority, caplog: pytest.LogCaptureFixture
):
    files = authority.issue("gw")
    async with serving(tls=tls_of(files)) as frontend:
        assert await tools(frontend.url, authority.trusting()) == 200

        def use(tls: TlsConfig | None) -> None:
            frontend.use(Config(proxy=ProxyConfig(tls=tls)))

        use(tls_of((files[0], files[0])))
        assert "the certificates before go on being used" in caplog.text
        assert await tools(frontend.url, authority.trusting()) == 200
        use(tls_of(files, client_ca=str(authority.path)))
        await until(lambda: not len(frontend._tasks) > 1)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await tools(frontend.url, authority.trusting())
        assert await tools(frontend.url, authority.trusting(authority.issue("ann"))) == 200
        # That takes a restart.
        use(None)
        assert await tools(frontend.url, authority.trusting(authority.issue("bob"))) == 200
        await frontend.stop_listening()
        with pytest.raises(aiohttp.ClientError):
            await tools(frontend.url, authority.trusting(authority.issue("eve")))


async def test_files_that_cannot_be_used_are_named(serving: Any, authority: Authority, tmp_path: Path):
    files = authority.issue("gw")
    for tls, named in (
        (tls_of((tmp_path / "none.pem", files[1])), r"proxy\.tls\.certificate, .*none\.pem, .* No such file"),
        (tls_of((files[0], tmp_path / "none.key")), r"proxy\.tls\.key, .*none\.key, .* No such file"),
        (tls_of((files[0], authority.issue("other")[1])), "the key is not the one of this certificate"),
        (tls_of((files[0], files[0])), r"certificate and key, .*gw\.pem and .*gw\.pem, .* not in PEM form"),
        (tls_of(files, client_ca=str(files[1])), r"proxy\.tls\.client_ca, .*gw\.key, .* not in PEM form"),
    ):
        with pytest.raises(TlsUnusable, match=named):
            async with serving(tls=tls):
                pass


@pytest.mark.parametrize(
    ("days", "words"), [((-3, -1), "has expired, on 20"), ((1, 3), "clients refuse it until then")]
)
async def test_a_certificate_at_the_wrong_time_is_served_and_told(
    serving: Any, authority: Authority, caplog: pytest.LogCaptureFixture, days: tuple[int, int], words: str
):
    good, bad = authority.issue("good"), authority.issue("bad", *days)
    async with serving(tls=tls_of(good)) as frontend:
        assert caplog.text == ""
        frontend.use(Config(proxy=ProxyConfig(tls=tls_of(bad))))
        assert f"The certificate {bad[0]} " in caplog.text and words in caplog.text
    caplog.clear()
    async with serving(tls=tls_of(bad)):
        assert words in caplog.text


async def test_a_command_says_why_tls_goes_no_further(
    serving: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    async def asked(url: str) -> Exception:
        async with GatewayClient(url, None) as client:
            with pytest.raises(GatewayUnreachable) as refused:
                await client.check()
        async with AdminClient(url.removesuffix("/mcp")) as admin:
            with pytest.raises(GatewayUnreachable) as verb:
                await admin.get("status", dict)
        assert type(verb.value) is type(refused.value)
        return refused.value

    async with serving(tls=tls_of(authority.issue("gw"))) as frontend:
        distrusted = await asked(frontend.url)
        assert isinstance(distrusted, CertificateRefused)
        assert "not trusted here: unable to get local issuer" in str(distrusted)
        assert "SSL_CERT_FILE" in str(distrusted)
    # What SSL_CERT_FILE would have it trust; that is read when aiohttp is imported.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", authority.trusting())
    async with serving(tls=tls_of(authority.issue("gw2"), client_ca=str(authority.path))) as frontend:
        assert "wants certificates of its clients" in str(await asked(frontend.url))


async def test_who_connects_while_certificates_change_is_served(serving: Any, authority: Authority):
    async with serving(tls=tls_of(authority.issue("gw"))) as frontend:
        renewed = context_for(frontend._config.proxy.tls)
        for _ in range(20):
            asked = [asyncio.create_task(tools(frontend.url, authority.trusting())) for _ in range(3)]
            while not all(each.done() for each in asked):
                await frontend._listener.use_tls(renewed)
                await asyncio.sleep(0)
            assert await asyncio.gather(*asked) == [200] * 3
