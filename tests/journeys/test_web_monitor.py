"""The screen over a running gateway in a real browser: drawn, steered by keys, and gone with its tab."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.browser import CHROMIUM, chromium
from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio
from tests.support.processes import SOON_S, demo_command, eventually, quiet_env


@contextmanager
def monitor(folder: Path, *arguments: str) -> Iterator[tuple[str, psutil.Process]]:
    """The link that it prints, and its process."""
    process = subprocess.Popen(
        [*COMMAND, "monitor", "--web", *arguments],
        cwd=folder,
        env=quiet_env(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=SOON_S)
        assert (process.returncode, out) == (0, ""), err


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with serving(tmp_path, [stdio("clock", demo_command("clock"))]) as gateway:
        yield gateway


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which only Linux machines are given")
async def test_a_browser_shows_the_screen_and_its_keys_steer(gateway: GatewayProcess, tmp_path: Path):
    config = str(tmp_path / "only1mcp.yaml")
    with monitor(tmp_path, "--config", config) as (link, process):
        origin = link.partition("/?")[0]
        async with chromium() as page:
            await page.open(link)
            await page.until(lambda: b"clock" in page.received and b"healthy" in page.received)

            # What came is also drawn: a terminal's text is many shades of few colours.
            async def is_drawn() -> bool:
                colours = await page.colours(await page.screenshot())
                return len(colours) > 100 and sum(colours.values()) - max(colours.values()) > 20_000

            # Drawing and looking share the processors with all the other tests.
            while not await is_drawn():
                await asyncio.sleep(0.2)
            assert await page.value("document.cookie") == ""
            assert page.problems == []
            assert {url for url in page.requests if not url.startswith(origin + "/")} == set()
            (child,) = process.children()
            assert link.partition("=")[2] not in " ".join(child.cmdline())
            await page.press("2")
            await page.until(lambda: b"says it is" in page.received)
            await page.press("d")
            await page.until(lambda: b"Drain clock?" in page.received)
            await page.press("y")
            await page.until(lambda: b"drained" in page.received)
        eventually(lambda: not process.children(), "the tab's process has left")
    assert gateway.exit_code is None


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which only Linux machines are given")
async def test_a_browser_may_be_given_the_screen_to_look_at_alone(gateway: GatewayProcess, tmp_path: Path):
    with monitor(tmp_path, "--readonly", "--config", str(tmp_path / "only1mcp.yaml")) as (link, _):
        async with chromium() as page:
            await page.open(link)
            await page.until(lambda: b"READONLY" in page.received and b"healthy" in page.received)
            await page.press("d")
            # What comes after it is drawn: the key before it was read, and asked nothing.
            await page.press("2")
            await page.until(lambda: b"says it is" in page.received)
            assert b"Drain" not in page.received


def test_a_gateway_that_is_not_there_is_said_before_anything_is_served(tmp_path: Path):
    done = subprocess.run(
        [*COMMAND, "monitor", "--web", str(tmp_path / "no.sock")],
        cwd=tmp_path,
        env=quiet_env(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no.sock: there is no such socket" in done.stderr
