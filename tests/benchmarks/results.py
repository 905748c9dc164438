"""What one run measured, as values and as a file: figures with their samples, and the machine's facts."""

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal, NamedTuple

FORMAT: Final = 1
PACKAGES: Final = ("aiohttp", "httptools", "msgspec", "orjson", "pydantic", "textual", "uvloop")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CPU_MODEL: Final = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


class BadResults(Exception):
    """A file that holds no results of ours, or a name that can be none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that can be compared with that of another run."""

    name: str
    """Unique in its section, and the same in every run."""
    unit: str
    better: Literal["lower", "higher"]
    samples: tuple[float, ...]
    """One for each round of the run; a single one where there are no rounds."""
    must: float | None = None
    """What it may not be worse than, in its unit."""
    aim: float | None = None
    """What it should be at least."""
    is_must: bool = False
    """Whether the run fails if this has become worse than in the baseline."""

    @property
    def value(self) -> float:
        return median(self.samples)

    def reaches(self, bound: float) -> bool:
        return self.value <= bound if self.better == "lower" else self.value >= bound


class Section(NamedTuple):
    """What a section gives: its rows for the documents, and what of them can be compared."""

    rows: list[str]
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when it was measured."""

    date: str
    cores: int
    cpu: str
    system: str
    """Of the kernel: name, release, architecture."""
    python: str
    packages: Mapping[str, str]
    commit: str
    """Empty where there is no git; with a + if files were changed since."""

    @property
    def short(self) -> str:
        """The line below each table of a document."""
        kernel, _, architecture = self.system.split(" ")
        return f"*{self.date}; {self.cores} cores, {kernel} {architecture}, Python {self.python}*"

    def differs_from(self, other: "Machine") -> list[str]:
        """What makes figures of the two no measure of a change in the code."""
        mine, others = asdict(self), asdict(other)
        names = ("cores", "cpu", "system", "python", "packages")
        return [name for name in names if mine[name] != others[name]]


@dataclass(slots=True)
class Results:
    machine: Machine
    is_quick: bool
    load_before: float
    """Of the last minute: processes that ran or wanted to, on average."""
    load_after: float = 0.0
    sections: dict[str, Section] = field(default_factory=dict)


# --- the machine ----------------------------------------------------------------------------------------------


def this_machine(root: Path) -> Machine:
    return Machine(
        date=time.strftime("%Y-%m-%d"),
        cores=os.cpu_count() or 1,
        cpu=_cpu_model(),
        system=f"{platform.system()} {platform.release().replace(' ', '-')} {platform.machine()}",
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        commit=_commit(root),
    )


def load_average() -> float:
    return os.getloadavg()[0]


def _cpu_model() -> str:
    try:
        found = _CPU_MODEL.search(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _commit(root: Path) -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


# --- files ----------------------------------------------------------------------------------------------------


def place(folder: Path, name: str) -> Path:
    """The file of results that are kept under a name. Raises: BadResults for a name that leads elsewhere."""
    if not _NAME.fullmatch(name):
        raise BadResults(f"{name!r} is no name for results: letters, digits, dots, hyphens and underscores.")
    return folder / f"{name.removesuffix('.json')}.json"


def found_at(folder: Path, wanted: str) -> Path:
    """A baseline, given by its path or by the name that it was saved under. Raises: BadResults."""
    candidates = [Path(wanted).expanduser(), *([place(folder, wanted)] if _NAME.fullmatch(wanted) else [])]
    for path in candidates:
        if path.is_file():
            return path
    raise BadResults(f"There are no results at {' or '.join(map(str, candidates))}; SAVE={wanted} makes some.")


def save(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Raises: BadResults."""
    try:
        return parsed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadResults(f"{path} holds no results of `make bench`: {error!r}") from error


def plain(results: Results) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "machine": asdict(results.machine),
        "is_quick": results.is_quick,
        "load_before": results.load_before,
        "load_after": results.load_after,
        "sections": {
            name: {"rows": section.rows, "figures": [asdict(figure) for figure in section.figures]}
            for name, section in results.sections.items()
        },
    }


def parsed(value: Mapping[str, Any]) -> Results:
    """Raises: ValueError, TypeError, KeyError for what `plain` did not make."""
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']!r}")
    sections = {
        str(name): Section([str(row) for row in section["rows"]], tuple(map(_figure, section["figures"])))
        for name, section in value["sections"].items()
    }
    return Results(
        Machine(**value["machine"]),
        bool(value["is_quick"]),
        float(value["load_before"]),
        float(value["load_after"]),
        sections,
    )


def _figure(value: Mapping[str, Any]) -> Figure:
    figure = Figure(**{**value, "samples": tuple(map(float, value["samples"]))})
    if not figure.samples or figure.better not in ("lower", "higher"):
        raise ValueError(f"figure {figure.name!r}")
    return figure


def as_section(found: Section | Sequence[str]) -> Section:
    """What a section gave, also if it gives rows alone."""
    return found if isinstance(found, Section) else Section(list(found))
