"""One working day of one developer with five AI clients, as it is played to real servers through a gateway.

This is a script and no wiretap: no person's traffic was recorded. What the servers answer is real; when clients
list follows what is publicly known of them, and the rest is assumed. Nothing was tuned for a good hit rate.

What is known, and where from:

- Terminal agent (like Claude Code): a session per conversation, that is per process; lists tools, prompts and
  resources once when it connects and keeps them; lists resources again on `resources/list_changed`
  (anthropics/claude-code issues 13646, 17975, 50515; for tools it differs by version, 78208). No templates.
- Editor (like Cursor): a session per window; `ListOfferings` asks for tools, prompts, resources and templates,
  and does so twice within a tenth of a second on the same connection (log in GLips/Figma-Context-MCP issue 77).
- Terminal agent that keeps nothing (like opencode): `tools/list` before every call of the model
  (anomalyco/opencode issues 16206 and 19300).
- Job on an agent framework (like the OpenAI Agents SDK): each run lists the tools, unless `cache_tools_list` is
  set, which it is not by default (its MCP documentation, "Caching").
- Modern client (2026-07-28): keeps lists for `ttlMs` and until it hears of a change (its revision, "Caching").

What is assumed:

- How many conversations, prompts and calls a day has, and which; that the work is on a small project, with the
  reference servers of the MCP project. Agents mostly use files and git through these servers here, where some
  have tools of their own for that; so calls, which no cache may answer unasked, are rather many.
- That four workers are started at once, twice a day, each as a process with a session of its own.
- That the editor lists again when its window is reloaded and when the settings page is opened, three times.
- That a conversation reads a document again after some minutes, once its context was compacted; that the editor
  subscribes to a resource that was attached to a chat, and reads it again when it is told.
- That the modern client has a prompt every half an hour, and needs the list of tools for each.
- The gaps between requests: some seconds for a model's turn, minutes between prompts.
"""

from collections.abc import Coroutine, Sequence
from typing import Any, Final

from tests.recording.day import MINUTE_MS, SECOND_MS, Day, Request, Talk
from tests.recording.session import HEARS, Json
from tests.support.http_client import MODERN

LATEST, OLDER = "2025-11-25", "2025-06-18"
TERMINAL, EDITOR, FORGETFUL, JOB, ASSISTANT = "terminal-agent", "editor", "forgetful-agent", "job", "assistant"
DOCUMENT: Final = "demo://resource/static/document/"
GRAPH: Final = "memory://knowledge-graph"
RESOURCE_UPDATED: Final = "notifications/resources/updated"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"
OFFERINGS: Final = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
AT_CONNECT: Final = ("tools/list", "prompts/list", "resources/list")
TURN_MS: Final = 6 * SECOND_MS
Step = tuple[str, Json]


class Office:
    """The day, and who is in: sessions that hear of a change react to it at once."""

    def __init__(self, day: Day, folder: str, site: str) -> None:
        self.day = day
        self.folder = folder
        self.site = site
        self.present: dict[Talk, tuple[str, ...]] = {}
        """What each open session lists again when the resources changed."""
        self.watching: list[Talk] = []
        """Who has subscribed to the graph of the memory, and reads it again when it is told."""
        self.stale: set[Talk] = set()
        """Modern clients that will list again when they next need to."""

    async def resources_changed(self) -> None:
        """Everybody is told; then all that react do so at the same time."""
        # The day has one change, so whoever is present now has not heard of one before.
        heard: list[Request] = [
            (talk, HEARS, {"method": RESOURCES_CHANGED, "times": 1}) for talk in self.present
        ]
        await self.day.together(heard)
        lists: list[Request] = [
            (talk, method, {}) for talk, methods in self.present.items() for method in methods
        ]
        await self.day.together(lists)
        self.stale |= {talk for talk in self.present if talk.revision == MODERN}

    async def graph_updated(self) -> None:
        # As above: the day has one change that anyone has subscribed to.
        told: Json = {"method": RESOURCE_UPDATED, "times": 1}
        await self.day.together([(talk, HEARS, told) for talk in self.watching])
        await self.day.together([(talk, "resources/read", {"uri": GRAPH}) for talk in self.watching])

    def file(self, name: str) -> str:
        return f"{self.folder}/{name}"

    # --- what models call -----------------------------------------------------------------------------------

    def look_around(self) -> list[Step]:
        return [
            ("git__git_status", {"repo_path": self.folder}),
            ("filesystem__list_directory", {"path": self.folder}),
            ("filesystem__directory_tree", {"path": self.file("shop")}),
        ]

    def read_code(self, *names: str) -> list[Step]:
        return [("filesystem__read_text_file", {"path": self.file(name)}) for name in names]

    def edit(self, name: str, old: str, new: str) -> list[Step]:
        change = {"path": self.file(name), "edits": [{"oldText": old, "newText": new}]}
        return [
            ("filesystem__edit_file", change),
            ("filesystem__read_text_file", {"path": self.file(name)}),
            ("git__git_status", {"repo_path": self.folder}),
        ]

    def commit(self, message: str, *files: str) -> list[Step]:
        repo: Json = {"repo_path": self.folder}
        return [
            ("git__git_diff_unstaged", repo),
            ("git__git_add", repo | {"files": list(files)}),
            ("git__git_commit", repo | {"message": message}),
            ("git__git_status", repo),
        ]

    def remember(self, name: str, fact: str) -> list[Step]:
        entity = {"name": name, "entityType": "decision", "observations": [fact]}
        return [("memory__create_entities", {"entities": [entity]}), ("memory__read_graph", {})]

    def think(self, *thoughts: str) -> list[Step]:
        total = len(thoughts)
        return [
            (
                "sequential-thinking__sequentialthinking",
                {
                    "thought": thought,
                    "thoughtNumber": n,
                    "totalThoughts": total,
                    "nextThoughtNeeded": n < total,
                },
            )
            for n, thought in enumerate(thoughts, start=1)
        ]

    async def does(self, talk: Talk, steps: Sequence[Step]) -> None:
        """One call a turn of the model."""
        for tool, arguments in steps:
            await talk.call(tool, **arguments)
            await self.day.passes(TURN_MS)


def everyone(office: Office) -> list[Coroutine[Any, Any, None]]:
    """The coroutines of the day."""
    return [
        terminal_agent(office),
        editor(office),
        forgetful_agent(office),
        job(office),
        assistant(office),
        workers(office, at("10:45"), 100),
        workers(office, at("14:48"), 200),
    ]


def at(clock: str) -> int:
    """The offset of a time of day; the day begins at nine."""
    hours, minutes = clock.split(":")
    return ((int(hours) - 9) * 60 + int(minutes)) * MINUTE_MS


# --- the clients ----------------------------------------------------------------------------------------------


async def _conversation(office: Office, number: int) -> Talk:
    """A terminal agent is started: connects, and lists what it keeps, all at the same time."""
    talk = Talk(office.day, TERMINAL, number, LATEST)
    await talk.open({"roots": {"listChanged": True}, "elicitation": {}})
    await talk.ask_together(*AT_CONNECT)
    office.present[talk] = ("resources/list",)
    await office.day.passes(20 * SECOND_MS)
    return talk


async def _leaves(office: Office, talk: Talk) -> None:
    del office.present[talk]
    await talk.end()


async def terminal_agent(office: Office) -> None:
    day = office.day
    await day.until(at("9:05"))  # The total is wrong when a thing is bought twice.
    talk = await _conversation(office, 1)
    await office.does(talk, office.look_around())
    await office.does(talk, office.read_code("shop/basket.py", "shop/prices.py", "tests/test_basket.py"))
    await office.does(talk, office.think("A set drops what is bought twice.", "Sum over the list instead."))
    await day.passes(2 * MINUTE_MS)
    await office.does(talk, office.edit("shop/basket.py", "in set(self.items))", "in self.items)"))
    await office.does(talk, office.commit("Count what is bought twice", "shop/basket.py"))
    await _leaves(office, talk)

    await day.until(at("10:10"))  # A review of what was done yesterday.
    talk = await _conversation(office, 2)
    repo: Json = {"repo_path": office.folder}
    await office.does(talk, [("git__git_log", repo | {"max_count": 5}), ("git__git_status", repo)])
    await talk.read(DOCUMENT + "architecture.md")
    await office.does(talk, office.read_code("shop/receipt.py", "shop/basket.py"))
    await day.passes(6 * MINUTE_MS)
    await talk.read(DOCUMENT + "architecture.md")
    await office.does(talk, office.remember("cents", "Prices are whole cents."))
    await _leaves(office, talk)

    await day.until(at("11:20"))  # How is rounding done?
    talk = await _conversation(office, 3)
    await office.does(talk, [("memory__search_nodes", {"query": "cents"})])
    await office.does(talk, [("fetch__fetch", {"url": office.site + "/rounding"})])
    await talk.read(DOCUMENT + "features.md")
    await talk.read(DOCUMENT + "how-it-works.md")
    await day.passes(4 * MINUTE_MS)
    await talk.read(DOCUMENT + "features.md")
    await office.does(talk, [("fetch__fetch", {"url": office.site + "/rounding"})])
    await _leaves(office, talk)

    await day.until(at("13:30"))  # A receipt for a customer, kept as a resource.
    talk = await _conversation(office, 4)
    await office.does(talk, office.look_around())
    await office.does(talk, office.read_code("shop/receipt.py"))
    zipped = {"name": "receipt.txt.gz", "data": "data:text/plain,tea%203.50", "outputType": "resourceLink"}
    await talk.call("everything__gzip-file-as-resource", **zipped)
    await office.resources_changed()
    await talk.read("demo://resource/session/receipt.txt.gz")
    await office.does(talk, office.edit("shop/receipt.py", "{item:<10}", "{item:<12}"))
    await day.passes(3 * MINUTE_MS)
    await office.does(talk, office.commit("Widen the receipt", "shop"))
    await _leaves(office, talk)

    await day.until(at("14:40"))  # Plans, and workers that carry them out (below).
    talk = await _conversation(office, 5)
    await office.does(talk, [("memory__read_graph", {}), *office.look_around()])
    await office.does(talk, office.think("Three parts.", "They do not touch.", "So do them at once."))
    await day.passes(25 * MINUTE_MS)
    await office.does(talk, [("git__git_status", repo), ("git__git_diff_unstaged", repo)])
    await _leaves(office, talk)

    await day.until(at("16:20"))  # Notes of the day.
    talk = await _conversation(office, 6)
    await talk.ask("prompts/get", name="everything__simple-prompt")
    await office.does(talk, [("git__git_log", repo | {"max_count": 5})])
    await office.does(talk, [("time__get_current_time", {"timezone": "Europe/Berlin"})])
    await talk.read(GRAPH)
    note, look = office.remember("receipt", "A receipt is 12 wide.")
    await talk.call(note[0], **note[1])
    await office.graph_updated()
    await talk.read(GRAPH)
    await office.does(talk, [look])
    await _leaves(office, talk)


async def workers(office: Office, begin_ms: int, number: int) -> None:
    """Four agents without a person, started at once: each lists everything and reads the same brief."""
    await office.day.until(begin_ms)
    talks = [Talk(office.day, TERMINAL, number + each, LATEST) for each in range(1, 5)]
    await office.day.together([talk.opening({}) for talk in talks])
    await office.day.together([(talk, method, {}) for talk in talks for method in AT_CONNECT])
    await office.day.passes(8 * SECOND_MS)
    read: Json = {"uri": DOCUMENT + "instructions.md"}
    await office.day.together([(talk, "resources/read", read) for talk in talks])
    await office.day.passes(TURN_MS)
    status: Json = {"name": "git__git_status", "arguments": {"repo_path": office.folder}}
    await office.day.together([(talk, "tools/call", status) for talk in talks])
    for talk, name in zip(talks, ("basket", "prices", "receipt", "basket"), strict=True):
        await office.does(talk, office.read_code(f"shop/{name}.py"))
    await office.day.passes(90 * SECOND_MS)
    for talk in talks:
        await talk.end()


async def editor(office: Office) -> None:
    day = office.day
    repo: Json = {"repo_path": office.folder}

    async def window(number: int) -> Talk:
        talk = Talk(day, EDITOR, number, OLDER)
        await talk.open({})
        await talk.ask_together(*OFFERINGS)
        await talk.ask_together(*OFFERINGS)
        office.present[talk] = ("resources/list", "resources/templates/list")
        return talk

    async def chat(talk: Talk, clock: str, steps: Sequence[Step]) -> None:
        await day.until(at(clock))
        await office.does(talk, steps)

    async def settings_page(talk: Talk, clock: str) -> None:
        await day.until(at(clock))
        await talk.ask_together(*OFFERINGS)

    talk = await window(1)
    await settings_page(talk, "9:02")
    await chat(talk, "9:40", [*office.look_around(), *office.read_code("shop/prices.py")])
    await chat(talk, "9:48", office.edit("shop/prices.py", '"pot": 2400', '"pot": 2450'))
    await chat(talk, "10:50", [("git__git_diff_unstaged", repo), ("git__git_status", repo)])
    await settings_page(talk, "11:45")
    await day.until(at("12:30"))
    await _leaves(office, talk)
    await day.until(at("13:02"))
    talk = await window(2)
    await chat(talk, "14:05", [*office.read_code("README.md"), *office.look_around()])
    await talk.read(DOCUMENT + "features.md")
    await day.until(at("15:10"))  # The window is reloaded.
    await _leaves(office, talk)
    talk = await window(3)
    await chat(talk, "15:30", office.edit("README.md", "A basket", "A shopping basket"))
    await talk.read(GRAPH)  # Attached to the chat, and kept fresh.
    await talk.ask("resources/subscribe", uri=GRAPH)
    office.watching.append(talk)
    await settings_page(talk, "16:00")
    await chat(talk, "16:40", office.commit("Say what it sells", "README.md"))
    await day.until(at("17:00"))
    await _leaves(office, talk)


async def forgetful_agent(office: Office) -> None:
    """Lists the tools before each call of the model."""
    repo: Json = {"repo_path": office.folder}
    conversations: tuple[tuple[str, list[Step]], ...] = (
        ("11:00", [*office.look_around(), *office.read_code("shop/basket.py"), ("git__git_status", repo)]),
        (
            "15:40",
            [
                ("memory__search_nodes", {"query": "receipt"}),
                *office.read_code("shop/receipt.py", "shop/basket.py"),
                ("filesystem__search_files", {"path": office.folder, "pattern": "**/*.py"}),
                ("git__git_status", repo),
                (
                    "time__convert_time",
                    {"source_timezone": "UTC", "time": "15:40", "target_timezone": "Asia/Tokyo"},
                ),
            ],
        ),
    )
    for number, (clock, steps) in enumerate(conversations, start=1):
        await office.day.until(at(clock))
        talk = Talk(office.day, FORGETFUL, number, LATEST)
        await talk.open({})
        for step in steps:
            await talk.ask("tools/list")
            await office.does(talk, [step])
        await talk.ask("tools/list")
        await talk.end()


async def job(office: Office) -> None:
    """Every hour, without a person: has anything changed?"""
    repo: Json = {"repo_path": office.folder}
    for run in range(8):
        await office.day.until(at(f"{9 + run}:30"))
        talk = Talk(office.day, JOB, run + 1, OLDER)
        await office.day.together([talk.opening({})])
        await talk.ask("tools/list")
        await office.does(talk, [("git__git_status", repo), ("git__git_log", repo | {"max_count": 3})])
        await talk.end()


async def assistant(office: Office) -> None:
    """Modern: lists again when what it has is too old, or known to be wrong, and it needs it."""
    day = office.day
    await day.until(at("9:15"))
    talk = Talk(day, ASSISTANT, 1, MODERN)
    await talk.ask("server/discover")
    await talk.listen("toolsListChanged", "promptsListChanged", "resourcesListChanged")
    office.present[talk] = ()
    prompts: list[list[Step]] = [
        [("time__get_current_time", {"timezone": "UTC"})],
        office.read_code("README.md"),
        [("memory__read_graph", {})],
        [("everything__get-sum", {"a": 350, "b": 900})],
        [("fetch__fetch", {"url": office.site + "/rounding"})],
        [("git__git_status", {"repo_path": office.folder})],
        office.look_around(),
    ]
    kept_until = {"tools/list": 0.0, "resources/list": 0.0}
    for number in range(15):
        await day.until(at("9:15") + number * 30 * MINUTE_MS)
        needed = ("tools/list", "resources/list") if number % 3 == 0 else ("tools/list",)
        for method in needed:
            if day.now_ms >= kept_until[method] or (method == "resources/list" and talk in office.stale):
                answer = await talk.ask(method)
                kept_until[method] = day.now_ms + answer["result"]["ttlMs"]
                office.stale.discard(talk)
        if number % 3 == 0:
            await talk.read(DOCUMENT + "features.md")
        await office.does(talk, prompts[number % len(prompts)])
    del office.present[talk]
    await talk.end()
