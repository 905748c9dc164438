"""Log lines: their fields for the filter and their look."""

from only1mcp_tui.view.numbers import clock_time
from only1mcp_tui.view.states import LEVEL_ROLES
from only1mcp_tui.view.text import Line, fit, safe
from proxy_core.telemetry.snapshot import LogLine

FILTER_KEYS = frozenset({"level", "src"})
LEVELS = ("debug", "info", "warning", "error")
TEXT_LIMIT = 2000


def log_fields(line: LogLine) -> dict[str, str]:
    """What a filter looks at. `level:warning` also finds what is worse: a line answers to lesser levels too."""
    reached = LEVELS[: LEVELS.index(line.level) + 1] if line.level in LEVELS else (line.level,)
    extra = " ".join(f"{key}={value}" for key, value in line.fields)
    whole = f"{line.level} {line.source} {line.text} {extra}".lower()
    return {"level": " ".join(reached), "src": line.source.lower(), "text": whole}


def log_spans(line: LogLine) -> Line:
    extra = " ".join(f"{key}={value}" for key, value in line.fields)
    role = LEVEL_ROLES.get(line.level, "info")
    return (
        (f" {clock_time(line.wall)} ", "muted"),
        (fit(safe(line.level, 7), 8), role),
        (fit(safe(line.source, 40), 14) + " ", "accent"),
        (safe(line.text, TEXT_LIMIT), "bad" if role == "bad" else "text"),
        (f"  {safe(extra)}" if extra else "", "muted"),
    )
