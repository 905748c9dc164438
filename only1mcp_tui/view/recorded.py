"""What a recorded exchange says: its first request and last answer on each hop, as values."""

import json
import re
from typing import Any, Final

from proxy_core.telemetry.exchanges import ExchangeDetail, Hop, Message, MessageKind

DOTS: Final = "•••"
"""What stands where a secret was."""

_HIDDEN: Final = re.compile(
    "[\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e01ff]"
)


def asked(detail: ExchangeDetail) -> Message | None:
    """The client's request, as it came first."""
    return _first(detail, Hop.CLIENT, is_outgoing=False, kind=MessageKind.REQUEST)


def answered(detail: ExchangeDetail) -> Message | None:
    """What the client was told in the end."""
    return _last(detail, Hop.CLIENT, is_outgoing=True, kind=MessageKind.RESPONSE)


def forwarded(detail: ExchangeDetail) -> Message | None:
    """The request that a server got, as it was sent last."""
    return _last(detail, Hop.SERVER, is_outgoing=True, kind=MessageKind.REQUEST)


def returned(detail: ExchangeDetail) -> Message | None:
    """What a server answered last."""
    return _last(detail, Hop.SERVER, is_outgoing=False, kind=MessageKind.RESPONSE)


def _first(detail: ExchangeDetail, hop: Hop, *, is_outgoing: bool, kind: MessageKind) -> Message | None:
    return next(_matching(detail.messages, hop, is_outgoing, kind), None)


def _last(detail: ExchangeDetail, hop: Hop, *, is_outgoing: bool, kind: MessageKind) -> Message | None:
    return next(_matching(detail.messages[::-1], hop, is_outgoing, kind), None)


def _matching(messages: tuple[Message, ...], hop: Hop, is_outgoing: bool, kind: MessageKind) -> Any:
    return (
        message
        for message in messages
        if message.hop is hop and message.is_outgoing is is_outgoing and message.kind is kind
    )


def value_of(body: str) -> Any:
    """The JSON value of a body. Raises: ValueError, if it is none or nested too deep to be read."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("It is nested too deep.") from error


def params_of(message: Message) -> dict[str, Any]:
    """The params of a request. Raises: ValueError."""
    params = value_of(message.body)
    if not isinstance(params, dict):
        raise ValueError("Its params are no object.")
    return params


def result_of(message: Message) -> Any:
    """The result of a response, or its error as `{"error": ...}`. Raises: ValueError."""
    value = value_of(message.body)
    return {"error": value} if message.is_error else value


def escaped(text: str) -> str:
    """JSON text in which what hides or steers is written as an escape: the same value, fit to be pasted."""
    return _HIDDEN.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that may be pasted anywhere. Raises: ValueError, if it is nested too deep."""
    try:
        return escaped(json.dumps(value, ensure_ascii=False, indent=indent))
    except RecursionError as error:
        raise ValueError("It is nested too deep.") from error
