"""Run the gateway: with a screen, or headless where there is none.

The only place that decides between the two; Textual is imported after the decision.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from proxy_core.proxy import Proxy

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import complain, note
from proxy_core.config.demo import demo_config
from proxy_core.config.load import LoadedConfig, find_config, load
from proxy_core.config.models import ProxyConfig, is_loopback
from proxy_core.telemetry.logs import setup_logging

if TYPE_CHECKING:
    from only1mcp_tui.cli import Options

Reload: TypeAlias = Callable[[], LoadedConfig]


def run(options: "Options") -> int:
    """Run until stopped; the exit code. Raises: ConfigError, PortInUse."""
    loaded, reload = configuration(options)
    if not options.insecure and not is_loopback(loaded.config.proxy.host):
        complain(
            f"{loaded.config.proxy.host} lets other machines use every server here without a login. "
            "Say --insecure if that is meant, or listen on 127.0.0.1."
        )
        return Exit.USAGE
    headless = options.headless or not _has_screen()
    log = loaded.config.logging
    setup_logging(log.level, log.format, log.file, to_stderr=headless)
    proxy = Proxy(loaded, reload, insecure=options.insecure)
    return run_headless(proxy) if headless else run_screen(proxy, loaded)


def configuration(options: "Options") -> tuple[LoadedConfig, Reload | None]:
    """What to run, and how to read it again; the demo servers if there is no file. Raises: ConfigError."""
    path = None if options.demo else find_config(options.config, os.environ, Path.cwd())
    if path is None:
        return _overridden(demo_config(), options), None

    def reload() -> LoadedConfig:
        return _overridden(load(path, os.environ), options)

    return reload(), reload


def _overridden(loaded: LoadedConfig, options: "Options") -> LoadedConfig:
    """The command line wins over the file, at every reload too."""
    given = {"host": options.host, "port": options.port}
    changes = {key: value for key, value in given.items() if value is not None}
    proxy: ProxyConfig = loaded.config.proxy.model_copy(update=changes)
    return replace(loaded, config=loaded.config.model_copy(update={"proxy": proxy}))


def _has_screen() -> bool:
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        note("Running headless: there is no terminal.")
    elif os.environ.get("TERM") == "dumb":
        note("Running headless: this terminal (TERM=dumb) cannot draw a screen.")
    else:
        return True
    return False


def run_headless(proxy: Proxy) -> int:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(proxy))
    return Exit.OK


def run_screen(proxy: Proxy, loaded: LoadedConfig) -> int:
    from only1mcp_tui.app import Only1App

    Only1App(proxy, run=proxy.run, stop=proxy.request_stop, tui=loaded.config.tui).run()
    return Exit.OK


async def _serve(proxy: Proxy) -> None:
    """The first signal asks for a graceful stop, the second ends it at once."""
    asked = False

    def on_signal() -> None:
        nonlocal asked
        proxy.request_stop(force=asked)
        asked = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await proxy.run()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: half the CPU a call."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
