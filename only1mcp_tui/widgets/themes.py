"""Our two themes: quiet grounds, one blue, and colour kept for what needs an eye."""

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
