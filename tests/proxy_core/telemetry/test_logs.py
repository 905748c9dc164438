import io
import json
import logging
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.telemetry import logs
from proxy_core.telemetry.logs import (
    MAX_TEXT,
    JsonFormatter,
    PrettyFormatter,
    RingHandler,
    escaped,
    level_name,
    new_ring,
    setup_logging,
    source_of,
)

HOSTILE = "a\x1b[31mred\x9b0m\x07\r\nb\x7f\u202eevil\u2066\u200b\u061c\ufeff\U000e0041\x00"
SEEN = "a\\x1b[31mred\\x9b0m\\x07\\x0d\\x0ab\\x7f\\u202eevil\\u2066\\u200b\\u061c\\ufeff\\U000e0041\\x00"


def record(message: str = "hello", *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    name = extra.pop("name", "proxy_core.backends.backend")
    made = logging.getLogger(name).makeRecord(
        name, level, "f.py", 1, message, args, extra.pop("exc_info", None)
    )
    made.__dict__.update(extra)
    return made


def raised(message: str) -> Any:
    try:
        raise ValueError(message)
    except ValueError:
        return sys.exc_info()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The log's root, given back as it was found."""
    root = logging.getLogger(logs.ROOT)
    kept = list(root.handlers), root.level, root.propagate
    root.handlers = []
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level, root.propagate = kept
    root.manager._clear_cache()  # type: ignore[attr-defined]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- what a line says ---------------------------------------------------------------------------------------


def test_what_a_terminal_would_act_on_is_spelled_out():
    assert escaped(HOSTILE) == SEEN
    assert escaped("tab\tand é and 😀") == "tab\tand é and 😀"


@given(st.text(max_size=200))
def test_no_text_whatever_brings_a_control_or_hidden_character(text: str):
    line = PrettyFormatter(False).format(record("%s", text, source=text))
    controls = {char for char in line if unicodedata.category(char) == "Cc"}
    assert controls <= {"\t"}
    assert not {*line} & {*HOSTILE} - {*"aredbvil[310m"}


@pytest.mark.parametrize("has_colour", [True, False])
def test_a_pretty_line_has_no_escape_but_our_own_colours(has_colour: bool):
    line = PrettyFormatter(has_colour).format(record("%s", HOSTILE, source="b\x1b[2Jox", level=logging.ERROR))
    assert SEEN in line
    assert line.count("\x1b") == (2 if has_colour else 0)


def test_what_an_exception_says_is_spelled_out_too():
    shown = PrettyFormatter(False).format(record("failed", exc_info=raised(HOSTILE)))
    first, *trace = shown.split("\n")
    assert first.endswith("failed")
    assert trace[0] == "Traceback (most recent call last):"
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


def test_a_json_line_is_one_line_of_ascii_json():
    line = JsonFormatter().format(record("%s", HOSTILE + '"\\\ud800', source="box", level=logging.WARNING))
    assert line.isascii()
    assert line.replace("\x7f", "").isprintable()
    told = json.loads(line)
    assert list(told) == ["time", "level", "source", "message"]
    assert (told["level"], told["source"], told["message"][:1]) == ("warning", "box", "a")


def test_a_json_line_tells_an_exception_and_the_time_in_utc():
    made = record("failed", exc_info=raised("why"))
    made.created, made.msecs = 1_700_000_000.25, 250.0
    told = json.loads(JsonFormatter().format(made))
    assert told["time"] == "2023-11-14T22:13:20.250Z"
    assert told["error"].endswith("ValueError: why")


@pytest.mark.parametrize("formatter", [JsonFormatter(), PrettyFormatter(False)])
def test_a_line_has_a_bounded_length(formatter: logging.Formatter):
    assert len(formatter.format(record("x" * 100_000))) < MAX_TEXT + 200


@pytest.mark.parametrize(
    ("name", "source", "shown"),
    [
        ("proxy_core.backends.backend", None, "backends"),
        ("proxy_core.proxy", None, "proxy"),
        ("proxy_core", None, "gateway"),
        ("proxy_core.server", "box", "box"),
    ],
)
def test_a_line_is_from_a_server_or_from_a_room(name: str, source: str | None, shown: str):
    assert source_of(record(name=name, source=source)) == shown


def test_levels_have_four_names():
    named = [level_name(record(level=level)) for level in (10, 20, 30, 40, 50)]
    assert named == ["debug", "info", "warning", "error", "error"]


# --- the ring -----------------------------------------------------------------------------------------------


def test_the_ring_keeps_lines_as_they_came_for_the_screens_to_clean():
    ring = new_ring()
    handler = RingHandler(ring)
    handler.handle(record("said %s", "\x1b[1m", source="box"))
    handler.handle(record("failed", exc_info=raised("why"), level=logging.ERROR))
    first, second = (line for _, line in ring.after(0))
    assert (first.level, first.source, first.text) == ("info", "box", "said \x1b[1m")
    assert (second.level, second.text) == ("error", "failed: ValueError('why')")


def test_the_ring_is_bounded_in_lines_and_in_their_length():
    ring = new_ring()
    handler = RingHandler(ring)
    for number in range(logs.RING_LINES + 5):
        handler.handle(record("%d", number))
    handler.handle(record("x" * 100_000, exc_info=raised("x" * 100_000)))
    lines = [line for _, line in ring.after(0)]
    assert (len(lines), lines[0].text, len(lines[-1].text)) == (logs.RING_LINES, "6", MAX_TEXT)


def test_the_ring_is_bounded_in_what_its_texts_weigh():
    ring = logs.LogRing(lines=1000, most_bytes=50_000)
    for number in range(100):
        ring.publish(logs.LogLine(0.0, "info", "box", f"{number} " + "\N{SNOWMAN}" * 2000))
    kept = [line for _, line in ring.after(0)]
    assert sum(map(logs.weight, kept)) <= 50_000
    assert kept[-1].text.startswith("99 ")
    assert len(kept) == 50_000 // logs.weight(kept[-1])


# --- setting up ---------------------------------------------------------------------------------------------


def test_setting_up_twice_writes_each_line_once(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    path = tmp_path / "logs" / "gateway.log"
    for _ in range(2):
        setup_logging("info", "json", str(path))
    logging.getLogger("proxy_core.proxy").info("once")
    logging.getLogger("proxy_core.proxy").debug("never")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["once"]
    assert [json.loads(line)["message"] for line in path.read_text().splitlines()] == ["once"]


def test_a_handler_that_is_not_ours_stays(root: logging.Logger):
    ring = RingHandler(new_ring())
    root.addHandler(ring)
    setup_logging("debug", to_stderr=False)
    setup_logging("debug", to_stderr=False)
    assert ring in root.handlers
    assert len(root.handlers) == 2


def test_a_file_that_cannot_be_opened_leaves_the_log_as_it_was(root: logging.Logger, tmp_path: Path):
    setup_logging("info", "json")
    before = list(root.handlers)
    with pytest.raises(OSError):
        setup_logging("debug", "json", str(tmp_path))
    assert (root.handlers, root.level) == (before, logging.INFO)


@pytest.mark.parametrize(
    ("stream", "format", "is_pretty"),
    [
        (Terminal(), None, True),
        (io.StringIO(), None, False),
        (Terminal(), "json", False),
        (io.StringIO(), "pretty", True),
    ],
)
def test_lines_are_pretty_on_a_terminal_and_json_elsewhere_unless_told(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, format: Any, is_pretty: bool
):
    monkeypatch.setattr(sys, "stderr", stream)
    setup_logging("info", format)
    logging.getLogger("proxy_core.proxy").info("hello")
    written = stream.getvalue()
    assert written.startswith("{") is not is_pretty
    assert ("\x1b[" in written) is (is_pretty and stream.isatty())


def test_our_log_goes_to_nobody_elses_handlers(root: logging.Logger, caplog: pytest.LogCaptureFixture):
    setup_logging("info", to_stderr=False)
    logging.getLogger("proxy_core.proxy").info("ours")
    assert caplog.records == []
