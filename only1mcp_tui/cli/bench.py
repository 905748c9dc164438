"""`only1mcp bench`: load on an MCP endpoint of one's own, within bounds, and what came of it.

Harmless unless told otherwise: it lists, calls no tool but the one named, stays on this machine, asks first.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from only1mcp_tui.cli.bench_report import lines, plain
from only1mcp_tui.cli.common import json_option, token_in
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.loops import loop_factory
from only1mcp_tui.cli.output import complain, counted, note, one_line, say, say_json
from proxy_core.load.asking import Ask, question
from proxy_core.load.greeting import AUTO, Acquaintance, greeted
from proxy_core.load.loader import Loader, Plan
from proxy_core.load.tally import LoadResult
from proxy_core.load.target import BadTarget, target_of

MAX_CONNECTIONS: Final = 512
MAX_SECONDS: Final = 60.0
MAX_PER_S: Final = 50_000.0
MAX_TIMEOUT_S: Final = 60.0
WARM_UP_S: Final = 1.0
"""Not counted; a fifth of the duration, if that is shorter."""
HARMLESS: Final = ("tools/list", "resources/list", "resources/templates/list", "prompts/list", "ping")
"""What may be asked of any server: none of it does anything."""
_STEPS: Final = 1000
"""Of the progress bar."""


class Between(click.FloatRange):
    """A number within bounds; click lets NaN through, which no comparison is true of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is no number.", param, ctx)
        return number


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked over and over."""

    method: str
    params: dict[str, Any]

    @property
    def tool(self) -> str | None:
        return self.params["name"] if self.method == "tools/call" else None


@click.command("bench")
@click.argument("url")
@click.option(
    "--connections",
    type=click.IntRange(1, MAX_CONNECTIONS),
    default=64,
    show_default=True,
    metavar="N",
    help="How many at once, each with one request in flight.",
)
@click.option(
    "--duration",
    type=Between(0.1, MAX_SECONDS),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Seconds that count; up to one second of warming up comes before.",
)
@click.option(
    "--rate",
    type=Between(0.1, MAX_PER_S),
    metavar="R",
    help="Ask R times a second whatever the answers take, each timed from when it was due; "
    "without it, as fast as it answers.",
)
@click.option("--method", type=click.Choice(HARMLESS), help="What to ask.  [default: tools/list]")
@click.option("--tool", metavar="NAME", help="Call this tool instead. Every call does what the tool does.")
@click.option("--arguments", metavar="JSON", help="The tool's arguments, an object.")
@click.option(
    "--era",
    type=click.Choice((AUTO, "modern", "legacy")),
    default=AUTO,
    show_default=True,
    help="Of the protocol: 2026-07-28, or the revisions with a handshake.",
)
@click.option("--token-env", metavar="VARIABLE", help="Environment variable that holds a bearer token to send.")
@click.option(
    "--timeout",
    type=Between(0.1, MAX_TIMEOUT_S),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long an answer may take before it counts as a failure.",
)
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option("--yes-it-is-mine", is_flag=True, help="Allow a URL that leads to another machine.")
@json_option
@click.pass_context
def bench_command(
    ctx: click.Context,
    url: str,
    connections: int,
    duration: float,
    rate: float | None,
    method: str | None,
    tool: str | None,
    arguments: str | None,
    era: str,
    token_env: str | None,
    timeout: float,
    yes: bool,
    yes_it_is_mine: bool,
    as_json: bool,
) -> None:
    """Put load on the MCP endpoint at URL (Streamable HTTP) and show how it held.

    Meant for a server of your own on this machine. It lists tools unless told otherwise. Load and server share
    the machine's cores, so compare figures of one machine with each other and not with those of another.

    \b
    only1mcp bench http://127.0.0.1:8080/mcp
    only1mcp bench http://127.0.0.1:8080/mcp --rate 300 --tool clock__now --arguments '{"timezone":"UTC"}'
    """
    wish = wish_of(method, tool, arguments)
    token = _token(token_env)
    if not (yes or _has_terminal()):
        raise click.UsageError("Nobody can be asked here whether to start; say --yes.")
    plan = Plan(connections, duration, min(WARM_UP_S, duration / 5), timeout, rate)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        result, revision = runner.run(_benched(url, plan, wish, era, token, yes, yes_it_is_mine))
    if as_json:
        say_json(plain(url, revision, wish.method, wish.tool, plan, result))
    else:
        for line in lines(result, rate is not None):
            say(line)
    if result.good < result.requests:
        complain(f"{counted(result.requests - result.good, 'request')} of {result.requests:,} failed.")
    elif not result.good:
        complain("No request both began and ended in the time that counts; give it a longer --duration.")
    if result.good < result.requests or not result.good:
        ctx.exit(Exit.FAILURE)


def wish_of(method: str | None, tool: str | None, arguments: str | None) -> Wish:
    """Raises: click.UsageError for what does not go together, or is no JSON object."""
    if tool is None:
        if arguments is not None:
            raise click.UsageError("--arguments are those of a tool; name it with --tool.")
        return Wish(method or HARMLESS[0], {})
    if method is not None:
        raise click.UsageError("--method and --tool are two things to ask; give one.")
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--arguments is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise click.UsageError('--arguments wants a JSON object, such as {"city":"Rome"}.')
    return Wish("tools/call", {"name": tool, "arguments": given})


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise click.UsageError(
            f"There is no environment variable {variable}; --token-env names one, not a token."
        )
    return token_in(variable)


async def _benched(
    url: str, plan: Plan, wish: Wish, era: str, token: str | None, yes: bool, is_mine: bool
) -> tuple[LoadResult, str]:
    """What came of it, and the revision that was spoken."""
    try:
        target = await target_of(url)
    except BadTarget as error:
        raise click.UsageError(error.message) from error
    if not (target.is_loopback or is_mine):
        raise click.UsageError(
            f"{url} leads to another machine ({target.address}). Loading a server that is not yours is an "
            "attack on it; if it is yours, say --yes-it-is-mine."
        )
    async with greeted(target, era, token) as server:
        ask, warning = await _asking(server, wish)
        note(announcement(url, server.revision, plan, wish, warning))
        if not yes and not click.confirm("Start?", default=False, err=True):
            raise click.Abort
        # One answer first: a load of failures tells nothing.
        await server.try_once(ask)
        with _progress() as progress:
            return await Loader(target, ask, plan, is_list=wish.tool is None).run(progress), server.revision


async def _asking(server: Acquaintance, wish: Wish) -> tuple[Ask, str]:
    """The request, and what a person should know of it."""
    if wish.method == "ping" and server.is_modern:
        raise click.UsageError(f"{server.revision} has no ping; ask for tools/list, or speak --era legacy.")
    if wish.tool is None:
        return question(server.dialect, wish.method), ""
    tool = await server.tool(wish.tool)
    lines_of_arguments = tool.header_lines(wish.params["arguments"])
    warning = (
        "" if tool.only_reads else " The tool does not say that it only reads: every call may change something."
    )
    return question(server.dialect, wish.method, wish.params, lines_of_arguments), warning


def announcement(url: str, revision: str, plan: Plan, wish: Wish, warning: str) -> str:
    """What will be done, in a sentence."""
    what = wish.method
    if wish.tool is not None:
        given = one_line(json.dumps(wish.params["arguments"], ensure_ascii=False), 200)
        what = f"the tool {one_line(wish.tool)} with {given}"
    pace = "as fast as it answers" if plan.per_s is None else f"{plan.per_s:,g} times a second"
    return (
        f"Asks {url} ({revision}) for {what}, over and over: {pace}, "
        f"{counted(plan.connections, 'connection')}, {plan.warm_up_s + plan.seconds:g} s.{warning}"
    )


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on stderr, for people."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    with click.progressbar(length=_STEPS, label="Loading", file=sys.stderr, show_eta=False) as bar:
        yield lambda share: bar.update(int(share * _STEPS) - bar.pos)
