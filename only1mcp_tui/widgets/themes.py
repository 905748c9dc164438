"""Our two themes: quiet grounds, one blue, and colour kept for what needs an eye."""

from collections.abc import Collection, Mapping, Sequence

from textual.theme import Theme

DARK = Theme(
    name="only1-dark",
    primary="#6cb6ff",
    secondary="#8ddb8c",
    accent="#b8a1ff",
    success="#6bc46d",
    warning="#e0b050",
    error="#f47067",
    foreground="#cdd6e0",
    background="#12161d",
    surface="#181d26",
    panel="#1e2530",
    dark=True,
)
LIGHT = Theme(
    name="only1-light",
    primary="#1f6feb",
    secondary="#2da44e",
    accent="#7a4fd6",
    success="#1a7f37",
    warning="#9a6700",
    error="#cf222e",
    foreground="#24292f",
    background="#fbfcfd",
    surface="#f1f4f8",
    panel="#e6ebf1",
    dark=False,
)
ANSI = "ansi-dark"
"""Textual's theme of the terminal's own sixteen colours."""


def first_theme(
    wanted: Sequence[str | None], there: Collection[str], environ: Mapping[str, str], is_headless: bool = False
) -> str:
    """The first of the wanted that is there; else ours, or the sixteen colours where a terminal has no more."""
    for name in wanted:
        if name in there and name is not None:
            return name
    return DARK.name if is_headless or has_many_colours(environ) else ANSI


def has_many_colours(environ: Mapping[str, str]) -> bool:
    """Whether our grounds, close to one another, can be told apart. 256 colours are enough for that."""
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return True
    term = environ.get("TERM", "").lower()
    return any(
        word in term for word in ("256color", "direct", "kitty", "alacritty", "ghostty", "wezterm", "foot")
    )
