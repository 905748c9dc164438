"""Who did what, as a gateway of its own writes it down: killed, on a full disk, under load, steered."""

import asyncio
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy_core.access.audit.verifying import verify_all
from tests.support.audits import KEY, lines_of
from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio, write_config
from tests.support.http_client import Client
from tests.support.processes import eventually, quiet_env
from tests.support.wire import call, call_text, comes_true, connected, once_listed

FLAKY = stdio("flaky", (sys.executable, "-m", "proxy_core.demo.flaky"))
TOOL = "flaky__echo"
SMALL = 200_000


@contextmanager
def audited(folder: Path, env: dict[str, str] | None = None, **audit: Any) -> Iterator[GatewayProcess]:
    sections = audit.pop("sections", {})
    with serving(folder, [FLAKY], env=env, audit={"file": "log/audit.jsonl"} | audit, **sections) as gateway:
        yield gateway


def at(folder: Path) -> Path:
    return folder / "log" / "audit.jsonl"


def typed(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=quiet_env(folder) | env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def told(path: Path, kind: str = "call") -> list[dict[str, Any]]:
    older = sorted(path.parent.glob(path.name + ".[0-9]*"), key=lambda each: int(each.suffix[1:]))
    # A kill may come between the end of one file and the beginning of the next.
    there = [each for each in (*older, path) if each.exists()]
    raw = [line for each in there for line in each.read_bytes().splitlines()]
    lines = [json.loads(line) for line in raw if line.endswith(b'"}')]
    return [line for line in lines if line["kind"] == kind]


def echoed(path: Path) -> list[str | None]:
    """What was called, in the order of the lines; None where too many waited to keep what it came with."""
    lines = [line for line in told(path) if line["method"] == "tools/call"]
    assert all("arguments" in line or line["arguments_left_out"] for line in lines)
    return [line["arguments"]["text"] if "arguments" in line else None for line in lines]


def is_there_once(made: list[str], written: list[str | None]) -> bool:
    """Whether each has a line, and no two have the same."""
    known = [text for text in written if text is not None]
    # A disk that is slow now and then lets some go without; one that lets most is not what is tested.
    return len(written) == len(made) == len(set(made)) and len(set(known)) == len(known) >= len(made) / 2


async def test_an_audit_is_whole_at_any_moment_while_it_is_written(tmp_path: Path):
    with audited(tmp_path, max_bytes=65_536, keep=1000) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
            await comes_true(lambda: at(tmp_path).exists(), "the audit is there")
            load = asyncio.ensure_future(under_load(client, 1500))
            looks = 0
            while not load.done():
                report = await asyncio.to_thread(verify_all, at(tmp_path))
                assert report.is_whole, report
                looks += 1
            await load
    assert looks > 3 and verify_all(at(tmp_path)).files > 3


async def test_a_gateway_that_is_killed_in_the_middle_leaves_a_whole_audit(tmp_path: Path):
    path, answered = at(tmp_path), list[str]()
    for life in range(3):
        gateway: GatewayProcess
        with pytest.raises(AssertionError), audited(tmp_path, arguments=True, max_bytes=65_536) as gateway:
            async with connected(gateway.url) as client:
                await once_listed(client, TOOL)

                async def calls(lane: int, life: int = life, client: Any = client) -> None:
                    number = 0
                    while True:
                        text = f"{life}-{lane}-{number}"
                        await call_text(client, TOOL, {"text": text})
                        answered.append(text)
                        number += 1

                lanes = [asyncio.ensure_future(calls(lane)) for lane in range(4)]
                await comes_true(lambda many=300 * (life + 1): len(answered) > many, "there is traffic")
                gateway.signal(signal.SIGKILL)
                await asyncio.gather(*lanes, return_exceptions=True)
            gateway.wait()
            raise AssertionError("it was killed")
        report = verify_all(path)
        assert report.is_whole, report
    written = [text for text in echoed(path) if text is not None]
    assert len(written) == len(set(written))
    # What is lost is what was answered in the last moment before each kill.
    missing = [text for text in answered if text not in set(written)]
    assert len(missing) < 3 * 400
    for life in range(3):
        mine = [text for text in answered if text.startswith(f"{life}-0-")]
        kept = [text for text in mine if text in set(written)]
        assert kept == mine[: len(kept)]
    verified = typed(tmp_path, "audit", "verify")
    assert (verified.returncode, verified.stdout[:6]) == (0, "Whole:"), verified.stderr


async def under_load(client: Any, count: int, lanes: int = 8) -> list[str]:
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await call_text(client, TOOL, {"text": str(number)})

    await asyncio.gather(*(lane() for _ in range(lanes)))
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_every_call_under_load_is_there_once_and_in_order(tmp_path: Path, count: int):
    with audited(tmp_path, arguments=True, max_bytes=100_000, keep=1000) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
            made = await under_load(client, count)
    path = at(tmp_path)
    report = verify_all(path)
    assert report.is_whole and report.files > 2
    written = echoed(path)
    assert is_there_once(made, written)
    # Several are under way at once: none is further from its place than these.
    assert all(abs(int(text) - place) < 100 for place, text in enumerate(written) if text is not None)
    assert not told(path, "lost")
    assert [line["seq"] for line in told(path)] == sorted(line["seq"] for line in told(path))


def limited() -> None:
    # As a full disk: a write that would make any file longer fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


@contextmanager
def on_a_small_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, **audit: Any) -> Iterator[GatewayProcess]:
    started = subprocess.Popen.__init__

    def limiting(self: Any, *args: Any, **kwargs: Any) -> None:
        started(self, *args, **kwargs, preexec_fn=limited)

    monkeypatch.setattr(subprocess.Popen, "__init__", limiting)
    with audited(folder, **audit) as gateway:
        monkeypatch.setattr(subprocess.Popen, "__init__", started)
        yield gateway


def room_again(gateway: GatewayProcess) -> None:
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def said(gateway: GatewayProcess, words: str) -> None:
    eventually(lambda: words in gateway.log, f"it says {words!r}")


async def fill(client: Any) -> list[str]:
    """Calls until there is no room; what they said."""
    return await under_load(client, 900)


async def test_a_full_disk_open_serves_on_and_tells_all_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with on_a_small_disk(tmp_path, monkeypatch, arguments=True) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
            made = await fill(client)
            said(gateway, "the audit cannot be written")
            assert await call_text(client, TOOL, {"text": "900"}) == "900"
            room_again(gateway)
            said(gateway, "the audit is written again")
    assert is_there_once([*made, "900"], echoed(at(tmp_path)))
    assert verify_all(at(tmp_path)).is_whole
    assert at(tmp_path).stat().st_size > SMALL


async def test_a_full_disk_closed_takes_no_calls_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with on_a_small_disk(tmp_path, monkeypatch, arguments=True, on_full="closed") as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
            answers = [await call(client, TOOL, {"text": str(number)}) for number in range(900)]
            served = [number for number, answer in enumerate(answers) if "result" in answer]
            refused = [answer["error"] for answer in answers if "error" in answer]
            assert served and refused and served == list(range(len(served)))
            assert {error["code"] for error in refused} == {-32603}
            assert all(error["data"]["dev.only1mcp"]["retryable"] for error in refused)
            room_again(gateway)
            said(gateway, "the audit is written again")
            assert await call_text(client, TOOL, {"text": "900"}) == "900"
    path = at(tmp_path)
    assert echoed(path) == [*map(str, served), "900"]
    assert sum(line["count"] for line in told(path, "refused") if line["where"] == "gateway") == len(refused)
    assert verify_all(path).is_whole


async def test_whoever_steers_is_named_and_so_is_what_a_reload_changed(tmp_path: Path):
    socket = str(tmp_path / "admin.sock")
    steered = {"admin": {"socket": socket}, "reload": {"watch": False}}
    rest = {"audit": {"file": "log/audit.jsonl"}, **steered}
    with audited(tmp_path, sections=steered) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
        for verb in ("drain", "undrain"):
            done = typed(tmp_path, verb, "flaky", "--socket", socket)
            assert done.returncode == 0, done.stderr
        write_config(tmp_path, [FLAKY], **rest, auth={"tokens": [{"name": "ci", "sha256": "0" * 64}]})
        gateway.signal(signal.SIGHUP)
        eventually(lambda: told(at(tmp_path), "config"), "the file is in force")
        write_config(tmp_path, [FLAKY], **rest)
        assert typed(tmp_path, "reload", "--socket", socket).returncode == 0
        eventually(lambda: len(told(at(tmp_path), "config")) == 2, "the file is in force again")
    path = at(tmp_path)
    acts = [(line["principal"], line["act"], line.get("target")) for line in told(path, "admin")]
    assert acts == [
        ("owner", "drain", "flaky"),
        ("owner", "undrain", "flaky"),
        ("signal", "token", "ci"),
        ("owner", "token", "ci"),
        ("owner", "reload", None),
    ]
    assert [line["principal"] for line in told(path, "config")] == ["signal", "owner"]
    assert [line["what"] for line in told(path, "event")] == ["started", "stopped"]
    assert verify_all(path).is_whole


async def test_on_the_port_a_token_is_named_and_so_is_who_may_not(tmp_path: Path):
    steer, look = "o1_" + "s" * 40, "o1_" + "l" * 40
    tokens = [
        {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "admin": may}
        for name, token, may in (("ops", steer, "steer"), ("eyes", look, "read"))
    ]
    sections = {"auth": {"tokens": tokens}, "admin": {"on_port": True}}
    with audited(tmp_path, sections=sections) as gateway:
        async with connected(gateway.url, token=steer) as client:
            await once_listed(client, TOOL)
            for token, status in ((steer, 200), (look, 403), ("o1_canary", 401)):
                url = gateway.url.removesuffix("/mcp") + "/admin/v1/cache/clear"
                asked = Client(client.http, url, token)
                assert (await asked.send("POST", b"", headers={})).status == status
    path = at(tmp_path)
    assert [(line["principal"], line["act"]) for line in told(path, "admin")] == [("token:ops", "clear cache")]
    refused = [(line["where"], line["code"], line.get("principal")) for line in told(path, "refused")]
    assert refused == [("admin", 403, "token:eyes"), ("admin", 401, None)]
    text = path.read_text()
    assert not any(secret in text for secret in (steer, look, "canary"))


async def test_the_command_says_what_is_whole_what_is_broken_and_what_it_cannot_say(tmp_path: Path):
    keyed = {"ONLY1MCP_KEY": KEY}
    with audited(tmp_path, keyed, key="${ONLY1MCP_KEY}") as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, TOOL)
    path = at(tmp_path)
    whole = typed(tmp_path, "audit", "verify", "--json", **keyed)
    report = json.loads(whole.stdout)
    assert (whole.returncode, report["ok"], report["is_keyed"]) == (0, True, True)
    assert report["last_seq"] == lines_of(path)[-1]["seq"]
    named = typed(tmp_path, "audit", "verify", str(path), ONLY1MCP_AUDIT_KEY=KEY)
    assert named.returncode == 0, named.stderr
    without = typed(tmp_path, "audit", "verify", str(path))
    assert without.returncode == 2 and "was not given" in without.stderr
    assert KEY not in whole.stdout + whole.stderr + without.stderr + gateway.log
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    broken = typed(tmp_path, "audit", "verify", **keyed)
    assert broken.returncode == 1
    assert f"{path}:3: line 3 is missing before line 4" in broken.stdout
    nothing = typed(tmp_path, "audit", "verify", str(tmp_path / "none"))
    assert nothing.returncode == 2
    assert os.stat(path).st_mode & 0o777 == 0o600
