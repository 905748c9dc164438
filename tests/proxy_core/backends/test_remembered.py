"""What replicas listed in an earlier run."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy_core.backends import late_writer, remembered
from proxy_core.backends.remembered import RememberedLists
from proxy_core.config.models import ReplicaConfig
from proxy_core.state import StateFolder
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.scripted_channel import initialized, result, silence, tools, until
from tests.support.scripted_replicas import Replicas, place, pongs


class Memories:
    """One folder over several runs; each run has a memory of its own."""

    def __init__(self, path: Path, replicas: Callable[..., Replicas]) -> None:
        self.path = path
        self.folder = StateFolder(path)
        self._replicas = replicas

    async def first(self, *places: str | ReplicaConfig, **more: Any) -> Replicas:
        """A run that has seen all lists, and its end."""
        run = await self._replicas(*places, **more).in_service()
        memory = RememberedLists(self.folder)
        memory.keep(run.backend)
        await memory.aclose()
        return run

    def next(self, *places: str | ReplicaConfig, **more: Any) -> Replicas:
        """A run in which no server answers yet."""
        run = self._replicas(*places, script=pongs(initialize=silence), **more)
        RememberedLists(self.folder).recall(run.backend)
        return run

    @property
    def kept(self) -> dict[str, dict[str, Any]]:
        """By replica."""
        entries = self.folder.read("lists-box")
        return {key.split()[0]: msgspec.json.decode(text) for key, text in entries.items()}


@pytest.fixture
def memories(tmp_path: Path, replicas: Any) -> Memories:
    return Memories(tmp_path / "state", replicas)


async def test_a_server_shows_what_it_had_until_it_answers(memories: Memories) -> None:
    await memories.first("a")
    run = memories.next("a")
    assert (run.tools, run.backend.is_listed, run.backend.is_remembered) == (["add"], True, True)
    assert not run.backend.is_settling, "nobody need wait for it"
    run.at("a").script["initialize"] = [initialized()]
    run.has("a", "new")
    await run.in_service()
    assert (run.tools, run.backend.is_remembered) == (["new"], False)


async def test_each_replica_has_its_own(memories: Memories) -> None:
    await memories.first("a", "b", scripts={"b": pongs(tools_list=tools("add", "rare"))})
    run = memories.next("a", "b")
    assert run.tools == ["add", "rare"]
    assert run["a"].lists.get("tools/list").items != run["b"].lists.get("tools/list").items
    assert run.backend.differences == ("tool `rare` only at b",)


async def test_a_replica_at_another_address_has_nothing_to_remember(memories: Memories) -> None:
    await memories.first("a", "b")
    run = memories.next(place("a", "elsewhere"), "b")
    assert [member.is_remembered for member in run.backend.members] == [False, True]
    assert not memories.next(place("a", "b")).backend.is_listed, "nor has another one of the same address"


async def test_what_is_remembered_is_asked_for_anew_at_once(memories: Memories) -> None:
    await memories.first("a")
    listing = memories.next("a").backend.lists.get("tools/list")
    assert listing.ttl_ms == 0, "clients are not told to keep it"


async def test_a_server_that_never_answers_leaves_the_lists_after_a_while(memories: Memories) -> None:
    await memories.first("a")
    run = memories.next("a")
    run.backend.start()
    await run.wait(599)
    assert run.backend.is_listed
    await run.wait(1)
    assert not run.backend.is_listed


async def test_private_lists_are_not_kept(memories: Memories) -> None:
    script = pongs(tools_list=tools("secret", cacheScope="private"))
    await memories.first("a", script=script)
    assert "tools/list" not in memories.kept["a"]
    assert "secret" not in "".join(file.read_text() for file in memories.path.iterdir())


async def test_all_four_lists_are_kept(memories: Memories) -> None:
    offered = {"tools": {}, "resources": {}, "prompts": {}}
    script = pongs(
        initialize=initialized(capabilities=offered),
        resources_list=result({"resources": [{"uri": "file:///a"}]}),
        resources_templates_list=result({"resourceTemplates": [{"uriTemplate": "file:///{x}"}]}),
        prompts_list=result({"prompts": [{"name": "hello"}]}),
    )
    await memories.first("a", script=script)
    lists = memories.next("a").backend.lists
    assert [len(lists.get(method).items) for method in remembered.FEATURE_OF] == [1, 1, 1, 1]


async def test_a_replica_that_lists_too_much_is_not_remembered(
    memories: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_REPLICA_BYTES", 300)
    many = pongs(tools_list=tools(*(f"tool{number}" for number in range(20))))
    await memories.first("a", "b", scripts={"b": many})
    assert list(memories.kept) == ["a"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"tools/list": 3}', '{"tools/list": [3]}', "{}", '{"roots/list": []}']
)
async def test_what_cannot_be_read_is_as_good_as_absent(memories: Memories, text: str) -> None:
    await memories.first("a")
    (key,) = memories.folder.read("lists-box")
    memories.folder.write("lists-box", {key: text})
    run = memories.next("a")
    assert (run.backend.is_listed, run["a"].is_remembered) == (False, False)


async def test_lists_of_an_unknown_kind_are_left_out(memories: Memories) -> None:
    await memories.first("a")
    (key,) = memories.folder.read("lists-box")
    memories.folder.write("lists-box", {key: '{"tools/list":[{"name":"x"}],"later/list":[{}]}'})
    run = memories.next("a")
    assert (run.tools, set(run["a"].lists.by_method)) == (["x"], {"tools/list"})


# --- when it is written -------------------------------------------------------------------------------------


@pytest.fixture
async def writing(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RememberedLists]:
    """A memory that waits as short as it can."""
    monkeypatch.setattr(late_writer, "PAUSE_S", 0.001)
    memory = RememberedLists(memories.folder)
    yield memory
    await memory.aclose()


async def test_what_is_read_in_one_go_is_written_in_one_go(
    memories: Memories, writing: RememberedLists, replicas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []
    write = memories.folder.write

    def counted(name: str, entries: Any) -> None:
        writes.append(name)
        write(name, entries)

    monkeypatch.setattr(memories.folder, "write", counted)
    run = await replicas("a").in_service()
    for _ in range(20):
        writing.keep(run.backend)
    await until(lambda: memories.kept)
    assert writes == ["lists-box"]
    run.has("a", "later")
    await run.backend.refresh()
    writing.keep(run.backend)
    await until(lambda: "later" in str(memories.kept))
    assert writes == ["lists-box"] * 2


async def test_a_stop_writes_what_is_not_written_yet(memories: Memories, replicas: Any) -> None:
    run = await replicas("a").in_service()
    memory = RememberedLists(memories.folder)
    memory.keep(run.backend)
    assert memories.kept == {}
    await memory.aclose()
    assert list(memories.kept) == ["a"]
    run.has("a", "later")
    await run.backend.refresh()
    memory.keep(run.backend)
    await memory.aclose()
    assert "later" in str(memories.kept), "it may be used again"


async def test_a_replica_that_has_not_answered_yet_keeps_what_is_remembered_of_it(memories: Memories) -> None:
    await memories.first("a", "b")
    run = memories.next("a", "b")
    run.at("a").script["initialize"] = [initialized()]
    run.backend.start()
    await run.reach(S.HEALTHY, "a")
    memory = RememberedLists(memories.folder)
    memory.keep(run.backend)
    await memory.aclose()
    assert "add" in str(memories.kept["b"])


async def test_of_a_replica_that_never_answered_nothing_is_kept(memories: Memories, replicas: Any) -> None:
    """As empty lists it would be said to differ from the others, and get no calls."""
    run = replicas("a", "b", scripts={"b": pongs(initialize=silence)})
    run.backend.start()
    await run.reach(S.HEALTHY, "a")
    memory = RememberedLists(memories.folder)
    memory.keep(run.backend)
    await memory.aclose()
    assert list(memories.kept) == ["a"]
    assert memories.next("a", "b").backend.differences == ()


async def test_without_a_folder_nothing_is_remembered(replicas: Any) -> None:
    run = await replicas("a").in_service()
    memory = RememberedLists(None)
    memory.keep(run.backend)
    await memory.aclose()
    fresh = replicas("a")
    memory.recall(fresh.backend)
    assert not fresh.backend.is_listed
