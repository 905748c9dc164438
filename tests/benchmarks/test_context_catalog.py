"""The command itself, on a catalogue that nobody has; its figures over real ones are in the docs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import context_catalog
from tests.proxy_core.context.made_up_tools import tool

TASKS = [
    {
        "query": "Someone owes us money, write it down",
        "keywords": "create invoice",
        "tools": ["ledger__create_invoice"],
    },
    {"query": "zzzz", "keywords": "zzzz", "tools": ["ledger__create_invoice"]},
    {"query": "Fly to the moon", "keywords": "fly moon", "tools": ["rocket__fly"]},
]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    bounded = tool("create_invoice", "Create an invoice.", customer="Who owes.")
    bounded["inputSchema"]["properties"]["amount"] = {"type": "integer", "minimum": 1, "title": "Amount"}
    for server, made in {"ledger": bounded, "harbour": tool("list_ferries", "List all ferries.")}.items():
        text = json.dumps({"server": server, "instructions": None, "tools": [made]})
        (folder / f"{server}.json").write_text(text, encoding="utf-8")
    return folder


def figures_of(catalog: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> dict[str, Any]:
    tasks, written = catalog.parent / "tasks.json", catalog.parent / "figures.json"
    tasks.write_text(json.dumps(TASKS), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["command", str(catalog), str(tasks), "--json", str(written), *options])
    context_catalog.main()
    figures: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return figures


def test_it_tells_what_search_finds_and_what_compacting_leaves(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    figures = figures_of(catalog, monkeypatch, "--instances", "10")
    assert figures["build"]["tools"] == 2
    assert figures["retrieval tasks"]["keywords"]["recall@1"] == 0.5
    assert figures["retrieval tasks"]["keywords"]["mrr"] == 0.5
    assert figures["validation"]["instances"] == 20
    assert figures["validation"]["disagreements"] == 0
    assert figures["retrieval tasks"]["keywords"]["tasks"] == 2, "nobody here can fly"
    assert figures["modes"]["compact"]["wire"] < figures["modes"]["full without our _meta"]["wire"]
    assert figures["one search"]["searches"] == 2
    printed = capsys.readouterr().out
    assert "| keywords | 2 | 0.5 |" in printed
    assert "- disagreements: 0" in printed


def test_the_figures_go_into_the_page_that_is_named(catalog: Path, monkeypatch: pytest.MonkeyPatch):
    page = catalog.parent / "page.md"
    page.write_text("# Page\n\n<!-- live: x -->\n<!-- end of live -->\n", encoding="utf-8")
    figures_of(catalog, monkeypatch, "--instances", "2", "--write", str(page), "--part", "live")
    written = page.read_text(encoding="utf-8")
    assert "2 servers, 2 tools, encoding o200k_base" in written
    assert "| ledger | 1 |" in written and "| tasks (2) | 0.50 |" in written


def test_it_tells_of_a_schema_that_takes_other_arguments_than_it_took(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
):
    def careless(schema: dict[str, Any], _chars: int) -> dict[str, Any]:
        return {"type": "object"}

    monkeypatch.setattr("proxy_core.context.compaction.compact_schema", careless)
    validation = figures_of(catalog, monkeypatch)["validation"]
    assert validation["disagreements"] > 0
    assert validation["first"][0]["tool"].startswith(("ledger__", "harbour__"))
