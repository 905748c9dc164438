"""One tool in full, as whoever wants to read or call it needs it. Frozen; holds untrusted text."""

from msgspec import Struct

from proxy_core.telemetry.context_bill import ToolCost


class ToolDetail(Struct, frozen=True):
    """The schemas and annotations are JSON as the server sent them, cut where they are longer than may be."""

    name: str
    """As clients see it."""
    origin: str
    """The server's own name for it."""
    server: str
    title: str = ""
    description: str = ""
    input_schema: str = ""
    """Empty: it has none."""
    output_schema: str = ""
    annotations: str = ""
    read_only: bool = False
    """It says (`readOnlyHint`) that it changes nothing."""
    destructive: bool | None = None
    """What it says of that (`destructiveHint`); None: nothing."""
    cost: ToolCost | None = None
    """None: not counted yet."""
