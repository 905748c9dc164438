"""The audit as the gateway knows it: what waits, what is lost, what is refused, and what a reload changes."""

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.access.audit import audit as audit_module
from proxy_core.access.audit import journal as journal_module
from proxy_core.access.audit import writer as writer_module
from proxy_core.access.audit.actor import acting_as
from proxy_core.access.audit.audit import Audit
from proxy_core.access.audit.refusals import MAX_DIFFERENT, Refusal
from proxy_core.access.audit.verbs import audited
from proxy_core.access.audit.verifying import verify_all
from proxy_core.clock import SystemClock
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.errors import UnknownServer
from proxy_core.facts import AuditTurned, ConfigRejected, Fact, RequestFinished, ToolChanged
from tests.support.audits import KEY, lines_of
from tests.support.finished_requests import finished
from tests.support.scripted_channel import until

Made = Callable[..., Audit]
MANY = 200


class House:
    """Audits that are closed at the end, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.jsonl"
        self.facts: list[Fact] = []
        self.made: list[Audit] = []

    def loaded(self, servers: tuple[str, ...] = (), tokens: Any = (), **audit: Any) -> LoadedConfig:
        each = [{"id": id, "transport": {"type": "http", "url": "http://x/"}} for id in servers]
        sections = {"servers": each, "auth": {"tokens": tokens}, "audit": {"file": str(self.path)} | audit}
        return LoadedConfig(Config.model_validate(sections), None, {})

    def start(self, rule_of: Any = None, **audit: Any) -> Audit:
        more = {} if rule_of is None else {"rule_of": rule_of}
        made = Audit(self.loaded(**audit), SystemClock(), self.facts.append, **more)
        made.start()
        self.made.append(made)
        return made

    def lines(self, kind: str = "call", path: Path | None = None) -> list[dict[str, Any]]:
        path = path or self.path
        return [line for line in lines_of(path) if line["kind"] == kind] if path.exists() else []

    @property
    def turned(self) -> list[bool]:
        return [fact.is_failing for fact in self.facts if isinstance(fact, AuditTurned)]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.02)
    monkeypatch.setattr(writer_module, "PASS_S", 0.01)
    house = House(tmp_path)
    yield house
    for made in house.made:
        await made.aclose()


class Disk:
    """Full as long as somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._write = os.write
        monkeypatch.setattr(journal_module.os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.is_full and threading.current_thread().name == writer_module.THREAD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(fd, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def asker(**caller: Any) -> Any:
    return SimpleNamespace(**{"session": None, "profile": ""} | caller)


def call(audit: Audit, params: bytes = b"{}", **fact: Any) -> None:
    audit.call(asker(), "10.0.0.9", Raw(params), finished(**fact))


# --- calls ----------------------------------------------------------------------------------------------------


async def test_a_call_is_a_line_with_all_that_is_known_of_it(house: House):
    audit = house.start()
    fact = RequestFinished(
        audit.now(),
        "claude",
        "token:ci",
        "legacy",
        "2025-11-25",
        "tools/call",
        "github",
        "github__x",
        1.5,
        None,
        True,
        70,
    )
    audit.call(asker(session="s1", profile="review"), "10.0.0.9", Raw(b'{"name":"x"}'), fact)
    await audit.aclose()
    (line,) = house.lines()
    assert line.pop("time").endswith("Z") and line.pop("hash") and line.pop("seq") == 3
    assert line == {
        "kind": "call",
        "principal": "token:ci",
        "client": "claude",
        "session": "s1",
        "peer": "10.0.0.9",
        "era": "legacy",
        "method": "tools/call",
        "target": "github__x",
        "server": "github",
        "outcome": "ok",
        "is_error": True,
        "ms": 1.5,
        "bytes_in": 12,
        "bytes_out": 70,
        "rule": "review",
    }


@pytest.mark.parametrize(("code", "outcome"), [(None, "ok"), (-32602, "error"), (-1, "cancelled")])
async def test_how_a_call_ended_is_said(house: House, code: int | None, outcome: str):
    audit = house.start()
    call(audit, error_code=code)
    await audit.aclose()
    (line,) = house.lines()
    assert (line["outcome"], line.get("code")) == (outcome, code)


async def test_the_rule_is_who_knows_it_says(house: House):
    asked_for = []

    def rule_of(*about: str) -> str:
        asked_for.append(about)
        return "deny[2]"

    audit = house.start(rule_of)
    for _ in range(3):
        audit.call(asker(profile="review"), "10.0.0.9", Raw(b"{}"), finished(target="web__echo"))
    await audit.aclose()
    assert [line["rule"] for line in house.lines()] == ["deny[2]"] * 3
    assert asked_for == [("review", "tools/call", "web__echo", "box")]


async def test_what_clients_say_is_cut_and_masked(house: House):
    audit = house.start()
    call(audit, target="https://user:canary-1@host/?token=canary-2", client="Bearer canary-3-0123456789")
    call(audit, target="x" * 5_000_000, method="y" * 5_000_000)
    call(audit, target="a\ud800\n\x1b[2J", client="\udfff")
    await audit.aclose()
    text = house.path.read_text()
    assert "canary" not in text and "\x1b" not in text and len(text) < 6000
    assert len(house.lines()) == 3 and verify_all(house.path).is_whole


async def test_a_line_that_cannot_be_made_is_told_and_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
):
    def rule_of(profile: str, method: str, target: str, server: str) -> str:
        if target == "bad":
            raise KeyError(target)
        return ""

    audit = house.start(rule_of)
    for target in ("good", "bad", "better"):
        call(audit, target=target)
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == ["good", "better"]
    assert [line["count"] for line in house.lines("lost")] == [1]
    assert "could not be made" in caplog.text


# --- arguments ------------------------------------------------------------------------------------------------


async def test_arguments_are_told_if_they_are_asked_for_alone(house: House):
    audit = house.start()
    call(audit, b'{"name":"x","arguments":{"n":1}}')
    await audit.aclose()
    assert "arguments" not in house.lines()[0]


async def test_arguments_are_masked_by_name_and_by_looks(house: House):
    audit = house.start(arguments=True)
    call(audit, b'{"name":"x","arguments":{"n":1,"password":"canary-1","text":"ghp_canary0123456789abcdef"}}')
    call(
        audit,
        b'{"name":"x","arguments":{"deep":[{"apiKey":"canary-2"}],"url":"https://a:canary-3@b/"}}',
        method="prompts/get",
    )
    call(audit, b'{"uri":"x","arguments":{"n":1}}', method="resources/read")
    call(audit, b'{"name":"x"}')
    call(audit, b'{"name":"x","arguments":"{\\"token\\":\\"canary-4\\"}"}')
    await audit.aclose()
    first, second, third, fourth, fifth = house.lines()
    assert first["arguments"] == {"n": 1, "password": "•••", "text": "•••"}
    assert second["arguments"] == {"deep": [{"apiKey": "•••"}], "url": "https://•••@b/"}
    assert "arguments" not in third and fourth["arguments"] == {}
    assert isinstance(fifth["arguments"], str)
    assert "canary" not in house.path.read_text()


async def test_long_arguments_are_cut_and_longer_ones_left_out(house: House):
    audit = house.start(arguments=True)
    for size in (100, 10_000, 40_000):
        call(audit, b'{"name":"x","arguments":{"a":"' + b"x" * size + b'"}}')
    await audit.aclose()
    short, cut, out = house.lines()
    assert short["arguments"] == {"a": "x" * 100}
    assert len(cut["arguments"]) == 8192 and "more characters" in cut["arguments_left_out"]
    assert "arguments" not in out and out["arguments_left_out"] == "too many bytes"


async def test_a_hostile_body_takes_one_line(house: House):
    audit = house.start(arguments=True)
    for params in (
        b"[" * 30_000,
        b'{"arguments":{"a":"\\u0000\\ud800"}}',
        b'{"arguments": {\n"a":\n1}}',
        b"\xff\xfe",
    ):
        call(audit, params)
    await audit.aclose()
    assert len(house.lines()) == 4 and verify_all(house.path).is_whole


# --- refusals -------------------------------------------------------------------------------------------------


async def test_equal_refusals_of_a_second_are_one_line(house: House):
    audit = house.start()
    for _ in range(1000):
        audit.refused(Refusal("mcp", 401, "A token is needed.", peer="10.0.0.9", path="/mcp"))
    audit.refused(Refusal("mcp", 403, "Not this profile.", "token:ci", "10.0.0.9", "/mcp/x"))
    audit.refused(Refusal("mcp", 404, "There is nothing here."))
    await until(lambda: len(house.lines("refused")) == 2)
    audit.refused(Refusal("mcp", 401, "A token is needed.", peer="10.0.0.9", path="/mcp"))
    await audit.aclose()
    assert [(line["code"], line["count"]) for line in house.lines("refused")] == [
        (401, 1000),
        (403, 1),
        (401, 1),
    ]


async def test_refusals_of_very_many_kinds_are_few_lines(house: House):
    audit = house.start()
    for number in range(5000):
        audit.refused(Refusal("mcp", 401, "A token is needed.", path=f"/mcp/{number}" + "x" * 10_000))
    await audit.aclose()
    told = house.lines("refused")
    assert len(told) == MAX_DIFFERENT + 1
    assert sum(line["count"] for line in told) == 5000
    assert house.path.stat().st_size < 100_000


# --- what operators do ----------------------------------------------------------------------------------------


class Verbs:
    def __init__(self, audit: Audit) -> None:
        self.audit = audit

    @audited("drain", "target", "grace_s")
    async def drain(self, target: str, grace_s: float | None = None, secret: str = "canary") -> int:
        if target == "gone":
            raise UnknownServer(target)
        if target == "bad":
            raise KeyError("canary")
        return 7


async def test_a_verb_is_a_line_with_who_and_how_it_ended(house: House):
    audit = house.start()
    verbs = Verbs(audit)
    assert await verbs.drain("files", grace_s=2, secret="canary") == 7
    with acting_as("token:ops"), pytest.raises(UnknownServer):
        await verbs.drain("gone")
    with pytest.raises(KeyError):
        await verbs.drain("bad")
    await audit.aclose()
    first, second, third = house.lines("admin")
    assert (first["principal"], first["act"], first["target"], first["outcome"]) == (
        "screen",
        "drain",
        "files",
        "ok",
    )
    assert first["detail"] == {"grace_s": "2"} and first["ms"] >= 0
    assert (second["principal"], second["outcome"], second["code"]) == ("token:ops", "error", -32603)
    assert "gone" in second["why"]
    assert (third["outcome"], third.get("why")) == ("error", None)
    assert "canary" not in house.path.read_text()


async def test_what_happens_to_tools_and_to_the_file_is_told(house: House):
    audit = house.start()
    audit.heard(ToolChanged(1.0, "files", "read", "changed", ("description",), is_withheld=True))
    audit.heard(ConfigRejected(1.0, "/etc/x.yaml", "3: proxy: unknown key"))
    await audit.aclose()
    _, changed, rejected, _ = house.lines("event")
    assert (changed["what"], changed["server"], changed["target"]) == ("tool changed", "files", "read")
    assert changed["detail"] == {"parts": "description", "withheld": "yes"}
    assert rejected["detail"] == {"why": "3: proxy: unknown key"}


# --- reloads --------------------------------------------------------------------------------------------------


def token(name: str, digit: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "sha256": digit * 64, **more}


async def test_a_reload_is_told_with_what_it_changed_and_never_with_values(house: House):
    before = house.loaded(("aa", "bb"), [token("ci", "1"), token("old", "2"), token("ops", "3")])
    after = house.loaded(("bb", "cc"), [token("ci", "4"), token("new", "5"), token("ops", "3", admin="steer")])
    audit = house.start()
    with acting_as("file"):
        audit.use(before, after)
        audit.use(after, after)
    await audit.aclose()
    (line,) = house.lines("config")
    assert (line["principal"], line["added"], line["removed"]) == ("file", ["cc"], ["aa"])
    assert line["settings"] == ["auth.tokens"]
    assert [(act["target"], act["detail"]["what"]) for act in house.lines("admin")] == [
        ("ci", "changed: sha256"),
        ("old", "removed"),
        ("ops", "changed: admin"),
        ("new", "added"),
    ]
    assert "1" * 64 not in house.path.read_text()


async def test_another_file_from_a_reload_on_and_both_say_so(house: House):
    audit, other = house.start(), house.path.with_name("other.jsonl")
    before, after = house.loaded(), house.loaded(file=str(other), arguments=True, max_bytes=65_536, keep=1)
    call(audit, target="first")
    audit.use(before, after)
    call(audit, b'{"name":"x","arguments":{"n":1}}', target="second")
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == ["first"]
    assert [line["what"] for line in house.lines("event")] == ["started", "goes on elsewhere"]
    assert house.lines("config")[0]["settings"] == [
        "audit.file",
        "audit.arguments",
        "audit.max_bytes",
        "audit.keep",
    ]
    assert [(line["target"], line["arguments"]) for line in house.lines(path=other)] == [("second", {"n": 1})]
    assert [line["principal"] for line in house.lines("config", other)] == ["screen"]
    assert verify_all(house.path).is_whole and verify_all(other).is_whole


async def test_another_key_from_a_reload_on_begins_another_file(house: House):
    audit = house.start()
    call(audit, target="first")
    audit.use(house.loaded(), house.loaded(key=KEY))
    call(audit, target="second")
    await audit.aclose()
    aside = house.path.with_name("audit.jsonl.1")
    assert [line["what"] for line in house.lines("event", aside)] == ["started", "goes on with another key"]
    assert [line["target"] for line in house.lines()] == ["second"]
    assert verify_all(house.path, [KEY]).is_whole


async def test_off_and_on_again_by_reloads(house: House):
    audit = house.start()
    on, off = house.loaded(), house.loaded(file=None)
    call(audit, target="first")
    audit.use(on, off)
    assert not audit.is_on and audit.status is None
    await until(lambda: "switched off" in [line["what"] for line in house.lines("event")])
    with acting_as("token:ops"):
        audit.use(off, on)
    call(audit, target="second")
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == ["first", "second"]
    assert [line["principal"] for line in house.lines("config")] == ["screen", "token:ops"]
    assert verify_all(house.path).is_whole


async def test_an_audit_that_is_off_is_switched_on_by_a_reload(house: House):
    audit = house.start(file=None)
    assert not audit.is_on
    audit.use(house.loaded(file=None), house.loaded(key=KEY))
    assert audit.is_on
    await audit.aclose()
    report = verify_all(house.path, [KEY])
    assert report.is_whole and report.is_keyed


async def test_after_its_end_it_may_be_started_again(house: House):
    audit = house.start()
    call(audit)
    await audit.aclose()
    await audit.aclose()
    audit.start()
    call(audit)
    await audit.aclose()
    assert len(house.lines()) == 2 and verify_all(house.path).is_whole


# --- a disk that is full --------------------------------------------------------------------------------------


async def test_open_goes_on_counts_what_it_loses_and_says_how_much(
    house: House, disk: Disk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(audit_module, "MAX_QUEUED", MANY)
    monkeypatch.setattr(audit_module, "SHUT_AT", MANY // 2)
    audit = house.start()
    await until(house.path.exists)
    disk.is_full = True
    call(audit, target="first")
    await until(lambda: house.turned == [True])
    assert "No space left" in audit.notices[0].text and audit.notices[0].level == "error"
    for number in range(MANY + 50):
        call(audit, target=f"n{number}")
    assert not audit.is_shut
    assert audit.status is not None and audit.status.lost == 50
    disk.is_full = False
    await until(lambda: house.turned == [True, False])
    call(audit, target="last")
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == [
        "first",
        *(f"n{each}" for each in range(MANY)),
        "last",
    ]
    assert [line["count"] for line in house.lines("lost")] == [50]
    assert verify_all(house.path).is_whole


async def test_closed_takes_no_calls_and_loses_no_line(house: House, disk: Disk):
    audit = house.start(on_full="closed")
    await until(house.path.exists)
    disk.is_full = True
    call(audit, target="under way")
    await until(lambda: audit.is_shut)
    assert audit.shuts_out("tools/call") and audit.shuts_out("tools/list") and not audit.shuts_out("ping")
    call(audit, target="under way too")
    disk.is_full = False
    await until(lambda: not audit.is_shut)
    call(audit, target="after")
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == ["under way", "under way too", "after"]
    (shut_out,) = house.lines("refused")
    assert (shut_out["where"], shut_out["count"], shut_out["code"]) == ("gateway", 2, -32603)
    assert not house.lines("lost")


async def test_closed_takes_no_calls_while_too_many_wait(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_module, "SHUT_AT", 10)
    audit = house.start(on_full="closed")
    for _ in range(11):
        call(audit)
    assert audit.is_shut and audit.shuts_out("tools/call")
    await until(lambda: not audit._queue)
    assert not audit.shuts_out("tools/call") and not audit.is_shut


async def test_another_policy_counts_from_the_reload_on(house: House, disk: Disk):
    audit = house.start()
    await until(house.path.exists)
    disk.is_full = True
    call(audit)
    await until(lambda: house.turned == [True])
    opened, closed = house.loaded(), house.loaded(on_full="closed")
    audit.use(opened, closed)
    assert audit.is_shut
    audit.use(closed, opened)
    assert not audit.is_shut
    disk.is_full = False


async def test_a_full_disk_is_left_for_another_by_a_reload(house: House, disk: Disk):
    audit, other = house.start(), house.path.with_name("other.jsonl")
    await until(house.path.exists)
    disk.is_full = True
    call(audit, target="first")
    await until(lambda: house.turned == [True])
    call(audit, target="second")
    real = house.path.with_name("audit.jsonl")
    disk.is_full = False
    audit.use(house.loaded(), house.loaded(file=str(other)))
    await until(lambda: house.turned == [True, False])
    await audit.aclose()
    told = [line["target"] for line in (*house.lines(path=real), *house.lines(path=other))]
    assert told == ["first", "second"]
    assert verify_all(real).is_whole and verify_all(other).is_whole


async def test_a_file_that_cannot_be_opened_is_tried_again_and_again(house: House):
    house.path.symlink_to("/nowhere/at/all")
    audit = house.start(on_full="closed")
    call(audit)
    await until(lambda: audit.is_shut)
    assert "symbolic link" in audit.notices[0].text
    house.path.unlink()
    await until(lambda: not audit.is_shut)
    await audit.aclose()
    assert len(house.lines()) == 1


async def test_an_end_on_a_full_disk_says_what_is_lost(
    house: House, disk: Disk, caplog: pytest.LogCaptureFixture
):
    audit = house.start()
    await until(house.path.exists)
    disk.is_full = True
    call(audit)
    await until(lambda: house.turned == [True])
    await audit.aclose()
    assert "could not be written at the end" in caplog.text
    disk.is_full = False


async def test_an_end_waits_so_long_and_no_longer(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(audit_module, "END_S", 0.1)
    held = threading.Event()
    monkeypatch.setattr(journal_module.os, "fsync", lambda fd: held.wait(20))
    audit = house.start()
    call(audit)
    started_at = asyncio.get_running_loop().time()
    await audit.aclose()
    assert asyncio.get_running_loop().time() - started_at < 5
    assert "could not be written within" in caplog.text
    held.set()


# --- cost -----------------------------------------------------------------------------------------------------


async def test_all_that_is_asked_is_written_in_order_and_once(house: House):
    audit = house.start()
    for number in range(5000):
        call(audit, target=f"n{number}")
        if not number % 500:
            await asyncio.sleep(0)
    await audit.aclose()
    assert [line["target"] for line in house.lines()] == [f"n{number}" for number in range(5000)]
    assert verify_all(house.path).is_whole


async def test_the_queue_holds_no_more_than_it_may_whatever_is_called(house: House, disk: Disk):
    audit = house.start(arguments=True)
    await until(house.path.exists)
    disk.is_full = True
    call(audit)
    await until(lambda: house.turned == [True])
    for _ in range(2000):
        call(audit, b'{"arguments":{"a":"' + b"x" * 30_000 + b'"}}')
    held = sum(entry[5] is not audit_module.LEFT_OUT for entry in list(audit._queue) if len(entry) == 6)
    assert held <= audit_module.MAX_HOLDING
    disk.is_full = False
