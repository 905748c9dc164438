"""A terminal that goes away stops the app as SIGTERM does, and nothing hangs on writes that cannot end."""

import os
import sys
from pathlib import Path

import pexpect

APP = """
import asyncio
from only1mcp_tui.app import Only1App
from tests.support.fake_control import FakeControl

asked = asyncio.Event()

async def run():
    await asked.wait()
    await asyncio.sleep(0.3)  # a drain, during which the screen goes on painting
    open({done!r}, "w").write("drained")

Only1App(FakeControl(), run=run, stop=lambda force: asked.set()).run()
"""


def test_a_hang_up_ends_the_app_after_its_drain(tmp_path: Path) -> None:
    done = tmp_path / "done"
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = pexpect.spawn(
        sys.executable, ["-c", APP.format(done=str(done))], dimensions=(24, 80), env=environment, timeout=60
    )
    child.expect("Overview")
    os.close(child.child_fd)
    child.closed = True
    _, status = os.waitpid(child.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert done.read_text() == "drained"
