import subprocess
import sys

import pytest

from proxy_core.backends.child_env import child_environment, go_ahead, held_command
from proxy_core.config.models import StdioTransport

PRINT_REST = held_command(sys.executable, ("-c", "import sys; print('ran', sys.stdin.read(), end='')"))


@pytest.mark.requirement("B09")
def test_only_what_is_needed_or_named_is_inherited_and_env_has_the_last_word() -> None:
    ours = {"PATH": "/bin", "TOKEN": "hush", "AWS_REGION": "x", "AWS_KEY": "y", "BASH_FUNC_f%%": "() {"}
    transport = StdioTransport(command="x", env={"PATH": "/opt"}, inherit_env=("AWS_R*", "BASH*", "tok*"))
    assert child_environment(transport, "abc", ours) == {
        "PATH": "/opt",
        "AWS_REGION": "x",
        "ONLY1MCP_RUN": "abc",
    }


def test_no_configuration_changes_the_mark() -> None:
    transport = StdioTransport(command="x", env={"ONLY1MCP_RUN": "other"}, inherit_env=("*",))
    assert child_environment(transport, "abc", {"ONLY1MCP_RUN": "outer"}) == {"ONLY1MCP_RUN": "abc"}


def test_a_held_command_ends_without_running_if_its_stdin_ends_first() -> None:
    done = subprocess.run(PRINT_REST, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_a_held_command_takes_its_line_and_not_a_byte_more() -> None:
    done = subprocess.run(PRINT_REST, input=go_ahead("abc") + b"{}\n{}\n", capture_output=True, check=True)
    assert done.stdout == b"ran {}\n{}\n"


def test_a_child_and_what_it_starts_know_whose_they_are() -> None:
    """By ids of its own, also where another gateway's child started ours."""
    script = "echo $PPID $ONLY1MCP_PARENT $$ $ONLY1MCP_CHILD"
    command = held_command("/bin/sh", ("-c", script))
    env = {"PATH": "/bin:/usr/bin", "ONLY1MCP_CHILD": "1", "ONLY1MCP_PARENT": "1"}
    done = subprocess.run(command, input=go_ahead("abc"), capture_output=True, check=True, env=env)
    parent, said_parent, own, said_own = done.stdout.split()
    assert (said_parent, said_own) == (parent, own)
