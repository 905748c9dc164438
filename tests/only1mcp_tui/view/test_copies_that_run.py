"""What is copied is run: curl commands and a Python program, in either era, against a real gateway."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from only1mcp_tui.view.curl import curl_text
from only1mcp_tui.view.python_snippet import python_text
from tests.support.exchanges import LEGACY, MODERN, plain_detail
from tests.support.fake_control import exchange_row
from tests.support.gateway_process import serving, stdio

QUOTES = 'it\'s "quoted" $HOME `id` \\ 日本 \u2028'
TOKEN = "o1-secret"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    notes = [sys.executable, "-m", "proxy_core.demo.notes"]
    folder = tmp_path_factory.mktemp("gateway")
    with serving(folder, [stdio("notes", notes)], env={"XDG_RUNTIME_DIR": str(folder)}) as gateway:
        yield gateway.url


def detail_of(era: str, method: str = "tools/call", target: str = "notes__add", **arguments: Any) -> Any:
    revision = MODERN if era == "modern" else LEGACY
    return plain_detail(exchange_row(7, method, target, era=era, revision=revision), None, arguments)


def run(command: list[str], text: str) -> str:
    env = {"PATH": os.environ["PATH"], "ONLY1MCP_TOKEN": TOKEN}
    done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def last_message(said: str) -> Any:
    """The last JSON message of what curl printed, an event stream or not."""
    lines = [line.removeprefix("data: ") for line in said.split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")][-1]


@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_curl_commands_of_a_call_make_it_again(era: str, shell: str, url: str) -> None:
    answer = last_message(run([shell], curl_text(detail_of(era, text=QUOTES), url)))
    assert not answer["result"].get("isError"), answer
    # The text came through two kinds of quotes unharmed.
    assert answer["result"]["structuredContent"]["text"] == QUOTES


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_curl_commands_of_a_list_give_the_list(era: str, url: str) -> None:
    answer = last_message(run(["sh"], curl_text(detail_of(era, "tools/list", ""), url)))
    assert "notes__add" in [tool["name"] for tool in answer["result"]["tools"]]


def test_the_curl_command_of_a_handshake_makes_one(url: str) -> None:
    text = curl_text(detail_of("legacy", "initialize", ""), url)
    assert last_message(run(["sh"], text))["result"]["protocolVersion"] == LEGACY


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_python_program_of_a_call_makes_it_again(era: str, url: str) -> None:
    text = python_text(detail_of(era, text=QUOTES), url)
    answer = json.loads(run([sys.executable, "-"], text))
    assert not answer.get("isError"), answer
    assert answer["structuredContent"]["text"] == QUOTES
