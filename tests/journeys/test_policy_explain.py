"""`only1mcp policy explain` as a person runs it: the rule that decides, exit codes, what nonsense is told."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mcp import Client

from only1mcp_tui.cli import only1mcp
from tests.journeys.test_changed_tools import LIST, POISONED, READ, House, shows
from tests.support.gateway_process import COMMAND, remote, serving, write_config
from tests.support.minting_server import minting
from tests.support.processes import quiet_env
from tests.support.recorded import transport_to
from tests.support.wire import ask, connected, once_listed

SHA = "ab" * 32
PROFILES = {
    "review": {"servers": ["box"], "tools": {"deny": ["*_m2"]}, "resources": {"deny": ["doc://m2/*"]}},
    "ops": {},
}
TOKENS = [
    {"name": "ci", "sha256": SHA, "profile": "review"},
    {"name": "root", "sha256": "cd" * 32},
    {"name": "ops", "sha256": "ef" * 32, "profile": "review"},
]
SERVERS = [
    remote("box", "http://127.0.0.1:9/mcp", tools={"deny": ["gone"]}),
    remote("dark", "http://127.0.0.1:9/mcp", enabled=False),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_config(tmp_path, SERVERS, profiles=PROFILES, auth={"tokens": TOKENS})
    return tmp_path


def explain(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "policy", "explain", *arguments],
        cwd=folder,
        env=quiet_env(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def quick(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The same without a process of its own, which most cases need not have."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("ONLY1MCP_CONFIG", raising=False)
    return lambda *arguments: CliRunner().invoke(only1mcp, ["policy", "explain", *arguments])


def explained(folder: Path, *arguments: str) -> Any:
    done = explain(folder, "--json", *arguments)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["allowed"] else 1)
    return found


@pytest.mark.parametrize(
    ("arguments", "first", "code"),
    [
        (("tools/call", "box__t_m2", "--as", "ci"), "denied by profiles.review.tools.deny[0] (*_m2)", 1),
        (("tools/call", "box__t_m1", "--as", "ci"), "allowed by profiles.review.tools.allow[0] (*)", 0),
        (
            ("tools/call", "dark__x", "--as", "review"),
            "denied by profiles.review.servers: none of its globs fits",
            1,
        ),
        (("tools/call", "box__gone", "--as", "root"), "denied by servers.box.tools.deny[0] (gone)", 1),
        (("tools/call", "box__t_m2", "--as", "root"), "allowed by servers.box.tools.allow[0] (*)", 0),
        (("tools/call", "box__t_m2"), "allowed by servers.box.tools.allow[0] (*)", 0),
        (("tools/call", "nobody__x"), "denied: nobody has such a name", 1),
        (("prompts/get", "box__p"), "allowed by everything", 0),
        (
            ("resources/read", "doc://m1/%2e/../../m2/x", "--as", "ci"),
            "denied by profiles.review.resources: what this URI means to its server cannot be known",
            1,
        ),
        (
            ("resources/read", "doc://m2/x", "--as", "profile:review"),
            "denied by profiles.review.resources.deny[0] (doc://m2/*)",
            1,
        ),
        (
            ("resources/read", "doc://m1/x", "--as", "review", "--server", "dark"),
            "denied by profiles.review.servers: none of its globs fits",
            1,
        ),
        (
            ("completion/complete", "doc://m2/{name}", "--as", "token:ops"),
            "denied by profiles.review.resources.deny[0] (doc://m2/*)",
            1,
        ),
        (("tools/call", "box__t_m2", "--as", "profile:ops"), "allowed by profiles.ops.tools.allow[0] (*)", 0),
    ],
)
def test_the_deciding_rule_comes_first_and_the_exit_code_says_the_same(
    quick: Callable[..., Result], arguments: tuple[str, ...], first: str, code: int
):
    done = quick(*arguments)
    assert (done.stdout.splitlines()[0], done.exit_code, done.stderr) == (first, code, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tools/call", "x", "--as", "revue"), "is no token and no profile"),
        (("tools/call", "x", "--as", "token:review"), "is no token and no profile"),
        (("tools/call", "x", "--as", "profile:ci"), "is no token and no profile"),
        (("tools/call", "x", "--as", ""), "is no token and no profile"),
        (("tools/call", "x", "--as", "ops"), "say token:ops or profile:ops"),
        (("tools/list", "x"), "the methods are tools/call"),
        (("TOOLS/CALL", "x"), "the methods are tools/call"),
        (("tools/call",), "Missing argument 'NAME'"),
        ((), "Missing argument 'METHOD'"),
        (("tools/call", ""), "1 to 8192 characters"),
        (("tools/call", "x" * 8193), "1 to 8192 characters"),
        (("resources/read", "x", "--server", "bx"), "There is no server 'bx'"),
        (("tools/call", "x", "y"), "unexpected extra argument"),
        (("--config", "nowhere.yaml", "tools/call", "x"), "nowhere.yaml"),
    ],
)
def test_wrong_use_is_exit_code_2_and_says_what_is_right(
    quick: Callable[..., Result], arguments: tuple[str, ...], words: str
):
    done = quick(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tools/call", "box__t_m1", "--as", "ci"), 0, "allowed by profiles.review.tools.allow[0]"),
        (("tools/call", "box__t_m2", "--as", "ci"), 1, "denied by profiles.review.tools.deny[0]"),
        (("tools/call", "x", "--as", "token:nobody"), 2, "no token and no profile"),
        (("tools/call", "x", "--as", "profile:nobody"), 2, "no token and no profile"),
        (("tools/kall", "x"), 2, "the methods are"),
        (("tools/call",), 2, "Missing argument"),
    ],
)
def test_a_real_process_says_the_same_and_ends_with_that_code(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
):
    done = explain(folder, *arguments)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True)
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) is (code != 2)


def test_a_configuration_with_a_fault_explains_nothing(folder: Path):
    (folder / "only1mcp.yaml").write_text("version: 1\nprofiles: {review: {promts: {}}}\n")
    done = explain(folder, "tools/call", "x", "--as", "review")
    assert (done.returncode, done.stdout) == (2, "")
    assert "profiles.review.promts" in done.stderr


def test_without_a_configuration_there_is_nothing_to_explain(tmp_path: Path):
    done = explain(tmp_path, "tools/call", "x")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("name", ["box__\x1b]52;c;aGk=\x07", "box__\u202efdp", "box__a\nallowed by everything"])
def test_a_name_does_nothing_to_the_terminal(folder: Path, name: str):
    done = explain(folder, "tools/call", name, "--as", "ci")
    assert done.stdout.startswith("allowed by profiles.review.tools.allow[0] (*)\n")
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert done.stdout.count("\n") == 3
    assert explained(folder, "tools/call", name, "--as", "ci")["name"] == name


def test_what_is_switched_off_or_shortened_is_said_beside_the_rule(folder: Path):
    assert "dark is switched off" in " ".join(explained(folder, "tools/call", "dark__x")["notes"])
    shortened = explained(folder, "tools/call", "box__" + "x" * 30 + "-0a1b2c")
    assert "looks shortened" in " ".join(shortened["notes"])


@pytest.mark.requirement("A09")
async def test_what_it_says_that_a_client_is_told_is_what_a_client_is_told(tmp_path: Path):
    async with minting(1, 2) as box:
        servers = [remote("box", box.url), remote("dark", box.url)]
        with serving(tmp_path, servers, profiles={"review": PROFILES["review"]}) as gateway:
            async with connected(gateway.url) as everyone:
                await once_listed(everyone, "box__t_m2")
            async with connected(f"{gateway.url}/review") as client:
                for method, name, params in (
                    ("tools/call", "box__t_m2", {"name": "box__t_m2"}),
                    ("prompts/get", "dark__p_m1", {"name": "dark__p_m1"}),
                    ("resources/read", "doc://m2/main", {"uri": "doc://m2/main"}),
                ):
                    told = (await ask(client, method, params))["error"]
                    said = explained(tmp_path, method, name, "--as", "review")["error"]
                    assert {"data": None} | told == said


async def test_what_is_withheld_is_asked_of_the_gateway_that_runs(tmp_path: Path):
    house = House(tmp_path)
    arguments = ("tools/call", "files__read")
    with house.gateway() as gateway:
        async with Client(transport_to(gateway.url)) as client:
            await shows(client, "files__list", "files__read")
            assert "does not withhold it" in " ".join(explained(tmp_path, *arguments)["notes"])
            house.says(POISONED, LIST)
            await shows(client, "files__list")
            found = explained(tmp_path, *arguments)
            assert (found["allowed"], found["rule"]) == (False, "servers.files.on_change")
            assert found["error"]["message"] == "Unknown tool: files__read"
            # It is there, as the gateway has just said.
            assert len(found["notes"]) == 1 and "withheld until it is approved" in found["notes"][0]
            house.says(READ, LIST)
            await shows(client, "files__list", "files__read")
    found = explained(tmp_path, *arguments)
    assert found["allowed"]
    assert "no gateway answers" in " ".join(found["notes"])
