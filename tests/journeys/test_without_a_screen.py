"""A headless gateway asked by its commands: the facts of the Overview, and what the inspector recorded."""

import json
from pathlib import Path

from tests.only1mcp_tui.test_cli_asking import Person
from tests.support.gateway_process import serving, stdio
from tests.support.processes import demo_command

SECRET = "Zq7Planted9xW"


def test_status_and_requests_tell_what_went_on(tmp_path: Path) -> None:
    socket = str(tmp_path / "admin.sock")
    with serving(tmp_path, [stdio("flaky", demo_command("flaky"))], admin={"socket": socket}) as gateway:
        person = Person(tmp_path, "--socket", socket)
        called = Person(tmp_path, "--url", gateway.url).run("call", "flaky__echo", f"text=password={SECRET}")
        assert called.returncode == 0, called.stderr
        status = person.run("status").stdout.splitlines()
        # A path is never broken, so that it can be copied.
        assert max(len(line) for line in status if str(tmp_path) not in line) <= 80
        said = " ".join(" ".join(status).split())
        for words in (
            "flaky ● healthy 0 1 ",
            "2026-07-28 over stdio, 9 tools",
            "clients: 1 only1mcp-cli (anon)",
        ):
            assert words in said, status
        rows = [json.loads(line) for line in person.run("requests", "--json").stdout.splitlines()]
        [call] = [row for row in rows if row["target"] == "flaky__echo"]
        assert "flaky__echo" in person.run("requests", "--filter", "status:ok").stdout
        whole = person.run("requests", str(call["id"])).stdout
        assert json.loads(whole)["row"] == call
        assert SECRET not in whole
