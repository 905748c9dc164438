"""What a server may ask of a client in the middle of a call, from one revision to another. Pure.

Questions stay JSON: a form's schema arrives as the server wrote it, unless the client's revision has no word
for a part of it. Addresses are looked at, never opened and never changed.
Spec: 2026-07-28 basic/patterns/mrtr; client/elicitation, client/sampling and client/roots of each revision.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Raw, Struct
from msgspec.structs import replace

from proxy_core.errors import ErrorCode, Only1Error, ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import Feature, needed
from proxy_core.protocol.methods import META

ELICITATION: Final = "elicitation/create"
SAMPLING: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"
MAY_ASK: Final = frozenset({"tools/call", "prompts/get", "resources/read"})
"""The requests whose answer may be that the server needs input first."""
MAX_QUESTIONS: Final = 10
"""Of one call, or in one result."""
MAX_QUESTION_BYTES: Final = 4_194_304

_ASKABLE: Final = frozenset({ELICITATION, SAMPLING, ROOTS})
_NOT_MODERN: Final = ("_meta", "task", "elicitationId")
_FORMS_ONLY: Final = "2025-06-18"
"""The revision whose elicitation knows no modes, no titled choices and no choice of several."""


class Unaskable(Only1Error):
    """A question that cannot be put to this client. `code` is for the server that asks."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Question(Struct, frozen=True):
    """One request of a server to a client."""

    method: str
    params: dict[str, Raw]
    needed: frozenset[Feature]
    """What a client must have declared to be asked this."""

    @property
    def is_elicitation(self) -> bool:
        return self.method == ELICITATION

    @property
    def is_for_url(self) -> bool:
        return "elicitation.url" in self.needed

    @property
    def elicitation_id(self) -> str | None:
        value = jsonrpc.decode(self.params.get("elicitationId", jsonrpc.NO_JSON))
        return value if isinstance(value, str) and self.is_for_url else None


# --- reading what a server asks ------------------------------------------------------------------------------


def read(method: str, params: Raw) -> Question:
    """The question in a server's request. Raises: Unaskable."""
    if method not in _ASKABLE:
        raise Unaskable(ErrorCode.METHOD_NOT_FOUND, f"Method not found: {method[:128]}")
    if memoryview(params).nbytes > MAX_QUESTION_BYTES:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The request is too large.")
    try:
        members = jsonrpc.members(params)
        if method == ELICITATION:
            _check_elicitation(members)
        return Question(method, members, needed(method, _telling(members)))
    except ParseError as error:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The params are not valid.") from error


def read_entry(entry: Raw) -> Question:
    """The question in one value of `inputRequests`. Raises: Unaskable."""
    try:
        members = jsonrpc.members(entry)
        method = jsonrpc.decode(members.get("method", jsonrpc.NO_JSON))
    except ParseError as error:
        raise Unaskable(ErrorCode.INVALID_REQUEST, "An input request is no object.") from error
    return read(method if isinstance(method, str) else "", members.get("params", jsonrpc.NO_JSON))


def _telling(members: dict[str, Raw]) -> dict[str, Any]:
    """The members that decide what the client must be able to do."""
    words = {name: jsonrpc.decode(members.get(name, jsonrpc.NO_JSON)) for name in ("mode", "includeContext")}
    told: dict[str, Any] = {name: word for name, word in words.items() if isinstance(word, str)}
    return told | {name: True for name in ("tools", "toolChoice") if not _is_absent(members, name)}


def _check_elicitation(members: dict[str, Raw]) -> None:
    if not isinstance(jsonrpc.decode(members.get("message", jsonrpc.NO_JSON)), str):
        raise Unaskable(ErrorCode.INVALID_PARAMS, "An elicitation needs a message.")
    mode = jsonrpc.decode(members.get("mode", jsonrpc.NO_JSON))
    if mode == "url":
        if not is_safe_url(jsonrpc.decode(members.get("url", jsonrpc.NO_JSON))):
            raise Unaskable(ErrorCode.INVALID_PARAMS, "Only https URLs are shown to people.")
    elif mode in (None, "form"):
        # An absent schema is refused here too: it is no object.
        jsonrpc.members(members.get("requestedSchema", Raw(b"null")))
    else:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The mode of an elicitation is form or url.")


def is_safe_url(url: object) -> bool:
    """Whether a person may be sent there: https, or http on this very machine."""
    # A backslash is a slash to browsers only, so the host that we see would not be theirs.
    if not isinstance(url, str) or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# --- putting it to a client ----------------------------------------------------------------------------------


def titled(question: Question, title: str) -> Question:
    """An elicitation's message begins with who asks, once; anything else stays as it is."""
    if not question.is_elicitation:
        return question
    message, prefix = jsonrpc.decode(question.params["message"]), f"[{title}] "
    if message.startswith(prefix):
        return question
    return replace(question, params=question.params | {"message": Raw(jsonrpc.encode(prefix + message))})


def with_elicitation_id(question: Question, new_id: str, *, keep: bool = True) -> Question:
    """With the id that 2025-11-25 wants of every page; `keep` leaves one that the server gave."""
    if not question.is_for_url or (keep and question.elicitation_id is not None):
        return question
    return replace(question, params=question.params | {"elicitationId": Raw(jsonrpc.encode(new_id))})


def for_modern(question: Question) -> dict[str, Any]:
    """One value of `inputRequests`, without what only the legacy era has."""
    params = {name: value for name, value in question.params.items() if name not in _NOT_MODERN}
    return {"method": question.method, "params": params}


def for_legacy(question: Question, revision: str) -> bytes:
    """The params of the request to a client of `revision`, on one line.

    Raises: Unaskable if that revision has no words for it.
    """
    params = {name: value for name, value in question.params.items() if name != "task"}
    meta = _vendor_meta(params.pop("_meta", jsonrpc.NO_JSON))
    if meta:
        params["_meta"] = Raw(jsonrpc.encode(meta))
    if question.is_elicitation and revision == _FORMS_ONLY:
        params.pop("mode", None)
        params["requestedSchema"] = _older_schema(params["requestedSchema"])
    return jsonrpc.one_line(jsonrpc.encode(params))


def _vendor_meta(raw: Raw) -> dict[str, Raw]:
    """What is neither the protocol's own nor a token, which would be of no use on another connection."""
    try:
        meta = jsonrpc.members(raw)
    except ParseError:
        return {}
    return {
        name: value for name, value in meta.items() if name != "progressToken" and not name.startswith(META)
    }


def _older_schema(raw: Raw) -> Raw:
    try:
        schema = jsonrpc.members(raw)
        fields = jsonrpc.members(schema.get("properties", jsonrpc.NO_JSON))
        older = {name: _older_field(field) for name, field in fields.items()}
    except ParseError as error:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The requested schema is not valid.") from error
    if all(older[name] is field for name, field in fields.items()):
        return raw
    return Raw(jsonrpc.encode(schema | {"properties": Raw(jsonrpc.encode(older))}))


def _older_field(raw: Raw) -> Raw:
    """Titled choices as `enum` and `enumNames`; the very same object if there are none."""
    field = jsonrpc.members(raw)
    if jsonrpc.decode(field.get("type", jsonrpc.NO_JSON)) == "array":
        raise Unaskable(ErrorCode.INTERNAL_ERROR, "The client's revision has no choice of several values.")
    choices = jsonrpc.decode(field.pop("oneOf", jsonrpc.NO_JSON))
    if choices is None:
        return raw
    if not isinstance(choices, list) or not all(_is_choice(choice) for choice in choices):
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The choices of a field are not valid.")
    values, names = [c["const"] for c in choices], [c["title"] for c in choices]
    return Raw(
        jsonrpc.encode(field | {"enum": Raw(jsonrpc.encode(values)), "enumNames": Raw(jsonrpc.encode(names))})
    )


def _is_choice(choice: object) -> bool:
    return (
        isinstance(choice, dict)
        and isinstance(choice.get("const"), str)
        and isinstance(choice.get("title"), str)
    )


# --- the pages of the error -32042 ---------------------------------------------------------------------------


def pages(raw_data: bytes) -> list[Question]:
    """The pages that a URLElicitationRequiredError names. Raises: Unaskable if any of them cannot be shown."""
    try:
        listed = jsonrpc.members(raw_data).get("elicitations", jsonrpc.NO_JSON)
        questions = [_page(item) for item in jsonrpc.array_items(bytes(listed))]
    except ParseError as error:
        raise Unaskable(ErrorCode.INVALID_REQUEST, "The error names no pages.") from error
    if len(questions) > MAX_QUESTIONS:
        raise Unaskable(ErrorCode.INVALID_REQUEST, "The error names too many pages.")
    return questions


def _page(item: bytes) -> Question:
    question = read(ELICITATION, Raw(item))
    if not question.is_for_url:
        raise Unaskable(ErrorCode.INVALID_REQUEST, "The error names what is no page.")
    return question


def _is_absent(members: Mapping[str, Raw], name: str) -> bool:
    return bytes(members.get(name, jsonrpc.NO_JSON)) in (b"", b"null")
