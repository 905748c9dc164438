import pytest

from proxy_core.backends.resumption import MAX_TRIES, Resumption


def stream(*chunks: bytes) -> Resumption:
    resumption = Resumption(4000)
    for chunk in chunks:
        resumption.parser.feed(chunk)
    return resumption


def event(event_id: str) -> bytes:
    return b"id: %s\ndata: x\n\n" % event_id.encode()


@pytest.mark.requirement("B06")
def test_a_stream_goes_on_from_its_last_whole_event():
    broken = stream(event("1"), event("2"), b"id: 3\ndata: cut off")
    assert broken.pause_s() == 1.0
    assert broken.last_event_id == "2"
    assert broken.parser.feed(b" here\n\n") == [], "what was cut off is not glued to what comes now"


@pytest.mark.parametrize("event_id", ["", "x" * 1025, "a\x00b", "a\x7fb", "\u202e"])
def test_an_id_that_no_header_should_carry_is_none(event_id: str):
    assert stream(event(event_id)).pause_s() is None


def test_without_an_id_there_is_nothing_to_go_on_from():
    assert stream().pause_s() is None
    assert stream(b"data: x\n\n", b": ping\n\n").pause_s() is None


@pytest.mark.requirement("B06")
@pytest.mark.parametrize(("retry_ms", "pause_s"), [(500, 0.5), (120_000, 120.0), (0, 0.1), (1, 0.1)])
def test_the_pause_is_the_servers_own_and_never_none_at_all(retry_ms: int, pause_s: float):
    resumption = stream(b"retry: %d\n" % retry_ms, event("1"))
    assert resumption.pause_s() == pause_s
    assert resumption.pause_s() == pause_s, "it holds for the connections that follow"


@pytest.mark.requirement("B06")
def test_tries_that_bring_nothing_are_counted_and_others_start_anew():
    resumption = stream(event("0"))
    for number in range(1, 20):
        assert resumption.pause_s() is not None
        resumption.parser.feed(event(f"{number}"))
    for _ in range(MAX_TRIES):
        assert resumption.pause_s() is not None
    assert resumption.pause_s() is None
