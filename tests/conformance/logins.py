"""The gateway logging in at its servers: the suite's client scenarios of authorization.

There is no direct run beside them: it is the gateway that logs in, whatever its clients are.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.judge import Judge, required_of_clients
from tests.conformance.verdicts import Login
from tests.support.processes import module_command

COMMAND = module_command("tests.support.login_client")
REVISIONS = ("2025-11-25", "2026-07-28")
EXTENSION = "extension"
EXTENSIONS = (
    "auth/client-credentials-basic",
    "auth/client-credentials-jwt",
    "auth/enterprise-managed-authorization",
    "auth/dpop",
    "auth/dpop-nonce",
    "auth/wif-jwt-bearer",
)
"""Not scored."""
NOT_DONE = EXTENSIONS[2:]
"""What the gateway does not do, so that there is nothing to judge."""


def scenarios() -> Iterator[tuple[str, str]]:
    """(scenario, revision), each that is scored, and the extensions that we have."""
    for revision in REVISIONS:
        names = required_of_clients(revision)
        yield from ((name, revision) for name in sorted(names) if name.startswith("auth/"))
    yield from ((name, EXTENSION) for name in EXTENSIONS if name not in NOT_DONE)


def visit(judge: Judge, name: str, revision: str, folder: Path) -> Login:
    here = folder / f"{name.replace('/', ' ')} {revision}"
    here.mkdir(parents=True)
    command = shlex.join((*COMMAND, str(here / "gateway")))
    found = judge.run_client(name, None if revision == EXTENSION else revision, command, here / "suite")
    return Login(revision, found)
