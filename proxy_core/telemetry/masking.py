"""Secrets in what is recorded: found by the name they go under and by their looks, replaced by dots. Pure.

When in doubt it is hidden: a shown secret cannot be taken back. Everything here is hostile: no recursion that
grows with what came, no pattern whose cost grows faster than its text.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

DOTS: Final = "•••"
MAX_JSON_BYTES: Final = 32 * 1024
"""A longer body is masked as text: its many values would take too long at a stretch."""
MAX_NESTED: Final = 3
"""How often JSON that is written in a string of JSON is looked into as JSON."""
MAX_NAME: Final = 256
"""Characters of a name that are looked at."""

SECRET_NAME: Final = (
    r"authorization|(?<!progress)(?<!progress_)(?<!page)(?<!page_)(?<!continuation)token(?!s(?![a-z])|i[sz])"
    r"|(?:access|refresh|auth|api|bearer)[_-]?tokens|secret|passw|passphrase|pwd|credential|bearer|cookie|session(?!s(?![a-z]))"
    r"|(?:api|access|private|client|license|signing|encryption|account)[_.-]?key|conn(?:ection)?[_.-]?str"
    r"|(?<![a-z])(?:auth|pass|jwt|dsn)(?![a-z])"
)
"""Of a variable, member or header: what goes under it is nobody's to read. For a pattern that ignores case."""
TOKEN_STARTS: Final = (
    r"gh[oprsu]_|github_pat_|glpat-|sk[-_]|pk_|rk_|xox[a-z]-|npm_|pypi-|hf_|lin_|ntn_|o1_|ya29\.|AKIA|ASIA|AIza"
)
"""How tokens of well-known services begin."""

_NAME: Final = re.compile(f"(?i)(?:{SECRET_NAME})")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHAPE: Final = re.compile(
    rf"(?<![A-Za-z0-9])(?:{TOKEN_STARTS})[A-Za-z0-9_.=-]{{12,}}"
    r"|(?<![A-Za-z0-9])eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)*"
    r"|(?i:(?<![a-z0-9])(?:bearer|basic)(?:\s|%20|\\u0020){1,4}(?=[^\s\"'<>\\]*[\d=_.~+/-])[\w.~+/=-]{6,})"
    r"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?s:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)"
)
_SHAPE_STARTS: Final = (
    *(
        "gho_",
        "ghp_",
        "ghr_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "glpat-",
        "sk-",
        "sk_",
        "pk_",
        "rk_",
        "xox",
        "npm_",
    ),
    *(
        "pypi-",
        "hf_",
        "lin_",
        "ntn_",
        "o1_",
        "ya29.",
        "akia",
        "asia",
        "aiza",
        "eyj",
        "bearer",
        "basic",
        "-----begin",
    ),
)
"""In lower case, how a match of `_SHAPE` may begin: to look for these first costs a fraction."""
_USER: Final = re.compile(r"[^\s/@\"'<>\\]{1,512}(?=@)")
_USER_FOLLOWS: Final = ("://", ":\\/\\/")
_KEYED: Final = re.compile(
    rf"(?i)(?:{SECRET_NAME}|(?<=[?&])(?:key|sig|signature|code)(?==))[\w.-]{{0,40}}\\{{0,8}}[\"']?\s{{0,8}}[:=]\s{{0,8}}"
)
_NAME_STARTS: Final = (
    *("auth", "token", "access", "refresh", "api", "bearer", "secret", "pass", "pwd", "credential", "cookie"),
    *("session", "private", "client", "license", "signing", "encryption", "account", "conn", "jwt", "dsn"),
    *("key=", "sig=", "signature=", "code="),
)
"""Likewise of `_KEYED`."""
_QUOTE: Final = re.compile(r"(\\{0,8})([\"'])")
_INSIDE: Final = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*", re.DOTALL) for quote in "\"'"}
_BARE: Final = re.compile(r"(?:(?i:bearer|basic|token|digest)\s{1,4})?[^\s,;&\"'<>(){}\[\]\\]+")
_LINE: Final = re.compile(r"[^\r\n\"'\\]+")
_WHOLE_LINE: Final = re.compile(r"(?i)authorization|cookie")
_HARMLESS: Final = re.compile(r"(?i)(?:true|false|null|none|undefined|)$")
_BRACKET_OR_STRING: Final = re.compile(r"[{}\[\]]|\"(?:[^\"\\]|\\.)*\"?", re.DOTALL)
_ASCII_ESCAPE: Final = re.compile(r"\\u00([2-7][0-9a-fA-F])")

_HINTS: Final = (
    *("auth", "token", "secret", "pass", "pwd", "credential", "cookie", "session", "key", "jwt"),
    *("dsn", "conn", "sig", "code=", "\\u"),
    *_SHAPE_STARTS,
    "@",
)
"""Without one of these in it, a text in lower case holds nothing that is masked: a look that costs little."""
_HINT: Final = re.compile("|".join(map(re.escape, _HINTS)))
_SHORT: Final = 64
"""Characters up to which one pattern is quicker than many searches."""
_MAX_HARMLESS: Final = 1024

_CREDENTIAL_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth", "x-signature"}
)
_SESSION_HEADER: Final = "mcp-session-id"
_SHOWN_OF_SESSION: Final = 8
_SCHEMA_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SCHEMA_WORDS: Final = frozenset({"type", "title", "description", "format", "$ref", "pattern"})
"""Members of a JSON schema that describe, and hold no value."""


class Masked(NamedTuple):
    text: str
    found: int
    """Secrets that were masked."""


_harmless: Final[dict[str, Masked]] = {}
"""Short texts without a hint of a secret, which were looked at before."""


class _Mode(Enum):
    SHOWN = auto()
    HIDDEN = auto()
    """It goes under the name of a secret."""
    SCHEMA = auto()
    """It describes a secret: what it says of it may be read, a value that it gives may not."""


# --- what is asked from outside -----------------------------------------------------------------------------


def may_hold_secrets(body: bytes) -> bool:
    """False: surely none that would be masked."""
    # Every byte as a letter: bytes are looked for in bytes three times as slowly. None becomes one of ASCII.
    return _hints_in(body.decode("latin-1").lower())


def masked_body(body: bytes) -> Masked:
    """JSON, or what should be; as it came where there is nothing to hide."""
    if not may_hold_secrets(body):
        return Masked(_text(body), 0)
    found = _masked_json(body, MAX_NESTED) if len(body) <= MAX_JSON_BYTES else None
    # Letters that are written as escapes would hide a name from the text's patterns.
    return found or masked_text(_ASCII_ESCAPE.sub(_unescaped, _text(body)))


def masked_text(text: str) -> Masked:
    """Words for people, a URL, or what else is no JSON. What is no Unicode of it is shown as question marks."""
    if (known := _harmless.get(text)) is not None:
        return known
    given, text = text, _unicode(text)
    lower = text.lower()
    if not _hints_in(lower):
        masked = Masked(text, 0)
        if len(given) <= _SHORT:
            # Names of methods and tools, steps, headers: few, and told of each request again.
            if len(_harmless) >= _MAX_HARMLESS:
                _harmless.clear()
            _harmless[given] = masked
        return masked
    if len(lower) != len(text):
        # A few letters become two; places in one must be those in the other.
        lower = "".join(small if len(small := char.lower()) == 1 else char for char in text)
    spans = sorted((*_named_spans(text, lower), *_shaped_spans(text, lower)))
    return _without(text, spans) if spans else Masked(text, 0)


def masked_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[tuple[str, str], ...], int]:
    """Credentials never, a session's id only its beginning; and how many were masked."""
    shown, count = [], 0
    for name, value in headers:
        text, found = _masked_header(name, _unicode(value))
        shown.append((_unicode(name), text))
        count += found
    return tuple(shown), count


@lru_cache(maxsize=2048)
def is_secret_name(name: str) -> bool:
    """Of a member, a variable or a header; `accessToken` as `access_token`."""
    return (
        _NAME.search(_CAMEL.sub("_", name[:MAX_NAME])) is not None or _NAME.search(name[:MAX_NAME]) is not None
    )


def _hints_in(lower: str) -> bool:
    if len(lower) < _SHORT:
        return _HINT.search(lower) is not None
    # A generator would cost more than what it is made for.
    for hint in _HINTS:
        if hint in lower:
            return True
    return False


# --- headers ------------------------------------------------------------------------------------------------


def _masked_header(name: str, value: str) -> Masked:
    lower = name.lower()
    if lower == _SESSION_HEADER:
        is_short = len(value) <= 2 * _SHOWN_OF_SESSION
        return Masked(DOTS if is_short else value[:_SHOWN_OF_SESSION] + "…", 1)
    if lower in _CREDENTIAL_HEADERS or is_secret_name(lower):
        return Masked(DOTS, 1)
    return masked_text(value)


# --- JSON ---------------------------------------------------------------------------------------------------


def _masked_json(body: bytes | str, depth: int) -> Masked | None:
    """None: it is no JSON, or nested too deep to be read as such."""
    try:
        root = [msgspec.json.decode(body)]
        count = _mask_values(root, depth)
        if not count:
            return Masked(body if isinstance(body, str) else _text(body), 0)
        return Masked(msgspec.json.encode(root[0]).decode(), count)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _mask_values(root: list[Any], depth: int) -> int:
    """In place, with a stack of our own: how many there were."""
    count = 0
    stack: list[tuple[dict[str, Any] | list[Any], _Mode]] = [(root, _Mode.SHOWN)]
    while stack:
        holder, mode = stack.pop()
        if isinstance(holder, dict):
            count += _mask_names(holder)
            items: list[tuple[Any, Any]] = list(holder.items())
        else:
            items = list(enumerate(holder))
        named = _named_beside(holder) if mode is _Mode.SHOWN else None
        for key, item in items:
            inner = _mode_of(key, item, mode, is_named=key == named)
            if isinstance(item, dict | list):
                stack.append((item, inner))
                continue
            text, found = _masked_leaf(item, inner, depth)
            if found:
                holder[key] = text
                count += found
    return count


def _mode_of(key: object, item: object, mode: _Mode, *, is_named: bool) -> _Mode:
    if mode is _Mode.HIDDEN:
        return mode
    if mode is _Mode.SCHEMA:
        return _Mode.SHOWN if key in _SCHEMA_WORDS and isinstance(item, str) else _Mode.HIDDEN
    if is_named or (isinstance(key, str) and is_secret_name(key)):
        return _Mode.SCHEMA if _is_schema(item) else _Mode.HIDDEN
    return mode


def _masked_leaf(item: object, mode: _Mode, depth: int) -> Masked:
    if mode is _Mode.HIDDEN:
        is_nothing = item is None or isinstance(item, bool) or item in ("", DOTS)
        return Masked(DOTS, 0 if is_nothing else 1)
    if not isinstance(item, str):
        return Masked("", 0)
    if depth and item.lstrip()[:1] in ("{", "["):
        return _masked_json(item, depth - 1) or masked_text(item)
    return masked_text(item)


def _mask_names(holder: dict[str, Any]) -> int:
    """A name may be a secret too, or hold one."""
    renamed = {}
    for name in holder:
        text, found = masked_text(name)
        if found:
            renamed[name] = text
    for number, (name, text) in enumerate(renamed.items()):
        holder[f"{text}{number or ''}"] = holder.pop(name)
    return len(renamed)


def _named_beside(holder: object) -> str | None:
    """`{"name": "API_KEY", "value": ...}`: the member that is named so."""
    if isinstance(holder, dict) and "value" in holder:
        name = holder.get("name", holder.get("key"))
        if isinstance(name, str) and is_secret_name(name):
            return "value"
    return None


def _is_schema(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    return (isinstance(kind, str) and kind in _SCHEMA_TYPES) or isinstance(item.get("$ref"), str)


# --- text ---------------------------------------------------------------------------------------------------


Span = tuple[int, int]


def _without(text: str, spans: list[Span]) -> Masked:
    """`spans`: by their beginnings; those that touch are one."""
    parts, done, count = [], 0, 0
    for start, end in spans:
        if start >= done or not count:
            parts += [text[done:start], DOTS]
            count += 1
        done = max(done, end)
    return Masked("".join((*parts, text[done:])), count)


def _places(lower: str, starts: Iterable[str]) -> list[int]:
    """Where one of these begins, in order."""
    places = []
    for word in starts:
        place = lower.find(word)
        while place >= 0:
            places.append(place)
            place = lower.find(word, place + 1)
    places.sort()
    return places


def _named_spans(text: str, lower: str) -> Iterator[Span]:
    """What stands behind a secret's name."""
    done = 0
    for place in _places(lower, _NAME_STARTS):
        found = _KEYED.match(text, place) if place >= done else None
        if found is not None:
            start, end = _value_at(text, found.end(), found[0])
            if start < end and not _HARMLESS.match(text[start:end]) and text[start:end] != DOTS:
                yield start, end
            done = max(end, found.end())


def _shaped_spans(text: str, lower: str) -> Iterator[Span]:
    """What looks like a secret."""
    done = 0
    for place in _places(lower, _SHAPE_STARTS):
        found = _SHAPE.match(text, place) if place >= done else None
        if found is not None:
            yield found.span()
            done = found.end()
    if "@" in text:
        for mark in _USER_FOLLOWS:
            for place in _places(lower, (mark,)):
                if (user := _USER.match(text, place + len(mark))) is not None:
                    yield user.span()


def _value_at(text: str, start: int, name: str) -> tuple[int, int]:
    quote = _QUOTE.match(text, start)
    if quote is not None:
        return quote.end(), _end_of_string(text, quote.end(), quote[1], quote[2])
    if text[start : start + 1] in ("{", "["):
        return start, _end_of_brackets(text, start)
    pattern = _LINE if _WHOLE_LINE.search(name) else _BARE
    bare = pattern.match(text, start)
    return start, start if bare is None else bare.end()


def _end_of_string(text: str, start: int, escapes: str, quote: str) -> int:
    """Where it ends; the end of the text, if it was cut."""
    if escapes:
        end = text.find(escapes + quote, start)
        return len(text) if end < 0 else end
    inside = _INSIDE[quote].match(text, start)
    return start if inside is None else inside.end()


def _end_of_brackets(text: str, start: int) -> int:
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(text, start):
        if found[0] in ("{", "["):
            depth += 1
        elif found[0] in ("}", "]"):
            depth -= 1
            if not depth:
                return found.end()
    return len(text)


def _unescaped(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return found[0] if char in '"\\' else char


def _unicode(text: str) -> str:
    """Of headers and paths, bytes that are no UTF-8 come as halves of characters, which nobody can write."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _text(body: bytes) -> str:
    return body.decode(errors="replace")
