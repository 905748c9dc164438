"""The recorded day: `python -m tests.recording [replay]` prints what a gateway saves on it.

`record` makes the recording anew with real servers. `renew` keeps what the servers said and takes today's
answers of the gateway for right: for when it was changed on purpose. `--set cache='{"enabled":false}'` gives
the gateway that section of the configuration.
"""

import argparse
import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tests.recording.record import record
from tests.recording.replay import FORWARDED, LISTS, MethodCount, Replayed, replay
from tests.recording.session import Server, Session, load, save

DAY: Final = Path(__file__).with_name("day.json")
GUIDE: Final = Path("docs") / "caching_guide.md"
BEGIN: Final = "<!-- day: written by `python -m tests.recording --write` -->"
END: Final = "<!-- end of day -->"


def table(result: Replayed) -> str:
    """In Markdown, for docs/caching_guide.md."""
    rows = ["| method | requests of clients | server calls asked | made | saved |", "|---|---|---|---|---|"]
    rows += [_row(method, result.counts[method]) for method in FORWARDED]
    rows.append(_row("all lists and reads", result.count(*LISTS, "resources/read")))
    rows.append(_row("everything", result.total))
    return "\n".join(rows)


def _row(name: str, count: MethodCount) -> str:
    return f"| {name} | {count.requests} | {count.asked} | {count.made} | {count.saved_share:.0%} |"


def servers_table(session: Session, result: Replayed) -> str:
    """Lists alone, with what each server says of how long they may be kept."""
    rows = ["| server | its lists' ttlMs | asked | made | saved |", "|---|---|---|---|---|"]
    for server in session.servers:
        hints = _ttls(server)
        count = result.lists_by_server[server.id]
        told = ", ".join(sorted(hints))
        rows.append(f"| {server.id} | {told} | {count.asked} | {count.made} | {count.saved_share:.0%} |")
    return "\n".join(rows)


def _ttls(server: Server) -> set[str]:
    lists = [each.outcome["result"] for each in server.answers if each.method in LISTS and each.outcome]
    return {str(each.get("ttlMs", "legacy: none")) for each in lists}


def forbidding(session: Session) -> set[str]:
    """Servers that say of every list of theirs that it must not be kept."""
    return {server.id for server in session.servers if _ttls(server) == {"0"}}


def savings_line(result: Replayed) -> str:
    savings = result.snapshot.savings
    looked_up = savings.hits + savings.misses
    return (
        f"Of {looked_up} looked up {savings.hits} were kept ({savings.hit_share or 0:.1%}); with those that "
        f"joined another's call, {savings.served_share or 0:.1%} needed no call of their own."
    )


def clients_table(result: Replayed) -> str:
    rows = ["| client | lists | reads | calls and prompts | handshakes |", "|---|---|---|---|---|"]
    for client, methods in sorted(result.by_client.items()):
        lists = sum(methods.get(method, 0) for method in LISTS)
        reads = methods.get("resources/read", 0)
        calls = methods.get("tools/call", 0) + methods.get("prompts/get", 0)
        rows.append(
            f"| {client} | {lists} | {reads} | {calls} | {sum(methods.values()) - lists - reads - calls} |"
        )
    return "\n".join(rows)


def written(guide: str, tables: str) -> str:
    """The guide with the tables in their place. Raises: ValueError if it has none."""
    before, begin, rest = guide.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{GUIDE} lacks the marks of its tables")
    return f"{before}{begin}\n\n{tables}\n\n{end}{after}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["replay", "record", "renew"], default="replay")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION=JSON", help="of the configuration"
    )
    parser.add_argument("--file", type=Path, default=DAY)
    parser.add_argument("--write", action="store_true", help=f"Put the tables into {GUIDE}.")
    options = parser.parse_args()
    settings: dict[str, Any] = {
        section: json.loads(value) for section, _, value in (each.partition("=") for each in options.set)
    }
    if options.what == "record":
        await record(options.file)
    session = load(options.file)
    result = await replay(session, settings)
    if options.what == "renew":
        answered = zip(session.asked, result.answers, strict=True)
        save(replace(session, asked=tuple(replace(asked, answer=got) for asked, got in answered)), options.file)
    tables = (table(result), servers_table(session, result), savings_line(result))
    print(*tables, clients_table(result), sep="\n\n")
    if options.write:
        GUIDE.write_text(written(GUIDE.read_text(), "\n\n".join(tables)))
    differing = len(result.differences)
    print(f"\n{len(session.asked)} requests; {differing} answers differ from the recorded ones.")
    for each in result.differences[:5]:
        print(f"  {each.request.session} at {each.request.at_ms}: {each.request.method} {each.request.params}")
    for unknown in result.unknown:
        print(f"  not recorded: {unknown}")


if __name__ == "__main__":
    asyncio.run(main())
