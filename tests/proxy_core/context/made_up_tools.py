"""A small catalogue of servers that nobody has, to search in."""

from collections.abc import Iterator
from typing import Any

from proxy_core.context.index_build import IndexBuild, Source
from proxy_core.context.search import SearchIndex

VERBS = {
    "create": "Create a new {noun}.",
    "list": "List every {noun} there is, page by page.",
    "get": "Get one {noun} by its id.",
    "update": "Update the fields of a {noun}.",
    "delete": "Delete a {noun} for good.",
}
NOUNS = {
    "kitchen": {"recipe": "ingredients and steps of a dish", "shopping_list": "what has to be bought"},
    "library": {
        "book": "title, author and shelf of a volume",
        "loan": "who has borrowed a volume and until when",
    },
    "ledger": {"invoice": "what a customer owes", "payment": "money that came in, with its currency"},
    "harbour": {"ferry": "a vessel with its timetable", "berth": "a place where a vessel is moored"},
    "garden": {"plant": "species, bed and watering", "sensorReading": "soil moisture and temperature"},
}
SPECIAL = {
    "kitchen": {"scale_recipe": "Change the amounts of a recipe so that it serves more or fewer people."},
    "library": {"renew_loan": "Extend a loan by two weeks."},
    "ledger": {
        "export_csv": "Write all bookings of a year to a spreadsheet file.",
        "send_reminder": "Mail a customer whose invoice is overdue.",
    },
    "harbour": {"forecast": "Tell the weather and the height of the tide for the next days."},
    "garden": {
        "water-bed": "Open the valve of one bed for some minutes.",
        "takePhoto": "Take a picture of a bed.",
    },
    "desk": {
        "search_everything": "Full text search across all notes.",
        "schedule_meeting": "Put an appointment into the calendar of several people.",
    },
}


def tool(name: str, description: str, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
    }
    return {"name": name, "description": description, "inputSchema": schema}


def source(server: str, made: dict[str, Any], version: int = 0) -> Source:
    exposed = f"{server}__{made['name']}"
    return Source(f"{exposed}@{version}", server, exposed, {**made, "name": exposed})


def sources() -> Iterator[Source]:
    """59 tools of six servers."""
    for server, nouns in NOUNS.items():
        for noun, meaning in nouns.items():
            for verb, text in VERBS.items():
                name = f"{verb}_{noun}" if noun.islower() else f"{verb}{noun[0].upper()}{noun[1:]}"
                plain = noun.replace("_", " ")
                yield source(server, tool(name, text.format(noun=plain), id=f"Of the {plain}: {meaning}."))
    for server, tools in SPECIAL.items():
        for name, text in tools.items():
            yield source(server, tool(name, text))


def made_up_index() -> SearchIndex:
    return IndexBuild(sources()).run()
