"""A server's question as words: who asks, what, and what each field of its form takes. Pure.

Everything here is a stranger's: made safe and bounded before it is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from only1mcp_tui.view.numbers import countdown, plural
from only1mcp_tui.view.text import Line, fit, safe, safe_lines
from proxy_core import forms
from proxy_core.errors import InvalidParams
from proxy_core.forms import FORMAT_WORDS, FormField, FormValue
from proxy_core.telemetry.snapshot import OpenQuestion, Snapshot

MESSAGE_LINES: Final = 40
NAME_LIMIT: Final = 80
CLIENT_CELLS: Final = 36
"""Of a client's name, beside which its principal stands."""
HINT_LIMIT: Final = 200
SECRET_WARNING: Final = "▲ This looks like a secret. Servers must not ask for one in a form."
WHERE_IT_GOES: Final = "What you answer goes to this server. Nothing is sent until you accept."


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody decided; `content` only with a form that is accepted."""

    action: str
    content: dict[str, FormValue] | None = None


def badge(snapshot: Snapshot) -> str:
    """For the title line; empty while nothing is asked."""
    number = len(snapshot.questions)
    return f"{plural(number, 'question')}: press a" if number else ""


def news(questions: Sequence[OpenQuestion], known: Iterable[str]) -> str:
    """What a toast says of questions that have come; empty if there are none."""
    seen = set(known)
    fresh = [each for each in questions if each.id not in seen]
    if not fresh:
        return ""
    who = ", ".join(dict.fromkeys(safe(each.server, NAME_LIMIT) for each in fresh[:3]))
    return f"{who} asks something that its client cannot be asked. Press a to answer."


def fields_of(question: OpenQuestion) -> tuple[FormField, ...]:
    """Raises: InvalidParams, for a schema that is no form; from afar it may be anything."""
    return forms.read(question.schema) if question.mode == "form" else ()


def title_of(question: OpenQuestion, others: int) -> str:
    more = f" ({others} more after this)" if others else ""
    return f"{safe(question.server, NAME_LIMIT)} asks{more}"


def head_lines(question: OpenQuestion, now: float, is_open: bool) -> list[Line]:
    """Who asks, in whose call, and how long there is to answer."""
    client = fit(safe(question.client, NAME_LIMIT), CLIENT_CELLS).rstrip() or "a client without a name"
    left = f"{countdown(question.until - now)} left to answer" if is_open else "not open any more"
    return [
        (("called  ", "muted"), (safe(question.target, NAME_LIMIT), "strong")),
        (("client  ", "muted"), (f"{client} ({safe(question.principal, NAME_LIMIT)})", "text")),
        (("time    ", "muted"), (left, "text" if is_open else "bad")),
    ]


def message_of(question: OpenQuestion) -> str:
    return "\n".join(safe_lines(question.message, 2000, MESSAGE_LINES)).strip() or "(it says nothing)"


def label_of(field: FormField) -> str:
    mark = " *" if field.is_required else ""
    return f"{safe(field.label, NAME_LIMIT)}{mark}"


def hint_of(field: FormField) -> str:
    """What it takes, and what the server says of it."""
    words = [safe(" ".join(field.description.split()), HINT_LIMIT), _takes(field)]
    return " · ".join(word for word in words if word)


def _takes(field: FormField) -> str:
    bounds = _bounds(field)
    match field.kind:
        case "string":
            return FORMAT_WORDS.get(field.format, "") or bounds
        case "integer":
            return f"a whole number{bounds and ' ' + bounds}"
        case "number":
            return f"a number{bounds and ' ' + bounds}"
        case "choices":
            return bounds
    return ""


def _bounds(field: FormField) -> str:
    unit = {"string": " characters", "choices": " choices"}.get(field.kind, "")
    if field.least is not None and field.most is not None:
        return f"from {field.least:g} to {field.most:g}{unit}"
    if field.least is not None:
        return f"at least {field.least:g}{unit}"
    return f"at most {field.most:g}{unit}" if field.most is not None else ""


def filled(fields: Sequence[FormField], typed: Mapping[str, object]) -> dict[str, FormValue]:
    """What is sent of what was typed or chosen; what was left empty is left out. Raises: InvalidParams."""
    content: dict[str, object] = {}
    for field in fields:
        value = typed.get(field.name)
        if value is None or value in ("", []):
            continue
        content[field.name] = forms.parsed(field, value) if isinstance(value, str) else value
    return forms.checked(fields, content)


def why_not(error: InvalidParams) -> str:
    return f"▲ {safe(error.message, 300)}"


def done_words(question: OpenQuestion, action: str) -> str:
    words = {"accept": "has your answer", "decline": "was told no", "cancel": "was told that nobody answers"}
    return f"{safe(question.server, NAME_LIMIT)} {words.get(action, action)}."
