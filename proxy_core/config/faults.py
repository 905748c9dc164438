"""What is wrong with a configuration, in a person's words: found, allowed, nearest known key. Pure.

Values are shown as the file has them, never as the environment filled them in, and not at all where secrets
stand: under `env`, `headers`, `args`, in URLs, paths of probes, sealing and audit keys, and digests of tokens.
"""

import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy_core.config.document import KeyPath, printable, shown_path
from proxy_core.config.models import Config, ServerConfig
from proxy_core.config.slugs import slug
from proxy_core.errors import ConfigError, ConfigProblem

_HIDDEN: Final = frozenset(
    {"env", "headers", "args", "url", "seal_keys", "sha256", "client_secret", "private_key"}
)
_UNIONS: Final = frozenset({Union, types.UnionType})
_ABSENT = object()


def faults(error: ValidationError, raw: Any) -> list[tuple[KeyPath, str]]:
    """Each fault's key path and message. `raw` is the data as the file has it."""
    found = [(_key_path(details), details) for details in error.errors(include_url=False)]
    return [
        (path, _message(details, path, _at(raw, path)))
        for path, details in found
        if not (details["type"] == "too_short" and any(_is_inside(other, path) for other, _ in found))
    ]


def _is_inside(path: KeyPath, outer: KeyPath) -> bool:
    """pydantic counts the good items alone, so that one bad item makes a list too short as well."""
    return len(path) > len(outer) and path[: len(outer)] == outer


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
    # Here, as only a configuration with a mistake in it comes this way.
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _key_path(details: ErrorDetails) -> KeyPath:
    """pydantic's location without what is not in the file: names of a union's members, marks of dict keys."""
    loc = details["loc"]
    # An unknown key may itself be called that.
    loc = loc[:-1] if loc[-1:] == ("[key]",) and details["type"] != "extra_forbidden" else loc
    path: KeyPath = ()
    annotation: Any = Config
    for step in loc:
        if not _is_choice(annotation):
            path = (*path, step)
        annotation = _step_into(annotation, step)
    return (*path, "type") if details["type"] == "union_tag_invalid" else path


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
    if kind == "string_pattern_mismatch" and path[:-1] == ("profiles",):
        # A key, which is found in its path; the value under it is not at fault.
        form = "2 to 24 of a-z, 0-9 and -, from a letter on"
        return f"the name of a profile is {form}: for example {slug(str(path[-1]))!r}."
    found = _found(raw, path)
    if kind in {"literal_error", "union_tag_invalid"}:
        return _wrong_word(raw, found, str(ctx.get("expected", ctx.get("expected_tags"))))
    if kind == "string_pattern_mismatch" and path[-1] == "id":
        form = (
            "1 to 24 of a-z, 0-9 and -" if "replicas" in path else "2 to 24 of a-z, 0-9 and -, from a letter on"
        )
        return f"{found}; an id is {form}: for example {slug(str(raw))!r}."
    if kind == "value_error":
        return _refused(raw, found, str(ctx.get("error", details["msg"])).rstrip("."))
    if wanted := _WANTED.get(kind):
        return f"{found}; {wanted(ctx)}."
    return f"{found}; {details['msg'][:1].lower()}{details['msg'][1:]}."


def _unknown_key(path: KeyPath, loc: tuple[int | str, ...]) -> str:
    known = known_keys(loc[:-1])
    return f"unknown key.{nearest(str(path[-1]), known)} Allowed: {', '.join(known)}."


def _refused(raw: Any, found: str, reason: str) -> str:
    """What a validator of ours said; one that lists what is allowed is helped to name the nearest."""
    if reason.startswith("allowed: "):
        return _wrong_word(raw, found, reason.removeprefix("allowed: "))
    return f"{found}; {reason}."


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
    "too_short": lambda ctx: f"at least {ctx['min_length']} of them are needed",
    "too_long": lambda ctx: f"at most {ctx['max_length']} of them are allowed",
    "dict_type": lambda _: "a mapping is wanted",
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
    if raw is _ABSENT or _may_be_secret(path):
        return "found text" if isinstance(raw, str) else "found a value that is no text"
    text = str(raw).lower() if isinstance(raw, bool) else printable(str(raw), 40)
    return f"found {text!r}" if isinstance(raw, str) else f"found {text}"


def _may_be_secret(path: KeyPath) -> bool:
    is_probe = "endpoints" in path and path[-1] == "path"
    return (
        is_probe
        or path == ("audit", "key")
        or not _HIDDEN.isdisjoint(step for step in path if isinstance(step, str))
    )


def known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at pydantic's location `loc` has."""
    annotation: Any = Config
    for step in loc:
        annotation = _step_into(annotation, step)
    return list(annotation.model_fields) if _is_model(annotation) else []


def _step_into(annotation: Any, step: int | str) -> Any:
    """What one step of pydantic's location leads to; None where no model can be."""
    annotation = _bare(annotation)
    if _is_model(annotation):
        field = annotation.model_fields.get(str(step))
        return field.annotation if field is not None else None
    if _is_choice(annotation):
        return next((one for one in get_args(annotation) if _tag(one) == step), None)
    inside = {tuple: 0, dict: 1}.get(get_origin(annotation))
    return get_args(annotation)[inside] if inside is not None else None


def _bare(annotation: Any) -> Any:
    """The annotation without metadata, and without `| None`, of which pydantic's locations say nothing."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        kept = [one for one in get_args(annotation) if one is not types.NoneType]
        return _bare(kept[0]) if len(kept) == 1 else annotation
    return annotation


def _is_choice(annotation: Any) -> bool:
    """Whether pydantic's next step names a member of a union, which is nothing of the file."""
    return get_origin(_bare(annotation)) in _UNIONS


def _tag(model: Any) -> object:
    return model.model_fields["type"].default if _is_model(model) else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
