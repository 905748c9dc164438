from proxy_core.backends.stderr_lines import BURST_LINES, KEPT_LINES, LINES_PER_S, StderrLines


class Log:
    """Lines as they come out, on a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[str] = []
        self.lines = StderrLines(self.written.append, lambda: self.now)


def test_lines_come_out_whole_whatever_the_chunks() -> None:
    log = Log()
    for chunk in (b"on", b"e\r\ntwo\n\nth", b"ree \xff"):
        log.lines.feed(chunk)
    assert log.written == ["one", "two", ""]
    log.lines.end()
    log.lines.end()
    assert log.written[3:] == ["three \ufffd"]


def test_a_long_line_is_cut_and_never_kept_whole() -> None:
    log = Log()
    for _ in range(100):
        log.lines.feed(b"x" * 1000)
    log.lines.feed(b"\nnext\n")
    assert log.written == ["x" * 4096, "next"]


def test_a_flood_is_cut_to_a_burst_and_its_end_is_kept_for_later() -> None:
    log = Log()
    log.lines.feed(b"".join(b"%d\n" % number for number in range(2000)))
    assert log.written == [str(number) for number in range(BURST_LINES)]
    log.now += 1
    log.lines.feed(b"later\n")
    assert log.written[BURST_LINES:] == [
        f"({2000 - BURST_LINES - KEPT_LINES} lines left out: too many at once)",
        *(str(number) for number in range(2000 - KEPT_LINES, 2000)),
        "later",
    ]


def test_after_a_burst_lines_pass_at_a_steady_rate() -> None:
    log = Log()
    log.lines.feed(b"x\n" * BURST_LINES)
    log.now += 1
    log.lines.feed(b"y\n" * BURST_LINES)
    assert log.written.count("y") == LINES_PER_S


def test_the_end_of_a_flood_is_written_when_the_child_ends() -> None:
    log = Log()
    log.lines.feed(b"x\n" * 10_000 + b"Error: out of memory\nbye")
    log.lines.end()
    assert log.written[-2:] == ["Error: out of memory", "bye"]
