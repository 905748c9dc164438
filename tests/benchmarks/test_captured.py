"""Sets of servers: which are in one, and that it is the same every time."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.captured import Server, count_tools, read_catalog, some_of


def server(name: str, tools: int) -> Server:
    return Server(name, [{"name": f"t{number}", "inputSchema": {}} for number in range(tools)])


SERVERS = [server("ant", 5), server("bee", 40), server("cat", 3), server("dog", 1)]


@pytest.mark.parametrize(
    ("at_most", "start", "names"),
    [
        (9, 0, ["ant", "cat", "dog"]),
        (8, 0, ["ant", "cat"]),
        (44, 1, ["bee", "cat", "dog"]),
        (6, 3, ["dog", "ant"]),
        (0, 0, []),
        (100, 2, ["cat", "dog", "ant", "bee"]),
    ],
)
def test_a_set_is_the_servers_in_turn_that_fit(at_most: int, start: int, names: list[str]):
    chosen = some_of(SERVERS, at_most, start)
    assert [each.id for each in chosen] == names
    assert count_tools(chosen) <= at_most


def test_a_catalogue_is_read_by_the_names_of_its_files(tmp_path: Path):
    for name in ("b", "a"):
        text = json.dumps({"server": name, "package": "x", "tools": [{"name": "go", "inputSchema": {}}]})
        (tmp_path / f"{name}.json").write_text(text)
    read = read_catalog(tmp_path)
    assert [each.id for each in read] == ["a", "b"]
    (source,) = read[0].sources()
    assert (source.server, source.name) == ("a", "a__go")
