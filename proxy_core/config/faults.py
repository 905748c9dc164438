"""What is wrong with a configuration, in a person's words: found, allowed, nearest known key. Pure.

Values are shown as the file has them, never as the environment filled them in, and not at all where secrets
stand: under `env`, `headers`, `args`, in URLs, sealing keys and digests of tokens.
"""

import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy_core.config.document import KeyPath, printable, shown_path
from proxy_core.config.models import Config, ServerConfig
from proxy_core.config.slugs import slug
from proxy_core.errors import ConfigError, ConfigProblem

_HIDDEN: Final = frozenset({"env", "headers", "args", "url", "seal_keys", "sha256"})
_TRANSPORT_AT: Final = 2
"""servers, index, transport"""
_ABSENT = object()


def faults(error: ValidationError, raw: Any) -> list[tuple[KeyPath, str]]:
    """Each fault's key path and message. `raw` is the data as the file has it."""
    result = []
    for details in error.errors(include_url=False):
        path = _key_path(details)
        result.append((path, _message(details, path, _at(raw, path))))
    return result


def checked_server(settings: dict[str, Any], source: str) -> ServerConfig:
    """One server's settings, checked. Raises: ConfigError that names `source` as the place."""
    data = {"servers": [settings]}
    try:
        return Config.model_validate(data).servers[0]
    except ValidationError as error:
        found = [ConfigProblem(shown_path(path[2:]), message) for path, message in faults(error, data)]
        raise ConfigError(source, tuple(found)) from error


def nearest(word: str, known: list[str]) -> str:
    """` Did you mean 'x'?`, or nothing."""
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _key_path(details: ErrorDetails) -> KeyPath:
    """pydantic's location without what is not in the file: the tag of a union, the mark of a dict key."""
    loc = details["loc"]
    # An unknown key may itself be called that.
    path = loc[:-1] if loc[-1:] == ("[key]",) and details["type"] != "extra_forbidden" else loc
    if details["type"] == "union_tag_invalid":
        return (*path, "type")
    if path[:1] == ("servers",) and path[_TRANSPORT_AT : _TRANSPORT_AT + 1] == ("transport",):
        return path[: _TRANSPORT_AT + 1] + path[_TRANSPORT_AT + 2 :]
    return path


def _at(raw: Any, path: KeyPath) -> Any:
    for step in path:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return raw


def _message(details: ErrorDetails, path: KeyPath, raw: Any) -> str:
    kind, ctx = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path, details["loc"])
    if kind == "missing":
        return "this key is required and missing."
    if kind == "union_tag_not_found":
        return "the key 'type' is missing; it must be one of stdio, http, sse."
    found = _found(raw, path)
    if kind in {"literal_error", "union_tag_invalid"}:
        return _wrong_word(raw, found, str(ctx.get("expected", ctx.get("expected_tags"))))
    if kind == "string_pattern_mismatch" and path[-1] == "id":
        return f"{found}; an id is 2 to 24 of a-z, 0-9 and -, from a letter on: for example {slug(str(raw))!r}."
    if kind == "value_error":
        return f"{found}; {str(ctx.get('error', details['msg'])).rstrip('.')}."
    if wanted := _WANTED.get(kind):
        return f"{found}; {wanted(ctx)}."
    return f"{found}; {details['msg'][:1].lower()}{details['msg'][1:]}."


def _unknown_key(path: KeyPath, loc: tuple[int | str, ...]) -> str:
    known = known_keys(loc[:-1])
    return f"unknown key.{nearest(str(path[-1]), known)} Allowed: {', '.join(known)}."


def _wrong_word(raw: Any, found: str, expected: str) -> str:
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    guess = nearest(raw, words) if isinstance(raw, str) else ""
    return f"{found}; allowed: {', '.join(words)}.{guess}"


def _text_wanted(_ctx: Mapping[str, Any]) -> str:
    return "text is wanted here (put it in quotes)"


_WANTED: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "string_type": _text_wanted,
    "string_too_short": lambda ctx: f"at least {ctx['min_length']} characters are needed",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters are allowed",
    "string_pattern_mismatch": lambda ctx: f"it must match {ctx['pattern']}",
    "int_type": lambda _: "a whole number is wanted",
    "int_parsing": lambda _: "a whole number is wanted",
    "int_parsing_size": lambda _: "the number is too large",
    "int_from_float": lambda _: "a whole number is wanted",
    "float_type": lambda _: "a number is wanted",
    "float_parsing": lambda _: "a number is wanted",
    "finite_number": lambda _: "a finite number is wanted",
    "bool_type": lambda _: "true or false is wanted",
    "bool_parsing": lambda _: "true or false is wanted",
    "tuple_type": lambda _: "a list is wanted",
    "dict_type": lambda _: "a mapping of names to text is wanted",
    "model_type": lambda _: "a mapping of keys is wanted",
    "model_attributes_type": lambda _: "a mapping of keys is wanted",
    "greater_than": lambda ctx: f"it must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"it must be at least {ctx['ge']:g}",
    "less_than_equal": lambda ctx: f"it must be at most {ctx['le']:g}",
}


def _found(raw: Any, path: KeyPath) -> str:
    if isinstance(raw, dict | list):
        return "found a mapping" if isinstance(raw, dict) else "found a list"
    if raw is None:
        return "found nothing"
    if raw is _ABSENT or _HIDDEN.intersection(step for step in path if isinstance(step, str)):
        return "found text" if isinstance(raw, str) else "found a value that is no text"
    text = str(raw).lower() if isinstance(raw, bool) else printable(str(raw), 40)
    return f"found {text!r}" if isinstance(raw, str) else f"found {text}"


def known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at pydantic's location `loc` has."""
    annotation: Any = Config
    for step in loc:
        annotation = _step_into(annotation, step)
    return list(annotation.model_fields) if _is_model(annotation) else []


def _step_into(annotation: Any, step: int | str) -> Any:
    if _is_model(annotation):
        # A field's metadata (as a union's discriminator) is already taken off its annotation.
        return annotation.model_fields[str(step)].annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return _step_into(get_args(annotation)[0], step)
    if origin in {Union, types.UnionType}:
        return next((one for one in get_args(annotation) if _tag(one) == step), None)
    return get_args(annotation)[0] if origin is tuple else None


def _tag(model: Any) -> object:
    return model.model_fields["type"].default if _is_model(model) else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
