"""Run the gateway: with a screen, or headless where there is none.

The only place that decides between the two; Textual is imported after the decision.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.loops import loop_factory
from only1mcp_tui.cli.output import note, say
from proxy_core.config.demo import demo_config
from proxy_core.config.load import LoadedConfig, find_config, load, user_config_path
from proxy_core.config.models import ProxyConfig
from proxy_core.errors import ConfigError, ConfigProblem, InsecureBind, Only1Error, PortInUse
from proxy_core.proxy import Proxy
from proxy_core.telemetry.logs import setup_logging

if TYPE_CHECKING:
    from only1mcp_tui.cli import Options
    from proxy_core.config.importers import FoundServer

log = logging.getLogger("proxy_core.command")

YOUNG_OBJECTS: Final = 5_000
"""More of them than freed ones, before the collector looks at them; a call in flight in a task has some 40."""
UNDER_SCREENS: Final = sys.version_info < (3, 13)
"""Whether uvloop can carry the screens: from 3.13 on a task may be asked to start eagerly, which it refuses."""


def run(options: "Options") -> int:
    """Run until stopped; the exit code. Raises: ConfigError, InsecureBind, PortInUse."""
    reload, config_path = reader(options), locator(options)
    loaded = reload()
    if loaded.config.is_exposed and not options.insecure:
        raise InsecureBind(loaded.config.proxy.host)
    headless = options.headless or not _has_screen()
    if not headless and (running := _running(loaded)) is not None:
        from only1mcp_tui.cli.monitor import watch

        question = f"A gateway serves on port {loaded.config.proxy.port} already. Watch that one instead?"
        if click.confirm(question, default=True, err=True):
            return watch(running, loaded.config.tui, readonly=options.readonly)
    start_logging(loaded, to_stderr=headless)
    keeper = LogKeeper(loaded, to_stderr=headless)
    try:
        if headless:
            return run_headless(
                Proxy(
                    loaded,
                    reload,
                    insecure=options.insecure,
                    fast_path=options.fast_path,
                    config_path=config_path,
                    on_config=keeper.use,
                )
            )
        return run_screen(loaded, reload, config_path, keeper, options)
    except PortInUse:
        if _running(loaded) is not None:
            note("A gateway runs there: only1mcp monitor watches it, only1mcp status tells how it is.")
        raise


def _running(loaded: LoadedConfig) -> Path | None:
    """The admin socket of a gateway that serves on this port already."""
    # What asks it is as large as half of a gateway, and a start that asks nothing does without.
    from only1mcp_tui.cli.reach import serving_at

    return serving_at(loaded.config.proxy, loaded.config.admin)


def locator(options: "Options") -> Callable[[], Path | None]:
    """Which file says what to run; None while the demo servers do.

    A file that was there at the start stays the one; one that an import made since is found.
    Raises: ConfigError if one that was named is missing.
    """
    cwd = Path.cwd()
    first = None if options.demo else find_config(options.config, os.environ, cwd)
    return lambda: first if first or options.demo else find_config(None, os.environ, cwd)


def reader(options: "Options") -> Callable[[], LoadedConfig]:
    """Reads what to run, again and again; the demo servers if there is no file. Raises: ConfigError."""
    locate = locator(options)

    def read() -> LoadedConfig:
        path = locate()
        return _overridden(load(path, os.environ) if path else demo_config(), options)

    return read


class LogKeeper:
    """Where the log goes, as the configuration in force says."""

    def __init__(self, loaded: LoadedConfig, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        self._present = loaded.config.logging

    def use(self, loaded: LoadedConfig) -> None:
        """Another configuration is in force. A file that cannot be written leaves the log where it was."""
        if loaded.config.logging == self._present:
            return
        self._present = loaded.config.logging
        try:
            start_logging(loaded, self._to_stderr)
        except ConfigError as error:
            log.error("the log stays where it was: %s", error.message)


def start_logging(loaded: LoadedConfig, to_stderr: bool) -> None:
    log = loaded.config.logging
    try:
        setup_logging(log.level, log.format, log.file, to_stderr=to_stderr)
    except OSError as error:
        problem = ConfigProblem("logging.file", f"cannot be written: {error.strerror or error}")
        raise ConfigError(str(loaded.path), (problem,)) from error


def _overridden(loaded: LoadedConfig, options: "Options") -> LoadedConfig:
    """The command line wins over the file, at every reload too."""
    given = {"host": options.host, "port": options.port}
    changes = {key: value for key, value in given.items() if value is not None}
    proxy: ProxyConfig = loaded.config.proxy.model_copy(update=changes)
    return replace(loaded, config=loaded.config.model_copy(update={"proxy": proxy}))


def _has_screen() -> bool:
    # Textual draws on stderr, so that one counts too.
    streams = {"stdout": sys.stdout, "stdin": sys.stdin, "stderr": sys.stderr}
    elsewhere = [name for name, stream in streams.items() if not stream.isatty()]
    if elsewhere:
        note(f"Running headless: no terminal on {', '.join(elsewhere)}.")
    elif os.environ.get("TERM") == "dumb":
        note("Running headless: this terminal (TERM=dumb) cannot draw a screen.")
    else:
        return True
    return False


def run_headless(proxy: Proxy, is_urgent: Callable[[], bool] = lambda: False) -> int:
    """`is_urgent`: whether the first signal already ends it at once."""
    settle_memory()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(proxy, is_urgent))
    except OSError as error:
        host, port = proxy.config.proxy.host, proxy.config.proxy.port
        raise Only1Error(f"Cannot listen on {host}, port {port}: {error.strerror or error}") from error
    return Exit.OK


def run_screen(
    loaded: LoadedConfig,
    reload: Callable[[], LoadedConfig],
    config_path: Callable[[], Path | None],
    keeper: LogKeeper,
    options: "Options",
) -> int:
    """Raises: what kept the gateway from starting at all."""
    from only1mcp_tui.app import Only1App
    from only1mcp_tui.cli.common import discovered
    from only1mcp_tui.screens.kept import Kept, kept_path

    def use(loaded: LoadedConfig) -> None:
        keeper.use(loaded)
        app.use_tui(loaded.config.tui)

    proxy = Proxy(
        loaded,
        reload,
        insecure=options.insecure,
        fast_path=options.fast_path,
        config_path=config_path,
        on_config=use,
    )
    app = Only1App(
        proxy,
        run=proxy.run,
        stop=proxy.request_stop,
        tui=loaded.config.tui,
        discover=lambda: discovered(_import_target(loaded, options), loaded.config.proxy),
        write=lambda found: _import(_import_target(loaded, options), found),
        on_shown=settle_memory,
        kept=Kept(kept_path(os.environ)),
        readonly=options.readonly,
        # Who asks for the demo by name wants no questions.
        welcomes=not options.demo,
    )
    settle_memory()
    # Not `app.run()`: the calls deserve the same quick loop as without a screen.
    with asyncio.Runner(loop_factory=loop_factory() if UNDER_SCREENS else None) as runner:
        runner.run(app.run_async())
    if app.failure is not None:
        raise app.failure
    if app.outcome:
        say(app.outcome)
    if proxy.cut_off:
        note(f"{len(proxy.cut_off)} calls in flight were cut off.")
    return app.return_code or Exit.OK


def settle_memory() -> None:
    """What importing made lives as long as we do, and so do the first screen's widgets.

    A full collection that walks all of them would stop every call for some milliseconds. Nor is each call in
    flight to be walked over and over: as many as come at once are more objects than Python waits for by itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def _import_target(loaded: LoadedConfig, options: "Options") -> Path:
    return loaded.path or find_config(options.config, os.environ, Path.cwd()) or user_config_path(os.environ)


def _import(path: Path, found: "Sequence[FoundServer]") -> str:
    from proxy_core.config.importers import write_import

    write_import(path, [one.server for one in found if one.server is not None])
    return str(path)


async def _serve(proxy: Proxy, is_urgent: Callable[[], bool]) -> None:
    """The first signal asks for a graceful stop, the second ends it at once."""
    asked = False

    def on_signal() -> None:
        nonlocal asked
        proxy.request_stop(force=asked or is_urgent())
        asked = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, proxy.request_reload)
    await proxy.run()
