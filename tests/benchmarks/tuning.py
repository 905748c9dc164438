"""What settings change about the cost of a forwarded call, in turns: `make bench ARGS=tuning`."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop

from tests.benchmarks.cores import FEEDING, MEASURED, feeding, pin
from tests.benchmarks.lines import opened
from tests.benchmarks.processes import gateway, http_backend, settled, tools_ready
from tests.benchmarks.results import Section
from tests.benchmarks.rounds import Way, cpu_us, in_turns, ratio, warm_up
from tests.benchmarks.standing import CONNECTIONS, OF_300_BYTES, AskOf, legacy, modern


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    """Of the configuration."""
    arguments: Sequence[str] = ()
    """Of the command."""
    ask_of: AskOf = modern


SETTINGS: Final = (
    Setting("as it comes"),
    Setting("`inspect.bodies: off`", {"inspect": {"bodies": "off"}}),
    Setting("`inspect.exchanges: 0`", {"inspect": {"exchanges": 0}}),
    Setting("`audit.file`", {"audit": {"file": "audit.jsonl"}}),
    Setting("`audit.arguments: true`", {"audit": {"file": "audit.jsonl", "arguments": True}}),
    Setting("`--no-fast-path`", arguments=("--no-fast-path",)),
    Setting("as it comes, legacy clients", ask_of=legacy),
)


async def tuning_section(rounds: int, seconds: float) -> Section:
    """`seconds`: of each setting in each round."""
    async with AsyncExitStack() as stack:
        stack.enter_context(feeding())
        backend_port, backend_pid = await stack.enter_async_context(http_backend(*OF_300_BYTES))
        pin(backend_pid, FEEDING)
        ways = [await _way(stack, setting, backend_port) for setting in SETTINGS]
        warm_up(ways)
        for way in ways:
            await settled(way.pid)
        in_turns(ways, rounds, lambda way: way.saturated(seconds))
    usual = ways[0]
    rows = [
        f"| tools/call, {CONNECTIONS} connections | CPU µs a call | of what it costs as it comes |",
        "|---|---|---|",
    ]
    for way in ways:
        share = "-" if way is usual else ratio(way, usual, cpu_us).shown()
        rows.append(f"| {way.name} | {way.interval(cpu_us).shown('.1f')} | {share} |")
    return Section(rows)


async def _way(stack: AsyncExitStack, setting: Setting, backend_port: int) -> Way:
    servers = [{"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}}]
    port, pid, _ = await stack.enter_async_context(
        gateway(servers, arguments=setting.arguments, **setting.sections)
    )
    await tools_ready(port, 1)
    pin(pid, MEASURED)
    return Way(
        setting.name, pid, stack.enter_context(opened(port, CONNECTIONS, setting.ask_of(port, "web__echo")))
    )


if __name__ == "__main__":
    print("\n".join(uvloop.run(tuning_section(6, 0.4)).rows))
