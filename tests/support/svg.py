"""Pictures of screens as SVG, kept under `snapshots/` in the folder of their test's path."""

import re
from pathlib import Path
from typing import Any

from syrupy.extensions.image import SVGImageSnapshotExtension
from syrupy.location import PyTestLocation

ROOT = Path(__file__).resolve().parents[2]


class ScreenSvg(SVGImageSnapshotExtension):
    """The pictures of tests/only1mcp_tui/test_x.py stand in snapshots/only1mcp_tui/test_x/."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        path = Path(test_location.filepath).resolve().relative_to(ROOT / "tests")
        return str(ROOT / "snapshots" / path.with_suffix(""))

    def serialize(self, data: Any, **options: Any) -> Any:
        svg = re.sub(r"terminal-\d+-", "terminal-", data)  # a random id for every picture
        svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts of a network
        return super().serialize("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", **options)
