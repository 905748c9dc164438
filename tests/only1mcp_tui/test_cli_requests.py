"""`only1mcp requests`: the inspector for whoever has no screen."""

import json

import pytest

from tests.only1mcp_tui.test_cli_steer import gateway, home, run  # noqa: F401 (fixtures)
from tests.support.exchanges import EVIL, exchanges_control, plain_detail
from tests.support.fake_control import exchange_row
from tests.support.fake_remote import FakeRemote


@pytest.fixture
def recorded(gateway: FakeRemote) -> FakeRemote:  # noqa: F811
    """One exchange of each kind."""
    kinds = exchanges_control()
    gateway.exchanges = kinds.exchanges
    gateway.see(*kinds.exchanges_after(0)[1])
    return gateway


def test_the_newest_are_listed_the_last_one_below(recorded: FakeRemote) -> None:
    ids = sorted(recorded.exchanges)
    lines = run("requests", "-n", "3").stdout.splitlines()
    assert lines[0].split() == ["ID", "TIME", "STATUS", "TOOK", "CLIENT", "WHAT"]
    assert [int(line.split()[0]) for line in lines[1:]] == ids[-3:]


def test_a_line_fits_80_columns_and_steers_no_terminal(recorded: FakeRemote) -> None:
    hostile = exchange_row(10**6, EVIL, EVIL, client=EVIL, server=EVIL, replica=EVIL, code=-32_603)
    recorded.see(hostile)
    result = run("requests", "-n", "5000")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.output


def test_a_filter_is_that_of_the_screen(recorded: FakeRemote) -> None:
    told = [
        json.loads(line) for line in run("requests", "--filter", "is:retried", "--json").stdout.splitlines()
    ]
    assert told
    assert all(row["attempts"] > 1 for row in told)
    assert run("requests", "--filter", "nobody_has_this").stderr == "No such request is recorded.\n"
    wrong = run("requests", "--filter", "ms:>abc")
    assert (wrong.exit_code, "ms:>abc" in wrong.stderr) == (2, True)


def test_one_is_given_in_full_as_json(recorded: FakeRemote) -> None:
    recorded.exchanges[7] = plain_detail(exchange_row(7), None, {"query": "tea"})
    told = json.loads(run("requests", "7").stdout)
    assert told["row"]["id"] == 7
    assert "tea" in json.dumps(told["messages"])


def test_one_that_is_not_kept_is_a_failure_and_says_so(recorded: FakeRemote) -> None:
    result = run("requests", "999999")
    assert result.exit_code != 0
    assert "999999" in result.stderr
