"""A demo server that tells the time: `python -m proxy_core.demo.clock`."""

import asyncio
from datetime import UTC, datetime, tzinfo
from typing import Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from proxy_core.demo.offer import Call, Demo, Json, Prompt, Tool, ToolFailure
from proxy_core.demo.pipes import main
from proxy_core.errors import InvalidParams, Only1Error

NOW_URI: Final = "clock://now"
MAX_COUNTDOWN_S: Final = 3600
_READS_ONLY: Final = {"readOnlyHint": True, "openWorldHint": False}
_TIMEZONE: Final = {"type": "string", "description": "An IANA name, such as Europe/Berlin."}
_MOMENT: Final = {
    "type": "object",
    "properties": {
        "iso": {"type": "string", "format": "date-time"},
        "timezone": {"type": "string"},
        "weekday": {"type": "string"},
    },
    "required": ["iso", "timezone", "weekday"],
}

NOW: Final = {
    "name": "now",
    "title": "Current time",
    "description": "The current date and time, in a time zone or in this machine's own.",
    "inputSchema": {"type": "object", "properties": {"timezone": _TIMEZONE}},
    "outputSchema": _MOMENT,
    "annotations": _READS_ONLY,
}
CONVERT: Final = {
    "name": "convert",
    "title": "Convert a time",
    "description": "What a time in one time zone is in another.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "time": {"type": "string", "description": "HH:MM today, or an ISO 8601 date and time."},
            "from": _TIMEZONE,
            "to": _TIMEZONE,
        },
        "required": ["time", "from", "to"],
    },
    "outputSchema": {
        "type": "object",
        "properties": {"source": _MOMENT, "target": _MOMENT, "difference_hours": {"type": "number"}},
        "required": ["source", "target", "difference_hours"],
    },
    "annotations": {**_READS_ONLY, "idempotentHint": True},
}
COUNTDOWN: Final = {
    "name": "countdown",
    "title": "Count down",
    "description": "Waits, and tells its progress every second.",
    "inputSchema": {
        "type": "object",
        "properties": {"seconds": {"type": "integer", "minimum": 0, "maximum": MAX_COUNTDOWN_S}},
        "required": ["seconds"],
    },
    "annotations": _READS_ONLY,
}
MEETING: Final = {
    "name": "meeting",
    "title": "Plan a meeting",
    "description": "Asks for a meeting time that suits a time zone.",
    "arguments": [
        {"name": "topic", "description": "What the meeting is about.", "required": True},
        {"name": "timezone", "description": "The guests' time zone.", "required": True},
    ],
}


class UnknownTimezone(Only1Error):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no time zone {name[:80]!r}; names look like Europe/Berlin.")


class Clock(Demo):
    name = "clock"
    instructions = "Tells the time anywhere, converts times between zones, counts down."

    def __init__(self) -> None:
        super().__init__()
        tools = Tool(NOW, _now), Tool(CONVERT, _convert), Tool(COUNTDOWN, _countdown)
        self.tools = {tool.definition["name"]: tool for tool in tools}
        self.prompts = {"meeting": Prompt(MEETING, _meeting)}
        about = {"mimeType": "text/plain", "annotations": {"audience": ["user", "assistant"], "priority": 0.5}}
        self._listed = {"uri": NOW_URI, "name": "now", "title": "The time here", **about}
        template = f"{NOW_URI}/{{timezone}}"
        self.templates = [{"uriTemplate": template, "name": "now-in", "title": "The time elsewhere", **about}]

    def resources(self) -> list[Json]:
        return [self._listed]

    def read(self, uri: str) -> Json | None:
        if uri != NOW_URI and not uri.startswith(NOW_URI + "/"):
            return None
        try:
            name = unquote(uri[len(NOW_URI) + 1 :])
            moment = datetime.now(UTC).astimezone(_zone(name))
        except UnknownTimezone:
            return None
        return {"mimeType": "text/plain", "text": moment.isoformat(timespec="seconds")}

    def complete(self, argument: str, value: str) -> list[str]:
        if argument != "timezone":
            return []
        wanted = value.casefold()
        found = [name for name in available_timezones() if wanted in name.casefold()]
        return sorted(found, key=lambda name: (not name.casefold().startswith(wanted), name))


async def _now(call: Call) -> Json:
    return _told(datetime.now(UTC).astimezone(_zone_argument(call, "timezone")))


async def _convert(call: Call) -> Json:
    source_zone, target_zone = _zone_argument(call, "from"), _zone_argument(call, "to")
    source = _parsed(call.text("time"), source_zone)
    try:
        target = source.astimezone(target_zone)
    except OverflowError as error:
        raise ToolFailure("That time is outside the calendar.") from error
    # Of the clocks on the wall: the same instant differs by what the two faces show.
    difference = target.replace(tzinfo=None) - source.replace(tzinfo=None)
    hours = difference.total_seconds() / 3600
    return {"source": _told(source), "target": _told(target), "difference_hours": hours}


async def _countdown(call: Call) -> str:
    seconds = call.integer("seconds", 0, MAX_COUNTDOWN_S)
    for passed in range(seconds):
        call.progress(passed, seconds, f"{seconds - passed} s left")
        await asyncio.sleep(1)
    call.progress(seconds, max(seconds, 1), "done")
    return f"Counted down {seconds} s."


def _meeting(arguments: Json) -> str:
    topic, timezone = arguments.get("topic"), arguments.get("timezone")
    if not isinstance(topic, str) or not isinstance(timezone, str):
        raise InvalidParams("topic and timezone are required.")
    try:
        here = datetime.now(UTC).astimezone(_zone(timezone)).strftime("%A %H:%M")
    except UnknownTimezone as error:
        raise InvalidParams(error.message) from error
    return (
        f"Find a time for a meeting about {topic}. In {timezone} it is now {here}; keep to office hours there."
    )


def _parsed(text: str, zone: tzinfo | None) -> datetime:
    """The moment that `text` names; in `zone` unless it tells its own offset. Raises: ToolFailure."""
    is_time_only = len(text) <= len("HH:MM:SS")
    today = datetime.now(zone).date().isoformat()
    try:
        moment = datetime.fromisoformat(f"{today}T{text}" if is_time_only else text)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone).astimezone(zone)
    except (ValueError, OverflowError) as error:
        raise ToolFailure("time must be HH:MM, or an ISO 8601 date and time.") from error


def _told(moment: datetime) -> Json:
    return {
        "iso": moment.isoformat(timespec="seconds"),
        "timezone": str(moment.tzinfo),
        "weekday": f"{moment:%A}",
    }


def _zone_argument(call: Call, name: str) -> tzinfo | None:
    default = "" if name == "timezone" else None
    try:
        return _zone(call.text(name, default))
    except UnknownTimezone as error:
        raise ToolFailure(error.message) from error


def _zone(name: str) -> tzinfo | None:
    """The zone of that name, None (this machine's own) for an empty one. Raises: UnknownTimezone."""
    if not name:
        return None
    if name == "UTC":
        # Must work where no zone data is installed.
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownTimezone(name) from error


if __name__ == "__main__":
    main(Clock())
