"""The `only1mcp` command: its options, its subcommands, and which failure ends with which exit code.

Importing this loads click alone, so that `--help` and `version` answer at once; a subcommand's module is
imported when it runs.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from only1mcp_tui.cli.exits import EXIT_CODES, exit_code_of
from only1mcp_tui.cli.output import complain
from proxy_core.errors import Only1Error

SUBCOMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("files", "Write a commented configuration to start from."),
    "import": ("edits", "Take over servers that your AI clients already have."),
    "add": ("edits", "Add a server to the configuration."),
    "remove": ("edits", "Remove a server from the configuration."),
    "validate": ("files", "Check the configuration and list every fault."),
    "config": ("files", "Show the configuration in force, or its JSON Schema."),
    "servers": ("ask", "List the servers and what each offers."),
    "tools": ("ask", "List the tools as clients see them."),
    "call": ("ask", "Call a tool."),
    "stdio": ("stdio", "Serve one AI client on stdin and stdout; with --to, by a gateway that runs already."),
    "connect": ("connect", "Show how to point an AI client at this gateway."),
    "token": ("token", "Make the tokens by which clients say who they are."),
    "policy": ("policy", "Show which rule lets a client have something, or does not."),
    "secret": ("secret", "Keep secrets for servers, where the configuration does not show them."),
    "login": ("login", "Log in at a server that wants it, so that the gateway may use it."),
    "logout": ("login", "Forget the login at a server."),
    "status": ("status", "Show how the running gateway is."),
    "monitor": ("monitor", "Open the screen over the running gateway."),
    "drain": ("steer", "Take servers out: no new calls, those in flight finish."),
    "undrain": ("steer", "Put drained servers back to work."),
    "probe": ("steer", "Ask servers now whether they answer."),
    "restart": ("steer", "Drain servers, then start them again."),
    "enable": ("steer", "Switch servers on."),
    "disable": ("steer", "Drain servers, then keep them off."),
    "answer": ("questions", "Show what servers ask and their clients cannot be asked, and answer it."),
    "approve": ("approve", "Show tools that changed, and what is different, and approve them."),
    "drill": ("drill", "Make a fault on purpose, where the configuration allows it."),
    "cache": ("cache", "Show what kept answers saved, or drop them."),
    "reload": ("reloading", "Put the changed configuration in force, or show what it would change."),
    "rollback": ("reloading", "Return to the configuration before."),
    "context": (
        "context",
        "Show what the lists of tools cost a model in tokens, in each mode.",
    ),
    "logs": ("logs", "Show what the running gateway and its servers logged."),
    "audit": ("audit", "Show whether the audit is whole: who did what, chained by hash."),
    "requests": ("requests", "Show the recorded requests of clients, or one of them in full."),
    "wait": ("wait", "Wait until the gateway answers and its servers are in service."),
    "bench": ("bench", "Put load on an MCP endpoint of your own, and show how it held."),
    "doctor": ("doctor", "Look for what keeps the gateway from running well, and say what to do."),
    "version": ("about", "Show the version."),
}
"""Name -> module that holds `<name>_command`, and the line in `--help`."""


class Subcommands(click.Group):
    """Loads a subcommand when it is used, and turns our errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module = import_module(f"only1mcp_tui.cli.{SUBCOMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in SUBCOMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in EXIT_CODES.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Only1Error as error:
            complain(error.message)
            ctx.exit(exit_code_of(error))


@dataclass(frozen=True, slots=True)
class Options:
    """What was given before a subcommand, or to run the gateway."""

    config: Path | None
    headless: bool
    demo: bool
    host: str | None
    port: int | None
    insecure: bool
    readonly: bool = False
    fast_path: bool = True


@click.group(
    cls=Subcommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file to use.")
@click.option("--headless", is_flag=True, help="Run without a screen; log lines go to stderr.")
@click.option("--demo", is_flag=True, help="Run the bundled demo servers, whatever the configuration.")
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 lets the system choose.")
@click.option("--insecure", is_flag=True, help="Allow a host that other machines can reach, without tokens.")
@click.option("--readonly", is_flag=True, help="The screen may look and change nothing.")
@click.option("--no-fast-path", is_flag=True, help="Serve every request by aiohttp, which is slower.")
@click.pass_context
def only1mcp(
    ctx: click.Context,
    config: Path | None,
    headless: bool,
    demo: bool,
    host: str | None,
    port: int | None,
    insecure: bool,
    readonly: bool,
    no_fast_path: bool,
) -> None:
    """One gateway for all your MCP servers. Without a command it runs the gateway."""
    ctx.obj = options = Options(config, headless, demo, host, port, insecure, readonly, not no_fast_path)
    if ctx.invoked_subcommand is None:
        from only1mcp_tui.cli.run import run

        ctx.exit(run(options))
    if any((headless, demo, insecure, readonly, no_fast_path)) or host is not None or port is not None:
        raise click.UsageError(
            "--headless, --demo, --host, --port, --insecure, --readonly and --no-fast-path are for running "
            "the gateway, not for commands."
        )
