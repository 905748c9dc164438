"""Whose time a sampled stack is."""

import pytest

from tests.benchmarks import stacks
from tests.benchmarks.stacks import folded, layer_of

ROOT = [
    "main (only1mcp_tui/__main__.py:6)",
    "run_headless (only1mcp_tui/cli/run.py:151)",
    "uv_run (core.c:464)",
]
FRONT = "data_received (proxy_core/frontend/fast_path.py:100)"
TOLD = "told (proxy_core/gateway/gateway.py:226)"
PUBLISH = "Proxy._publish (proxy_core/proxy.py:365)"
CLOCK = "monotonic (proxy_core/clock.py:20)"


@pytest.mark.parametrize(
    ("frames", "layer"),
    [
        (["uv__io_poll (linux.c:1546)"], stacks.LOOP),
        (["uv__io_poll (linux.c:1452)", "epoll_pwait (libc.so.6)"], stacks.EVENTS),
        ([FRONT, "uv__try_write (stream.c:700)", "__libc_write (libc.so.6)"], stacks.READS),
        ([FRONT, "send (libc.so.6)"], stacks.READS),
        ([FRONT, "send (proxy_core/backends/http_pool.py:9)"], stacks.BACKEND),
        ([FRONT, "feed_data (httptools/parser/parser.pyx:1)", "llhttp_execute (api.c:1)"], stacks.FRONT),
        ([FRONT, TOLD], stacks.GATEWAY),
        ([FRONT, TOLD, PUBLISH], stacks.TELEMETRY),
        ([FRONT, TOLD, CLOCK], stacks.GATEWAY),
        (
            [FRONT, TOLD, "_PyObject_Malloc (x.so)", "gc_collect_main (x.so)", "visit_decref (x.so)"],
            stacks.COLLECTOR,
        ),
        ([FRONT, "parse (proxy_core/protocol/jsonrpc.py:91)", "mpack (_core.so)"], stacks.PROTOCOL),
        ([FRONT, "choose (proxy_core/catalog/routes.py:1)"], stacks.GATEWAY),
        ([FRONT, "x (proxy_core/config/models.py:1)"], stacks.OTHER),
    ],
)
def test_a_sample_is_that_of_the_innermost_who_is_known(frames: list[str], layer: str):
    assert layer_of([*ROOT, *frames]) == layer


def test_samples_are_counted_and_other_threads_apart():
    found = folded(
        [
            ";".join([*ROOT, FRONT]) + " 30\n",
            ";".join([*ROOT, FRONT, TOLD]) + " 10\n",
            "Thread.run (threading.py:971);_worker (concurrent/futures/thread.py:69) 7\n",
        ]
    )
    assert (found.total, found.elsewhere) == (40, 7)
    share, off_by = found.share(stacks.FRONT, 0.0)
    assert share == 0.75 and 0.13 < off_by < 0.14
    assert found.share(stacks.COLLECTOR, 0.0) == (0.0, 0.0)


def test_how_much_is_the_kernels_is_what_the_system_says_however_often_it_was_seen():
    write, wait = "__libc_write (libc.so.6)", "epoll_pwait (libc.so.6)"
    seen = {(FRONT, write): 600, (wait,): 200, (FRONT,): 150, (FRONT, TOLD): 50}
    found = folded(";".join([*ROOT, *frames]) + f" {times}" for frames, times in seen.items())
    shares = {layer: found.share(layer, 0.2)[0] for layer in stacks.LAYERS}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares[stacks.READS] == pytest.approx(0.15) and shares[stacks.EVENTS] == pytest.approx(0.05)
    assert shares[stacks.FRONT] == pytest.approx(0.6) and shares[stacks.GATEWAY] == pytest.approx(0.2)
    assert found.share(stacks.READS, 0.0) == (0.0, 0.0)


def test_every_layer_has_its_row():
    assert set(stacks._OF_ROOM.values()) <= set(stacks.LAYERS)


def test_what_is_no_stack_is_refused():
    with pytest.raises(ValueError):
        folded([";".join([*ROOT, FRONT])])
