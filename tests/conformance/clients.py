"""The gateway as a client of its servers: the suite's client scenarios, directly and with it in between."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.judge import Judge
from tests.conformance.verdicts import Visit
from tests.support.processes import module_command

COMMAND = module_command("tests.support.conformance_client")
REVISIONS = {
    "initialize": ("2025-06-18", "2025-11-25"),
    "tools_call": ("2025-06-18", "2025-11-25", "2026-07-28"),
    "elicitation-sep1034-client-defaults": ("2025-11-25",),
    "sse-retry": ("2025-11-25",),
    "request-metadata": ("2026-07-28",),
    "sep-2322-client-request-state": ("2026-07-28",),
    "http-standard-headers": ("2026-07-28",),
    "http-custom-headers": ("2026-07-28",),
    "http-invalid-tool-headers": ("2026-07-28",),
    "json-schema-ref-no-deref": ("2026-07-28",),
    "json-schema-2020-12-preservation": ("2025-11-25", "2026-07-28"),
}
"""Those without authorization, in each revision to which they apply."""


def scenarios() -> Iterator[tuple[str, str]]:
    """(scenario, revision)"""
    for name, revisions in REVISIONS.items():
        yield from ((name, revision) for revision in revisions)


def visit(judge: Judge, name: str, revision: str, folder: Path) -> Visit:
    """The files of both runs stay below `folder`."""
    here = folder / f"{name} {revision}"
    here.mkdir(parents=True)
    direct = judge.run_client(name, revision, shlex.join(COMMAND), here / "direct")
    through = shlex.join((*COMMAND, "--through", str(here / "gateway")))
    return Visit(revision, direct, judge.run_client(name, revision, through, here / "through"))
