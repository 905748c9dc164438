"""`only1mcp drill`: faults on purpose at a server or replica of the running gateway, and their end."""

import asyncio

import click

from only1mcp_tui.cli.output import say, say_json
from only1mcp_tui.cli.reach import Address, reached, steering

_DONE = {
    "delay": "{target}: every call waits {ms:g} ms for the next {for_s:g} s",
    "error": "{target}: {percent:g} % of the calls fail for the next {for_s:g} s",
    "kill": "{target}: killed",
    "end": "{target}: no fault drill is on",
}


@click.command("drill")
@click.argument("target", metavar="SERVER[/REPLICA]")
@click.argument("what", type=click.Choice(tuple(_DONE)))
@click.option("--ms", type=float, default=500.0, show_default=True, help="delay: of each call.")
@click.option("--share", type=float, default=1.0, show_default=True, help="error: how many fail, 0 to 1.")
@click.option("--for", "for_s", type=float, default=60.0, show_default=True, help="Seconds until it ends.")
@steering
def drill_command(
    target: str, what: str, ms: float, share: float, for_s: float, address: Address, as_json: bool
) -> None:
    """Make a fault on purpose, to see what holds: delay calls, fail them, kill once; or end it.

    Only where the configuration says tui.fault_drills: true. It always ends by itself.
    """
    asyncio.run(_drilled(address, target, what, ms, share, for_s))
    if as_json:
        say_json({"ok": True, "target": target, "drill": what})
        return
    say(_DONE[what].format(target=target, ms=ms, percent=share * 100, for_s=for_s))


async def _drilled(address: Address, target: str, what: str, ms: float, share: float, for_s: float) -> None:
    async with reached(address) as control:
        if what == "end":
            await control.end_drill(target)
            return
        await control.drill(target, what, delay_ms=ms, share=share, for_s=for_s)
