"""Rules about the repository itself: what the docs say is true, and nothing of one machine is in it."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from proxy_core.config import reference
from proxy_core.frontend import admin_reference
from tests.support import key_map, module_map

ROOT = Path(__file__).parents[1]
PROJECT = "only1mcp"

# Put together here, so that this file does not hold what it looks for.
PACKAGE_INDEXES = [
    f"{host}.{top}" for host, top in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))
]
HOME_FOLDERS = [f"/{folder}/" for folder in ("work", "root")]


def repository_files() -> list[Path]:
    """Every text file that is or would be committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("This is not a git checkout.")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def lines_with(needles: list[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in repository_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if any(needle in line for needle in needles)
    ]


def test_the_map_lists_every_module_and_nothing_else():
    document = module_map.DOCUMENT.read_text(encoding="utf-8")
    assert document.splitlines() == module_map.updated(document).splitlines(), "Run `make docs`."


def test_the_key_map_is_that_of_the_bindings():
    document = key_map.DOCUMENT.read_text(encoding="utf-8")
    assert document.splitlines() == key_map.updated(document).splitlines(), "Run `make docs`."


def test_the_reference_of_the_configuration_is_that_of_the_models():
    document = (ROOT / reference.DOCUMENT).read_text(encoding="utf-8")
    assert document.splitlines() == reference.updated(document).splitlines(), "Run `make docs`."


def test_the_reference_of_the_api_is_that_of_its_tables():
    document = (ROOT / admin_reference.DOCUMENT).read_text(encoding="utf-8")
    assert document.splitlines() == admin_reference.updated(document).splitlines(), "Run `make docs`."


@pytest.mark.parametrize(
    "document",
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    ids=lambda path: path.name,
)
def test_a_documents_links_lead_somewhere(document: Path):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / unquote(link)).exists()] == []


def test_the_readme_names_only_targets_that_the_makefile_has():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {
        target
        for document in ("README.md", "CONTRIBUTING.md")
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / document).read_text(), flags=re.MULTILINE)
    }
    assert named >= {"run", "test", "check"}
    assert named <= targets


def test_no_file_names_a_package_index():
    """Where packages come from is each machine's own setting."""
    assert lines_with([*PACKAGE_INDEXES, "index-" + "url"]) == []


def test_no_file_holds_a_path_of_one_machine():
    assert lines_with([f"{ROOT}/", *HOME_FOLDERS]) == []


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line) for line in lines]
    assert None not in pinned, "Every line is name==version."
    return {canonicalize_name(match[1]): match[2] for match in pinned if match}


def platform(version: str, system: str) -> dict[str, str]:
    """The environment of requirement markers on another machine."""
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": system,
        "platform_system": system.title(),
        "platform_machine": "arm64" if system == "darwin" else "x86_64",
    }


def needed_packages(environment: dict[str, str]) -> set[str]:
    """Everything that installing us with the `dev` extra brings along, by what is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            name = canonicalize_name(requirement.name)
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [each for each in requirements_of(name) if applies(each, environment, extra)]
    return {name for name, _ in seen}


def requirements_of(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in distribution(name).requires or []]
    except PackageNotFoundError:
        return []  # Of another platform: its own requirements cannot be known here.


def applies(requirement: Requirement, environment: dict[str, str], extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_every_package_that_gets_installed_is_pinned(version: str, system: str):
    assert needed_packages(platform(version, system)) - set(pins()) == set()


def test_the_changelog_speaks_of_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{version}]" in changelog
    assert version in changelog
