"""Tools that are not what they were: which they are, and what each said before and says now.

Texts and schemas are held as their server sent them, but for their length; whoever shows them makes them safe.
"""

from msgspec import Struct


class ToolChange(Struct, frozen=True):
    """A tool that is not as it was first seen or last approved, and that nobody has approved since."""

    server: str
    tool: str
    """The server's own name of it."""
    what: str
    """changed, or new: its server is known, and did not have it."""
    digest: str
    """Of what it says now: an approval names it, so that nothing is approved that was not seen."""
    parts: tuple[str, ...] = ()
    """What is different, as `description` or `input schema`; empty for a new one."""
    is_withheld: bool = False
    """Whether clients neither see nor reach it (`on_change: quarantine`)."""
    since: float = 0.0
    """When this was noticed, in seconds of the epoch."""
    principals: tuple[str, ...] = ()
    """Whose own list says so; empty: the list of everybody."""


class ToolText(Struct, frozen=True):
    """What a server says of a tool, each part cut where it is too long."""

    title: str = ""
    description: str = ""
    input_schema: str = ""
    """JSON text, names sorted; empty if there is none. Cut, it is no JSON any more."""
    output_schema: str = ""
    annotations: str = ""


class ToolDiff(Struct, frozen=True):
    """One change, to be looked at."""

    change: ToolChange
    now: ToolText
    before: ToolText | None = None
    """As approved last; None: it is new, or that text was not kept."""
    names: tuple[str, ...] = ()
    """Tools of other servers that it names as it is now."""
