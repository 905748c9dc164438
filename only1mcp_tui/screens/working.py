"""Work that a screen has done beside it, one of a kind at a time."""

from textual.dom import DOMNode
from textual.worker import Worker, WorkType


def work_at(node: DOMNode, work: WorkType[None], group: str, name: str = "") -> Worker[None]:
    """Do it in place of what the same group still does; whatever it raises is its own.

    `work`: not a coroutine yet, for one that the next overtakes would never be awaited.
    """
    return node.run_worker(work, name=name, group=group, exclusive=True, exit_on_error=False)
