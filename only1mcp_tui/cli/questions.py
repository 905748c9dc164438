"""`only1mcp answer`: what servers ask where their clients cannot be asked, and the answers of an operator."""

import asyncio
from collections.abc import Sequence

import click
from msgspec import to_builtins

from only1mcp_tui.cli.output import one_line, say, say_json
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.view.elicitation_form import done_words, fields_of, hint_of, label_of, message_of
from only1mcp_tui.view.numbers import countdown, plural
from proxy_core import forms
from proxy_core.errors import InvalidParams
from proxy_core.forms import FormField, FormValue
from proxy_core.telemetry.snapshot import OpenQuestion, Snapshot


@click.command("answer")
@click.argument("question", required=False, metavar="[ID]")
@click.option(
    "--accept",
    "values",
    multiple=True,
    is_flag=False,
    flag_value="",
    metavar="KEY=VALUE",
    help="Accept, with this filled in; once for each field. Several choices are split by commas.",
)
@click.option("--decline", "action", flag_value="decline", help="Say no.")
@click.option("--cancel", "action", flag_value="cancel", help="Say that nobody answers.")
@steering
def answer_command(
    question: str | None, values: tuple[str, ...], action: str | None, address: Address, as_json: bool
) -> None:
    """List what servers ask, or answer one of the questions.

    There are any only where elicitation.answer_in_terminal is set. What is accepted goes to the server.
    """
    if question is None:
        if values or action:
            raise click.UsageError("Say which question; without an id they are listed.")
        _list(asyncio.run(_picture(address)), as_json)
        return
    if bool(values) == bool(action):
        raise click.UsageError("Say one of --accept KEY=VALUE, --decline and --cancel.")
    text = asyncio.run(_answered(address, question, action or "accept", values))
    if as_json:
        say_json({"ok": True, "question": question, "action": action or "accept"})
        return
    say(text)


def waiting_line(snapshot: Snapshot) -> str:
    """For the status; empty while nothing is asked."""
    number = len(snapshot.questions)
    verb = "waits" if number == 1 else "wait"
    return f"{plural(number, 'question')} {verb} for an operator (only1mcp answer)" if number else ""


async def _picture(address: Address) -> Snapshot:
    async with reached(address) as control:
        return control.snapshot()


async def _answered(address: Address, id: str, action: str, values: Sequence[str]) -> str:
    async with reached(address) as control:
        question = next((each for each in control.snapshot().questions if each.id == id), None)
        if question is None:
            # The gateway knows what became of it, and says so.
            await control.answer(id, action)
            return f"{id}: done"
        content = _content(question, values) if action == "accept" and question.mode == "form" else None
        await control.answer(id, action, content)
        return done_words(question, action)


def _content(question: OpenQuestion, values: Sequence[str]) -> dict[str, FormValue]:
    """Raises: InvalidParams."""
    fields = {field.name: field for field in fields_of(question)}
    content: dict[str, object] = {
        name: field.default for name, field in fields.items() if field.default is not None
    }
    for value in filter(None, values):
        name, equals, text = value.partition("=")
        if not equals:
            raise InvalidParams(f"{one_line(value, 80)} is not KEY=VALUE.")
        content[name] = forms.parsed(fields[name], text) if name in fields else text
    return forms.checked(tuple(fields.values()), content)


def _list(snapshot: Snapshot, as_json: bool) -> None:
    if as_json:
        say_json([to_builtins(question) for question in snapshot.questions])
        return
    if not snapshot.questions:
        say("No server asks anything.")
    for question in snapshot.questions:
        _tell(question, snapshot.at)


def _tell(question: OpenQuestion, now: float) -> None:
    target, client = one_line(question.target, 200), one_line(question.client, 80) or "no name"
    left = countdown(question.until - now)
    say(f"{one_line(question.id, 24)}  {one_line(question.server, 24)} asks, {left} left")
    say(f"  called: {target} by {client} ({one_line(question.principal, 80)})")
    for line in message_of(question).splitlines():
        say(f"  {line}")
    if question.mode == "url":
        say(f"  visit: {one_line(question.url, 4096)}")
        return
    try:
        fields: Sequence[FormField] = fields_of(question)
    except InvalidParams as error:
        say(f"  {error.message}")
        return
    for field in fields:
        hint = hint_of(field) or ", ".join(value for value, _ in field.choices)
        start = "" if field.default is None else f" [{field.default}]"
        secret = "  ▲ looks like a secret: servers must not ask for one" if field.looks_secret else ""
        title = "" if field.label == field.name else f" ({label_of(field)})"
        mark = " *" if field.is_required else ""
        said = f"{field.name}{title}{mark}{start}: {field.kind}{', ' if hint else ''}{hint}{secret}"
        say(f"    {one_line(said, 400)}")
