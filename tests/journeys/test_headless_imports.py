"""Headless means headless: the process that serves has loaded nothing that draws."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import quiet_env

SCRIPT = """
import atexit, sys
drawing = ("textual", "rich", "plotext")
atexit.register(lambda: print(sorted({name.partition(".")[0] for name in sys.modules} & set(drawing))))
sys.argv = ["only1mcp", *sys.argv[1:]]
from only1mcp_tui.__main__ import main
main()
"""


@pytest.mark.parametrize("options", [["--headless"], []], ids=["asked for", "without a terminal"])
def test_a_headless_gateway_loads_no_textual(tmp_path: Path, options: list[str]):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *options, "--demo", "--port", "0"],
        cwd=tmp_path,
        env=quiet_env(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "serving http" in line:
            break
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(said) + rest
    assert out == "[]\n"
    assert ("no terminal on stdout" in said[0]) == (not options)
