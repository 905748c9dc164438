"""Where the time of a request goes, by layers: the real gateway under load, its stacks sampled by py-spy.

Run as `python -m tests.benchmarks.profiling [FOLDER]`, which leaves the stacks there, for any viewer of them.
The sampler stops the process for each look, so that less goes through meanwhile; what a request costs, and how
much of that is the kernel's, is measured before, without it. The samples share it out.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from tests.benchmarks.cores import MEASURED, pin
from tests.benchmarks.lines import saturate
from tests.benchmarks.load import Ask, modern_list
from tests.benchmarks.processes import cpu_of, kernel_s_of
from tests.benchmarks.results import Section
from tests.benchmarks.rounds import Way
from tests.benchmarks.stacks import LAYERS, Folded, folded
from tests.benchmarks.standing import GATEWAY, OF_300_BYTES, AskOf, modern, standing

PER_S: Final = 75
"""More would take so much of what goes through that the records in full, 250 a second, became a large part."""
LISTED: Final = ("--tools", "40")
"""10 KB of list."""
MISSING: Final = "py-spy is not installed here (`pip install py-spy`): nothing was profiled."


class Profiled(NamedTuple):
    cpu_us: float
    """Of a request."""
    of_kernel: float
    """Which share of that is the kernel's."""
    samples: Folded


class CannotSample(Exception):
    """py-spy is there and did not sample; says why in its own words."""


def _list(_port: int, _tool: str) -> Ask:
    return modern_list()


LOADS: Final[dict[str, tuple[tuple[str, ...], AskOf]]] = {
    "a forwarded tools/call": (OF_300_BYTES, modern),
    "a cached tools/list of 10 KB": (LISTED, _list),
}


async def profile_section(seconds: float, kept: Path | None = None) -> Section:
    """`seconds`: of each load. `kept`: a folder for the stacks."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    # Beside the interpreter first, whose environment need not be on the path.
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        return Section([MISSING])
    found: dict[str, Profiled] = {}
    try:
        for name, (backend, ask_of) in LOADS.items():
            async with standing((GATEWAY,), backend, ask_of) as ways:
                cpu_us, of_kernel, stacks = _profiled(program, ways[GATEWAY], seconds)
            found[name] = Profiled(cpu_us, of_kernel, folded(stacks.splitlines()))
            if kept is not None:
                (kept / f"{name.replace(' ', '-').replace('/', '-')}.txt").write_text(stacks, encoding="utf-8")
    except CannotSample as error:
        return Section([f"py-spy could not sample here: {error}"])
    return Section(rows_of(found))


def _profiled(program: str, way: Way, seconds: float) -> tuple[float, float, str]:
    """CPU microseconds of a request without the sampler, the kernel's share of them, and the stacks."""
    kernel_before, all_before = kernel_s_of(way.pid)
    cpu_us = saturate(way.lines, seconds / 2, lambda: cpu_of(way.pid)).cpu_us
    kernel_s, all_s = kernel_s_of(way.pid)
    of_kernel = (kernel_s - kernel_before) / (all_s - all_before)
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder) / "stacks.txt"
        command = [program, "record", "--native", "--function", "--format", "raw", "--output", str(stacks)]
        command += ["--rate", str(PER_S), "--duration", str(round(seconds)), "--pid", str(way.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as sampler:
            # Where the load runs, it would have its turn when that waits: in the gateway's longest steps.
            pin(sampler.pid, MEASURED)
            while sampler.poll() is None:
                saturate(way.lines, 0.5, lambda: 0.0)
            assert sampler.stderr is not None
            said = sampler.stderr.read()
        if sampler.returncode or not stacks.exists():
            raise CannotSample(said.strip().splitlines()[-1] if said.strip() else f"exit {sampler.returncode}")
        return cpu_us, of_kernel, stacks.read_text(encoding="utf-8")


def rows_of(found: dict[str, Profiled]) -> list[str]:
    """By layer; what one request costs in it, in CPU microseconds, and its share."""
    heads = [f"{name}, CPU µs | share" for name in found]
    rows = [f"| layer | {' | '.join(heads)} |", "|---" * (2 * len(heads) + 1) + "|"]
    for layer in LAYERS:
        cells = []
        for each in found.values():
            share, off_by = each.samples.share(layer, each.of_kernel)
            cells.append(f"{share * each.cpu_us:.1f} | {share:.0%} ± {off_by:.0%}")
        rows.append(f"| {layer} | {' | '.join(cells)} |")
    sums = (f"{each.cpu_us:.1f} | {each.samples.total:,} samples" for each in found.values())
    rows.append(f"| all | {' | '.join(sums)} |")
    return rows


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("\n".join(uvloop.run(profile_section(6.0, folder)).rows))
