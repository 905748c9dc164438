"""Every binding has a name, made of its action, under which the configuration may give it other keys."""

import re
from collections.abc import Iterable
from dataclasses import replace

from textual.binding import Binding, BindingType

_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


def id_of(action: str) -> str:
    """`switch_mode('overview')` is switch-mode-overview, `scroll_by(-1)` scroll-by-back-1."""
    return _NOT_A_NAME.sub("-", action.lower().replace("(-", "(back-").removeprefix("app.")).strip("-")


def named(bindings: Iterable[BindingType]) -> list[BindingType]:
    """The same with ids. Equal actions of different screens share one, so a key is changed for all of them."""
    whole = (each if isinstance(each, Binding) else Binding(*each) for each in bindings)
    return [each if each.id else replace(each, id=id_of(each.action)) for each in whole]
