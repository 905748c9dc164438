"""A demo server that keeps notes in SQLite: `python -m proxy_core.demo.notes`.

They are kept in the file that ONLY1MCP_NOTES_DB names, or for this process's life only.
"""

import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from proxy_core.demo.offer import Call, Demo, Json, Prompt, Tool, ToolFailure
from proxy_core.demo.pipes import main
from proxy_core.errors import InvalidParams

DB_VARIABLE: Final = "ONLY1MCP_NOTES_DB"
URI_PREFIX: Final = "note:///"
MAX_LISTED: Final = 500
MAX_TEXT: Final = 100_000
_MAX_ID: Final = 2**63 - 1
_TITLE_CHARS: Final = 60
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    created TEXT NOT NULL
)
"""
_NOTE: Final = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "text": {"type": "string"}, "created": {"type": "string"}},
    "required": ["id", "text", "created"],
}
_NOTES: Final = {
    "type": "object",
    "properties": {"notes": {"type": "array", "items": _NOTE}},
    "required": ["notes"],
}
_ID: Final = {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}, "required": ["id"]}
_READS_ONLY: Final = {"readOnlyHint": True, "openWorldHint": False}

ADD: Final = {
    "name": "add",
    "title": "Add a note",
    "description": "Keeps a note and gives its id.",
    "inputSchema": {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}},
        "required": ["text"],
    },
    "outputSchema": _NOTE,
    "annotations": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False},
}
SEARCH: Final = {
    "name": "search",
    "title": "Search notes",
    "description": "The notes that contain a text, newest first.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    "outputSchema": _NOTES,
    "annotations": _READS_ONLY,
}
LIST: Final = {
    "name": "list",
    "title": "List notes",
    "description": f"The newest notes, {MAX_LISTED} at most.",
    "inputSchema": {"type": "object", "properties": {}},
    "outputSchema": _NOTES,
    "annotations": _READS_ONLY,
}
DELETE: Final = {
    "name": "delete",
    "title": "Delete a note",
    "description": "Deletes the note with this id for good.",
    "inputSchema": _ID,
    "outputSchema": _NOTE,
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": False},
}
SUMMARISE: Final = {
    "name": "summarise",
    "title": "Summarise notes",
    "description": "Asks for a summary of the notes about something.",
    "arguments": [{"name": "about", "description": "Only notes that contain this.", "required": False}],
}


class Store:
    """The table of notes. Newest come first in every answer."""

    def __init__(self, path: str) -> None:
        """Raises: sqlite3.Error if the file cannot be used."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, text: str) -> Json:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        cursor = self._db.execute("INSERT INTO notes (text, created) VALUES (?, ?)", (text, created))
        return {"id": cursor.lastrowid, "text": text, "created": created}

    def get(self, note_id: int) -> Json | None:
        rows = self._rows("WHERE id = ?", note_id)
        return rows[0] if rows else None

    def search(self, query: str) -> list[Json]:
        return self._rows("WHERE instr(lower(text), lower(?))", query)

    def newest(self) -> list[Json]:
        return self._rows("")

    def delete(self, note_id: int) -> None:
        self._db.execute("DELETE FROM notes WHERE id = ?", (note_id,))

    def _rows(self, where: str, *values: object) -> list[Json]:
        query = f"SELECT id, text, created FROM notes {where} ORDER BY id DESC LIMIT {MAX_LISTED}"
        return [dict(row) for row in self._db.execute(query, values)]


class Notes(Demo):
    name = "notes"
    instructions = "Keeps short notes: add, search, list, delete. Every note is also a resource."
    changing = frozenset({"resources"})

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        tools = (
            Tool(ADD, self._add),
            Tool(SEARCH, self._search),
            Tool(LIST, self._list),
            Tool(DELETE, self._delete),
        )
        self.tools = {tool.definition["name"]: tool for tool in tools}
        self.prompts = {"summarise": Prompt(SUMMARISE, self._summarise)}
        template = {"uriTemplate": URI_PREFIX + "{id}", "name": "note", "mimeType": "text/plain"}
        self.templates = [template]

    def resources(self) -> list[Json]:
        return [_resource(note) for note in self._store.newest()]

    def read(self, uri: str) -> Json | None:
        digits = uri.removeprefix(URI_PREFIX)
        if digits == uri or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_MAX_ID)):
            return None
        note = self._store.get(min(int(digits), _MAX_ID))
        return None if note is None else {"mimeType": "text/plain", "text": note["text"]}

    def complete(self, argument: str, value: str) -> list[str]:
        ids = [str(note["id"]) for note in self._store.newest()] if argument == "id" else []
        return [note_id for note_id in ids if note_id.startswith(value)]

    async def _add(self, call: Call) -> Json:
        text = call.text("text")
        if not 0 < len(text) <= MAX_TEXT:
            raise ToolFailure(f"text must have 1 to {MAX_TEXT} characters.")
        note = self._store.add(text)
        self.changed("resources")
        return note

    async def _search(self, call: Call) -> Json:
        return {"notes": self._store.search(call.text("query"))}

    async def _list(self, call: Call) -> Json:
        return {"notes": self._store.newest()}

    async def _delete(self, call: Call) -> Json:
        note_id = call.integer("id", 1, _MAX_ID)
        note = self._store.get(note_id)
        if note is None:
            raise ToolFailure(f"There is no note {note_id}.")
        self._store.delete(note_id)
        self.changed("resources")
        return note

    def _summarise(self, arguments: Json) -> str:
        about = arguments.get("about", "")
        if not isinstance(about, str):
            raise InvalidParams("about must be a string.")
        notes = self._store.search(about) if about else self._store.newest()
        told = "\n".join(f"- {note['text']}" for note in notes) or "(there are none)"
        return f"Summarise these notes:\n\n{told}"


def _resource(note: Json) -> Json:
    first_line = note["text"].strip().partition("\n")[0][:_TITLE_CHARS]
    return {
        "uri": f"{URI_PREFIX}{note['id']}",
        "name": f"note-{note['id']}",
        "title": first_line or "(blank)",
        "mimeType": "text/plain",
        "size": len(note["text"].encode()),
        "annotations": {"lastModified": note["created"]},
    }


def _open_store() -> Store:
    path = os.environ.get(DB_VARIABLE, ":memory:")
    try:
        return Store(path)
    except sqlite3.Error as error:
        sys.exit(f"The notes in {path} cannot be opened: {error}.")


if __name__ == "__main__":
    with closing(_open_store()) as store:
        main(Notes(store))
