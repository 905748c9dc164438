"""Requests that have ended, as facts."""

from typing import Any

from proxy_core.facts import RequestFinished


def finished(server: str | None = "box", **more: Any) -> RequestFinished:
    """A call that went well, but for what is said."""
    fact: dict[str, Any] = {
        "at": 100.0,
        "client": "Host",
        "principal": "anon",
        "era": "legacy",
        "revision": "2025-06-18",
        "method": "tools/call",
        "server": server,
        "target": None,
        "duration_ms": 20.0,
        "error_code": None,
        "is_tool_error": False,
        "bytes_out": 2,
    }
    return RequestFinished(**fact | more)
