"""Which tools have a word, and what it is worth in each: the numbers of BM25F, made before anyone asks. Pure.

Flat arrays: 20,000 tools are a million postings.
Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, 3.6.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from proxy_core.context import tool_doc
from proxy_core.context.steps import Steps
from proxy_core.context.tool_doc import FIELD_COUNT, ToolDoc

POSTINGS_A_STEP: Final = 200


class Field(NamedTuple):
    """How words of one field count."""

    weight: float
    b: float
    """How much it is held against a word that its field is longer than others: 0 to 1."""


# Measured on 1,216 tools of 45 servers; half or twice of any of these is hardly worse.
FIELDS: Final = {
    tool_doc.NAME: Field(3.0, 0.3),
    tool_doc.SERVER: Field(2.0, 0.0),
    tool_doc.TITLE: Field(0.5, 0.3),
    tool_doc.FIRST_SENTENCE: Field(1.5, 0.5),
    tool_doc.DESCRIPTION: Field(0.5, 0.6),
    tool_doc.PARAMETER_NAMES: Field(0.6, 0.75),
    tool_doc.PARAMETER_TEXTS: Field(0.4, 0.5),
}
K1: Final = 0.8
"""How soon more of the same word stops to count."""


@dataclass(frozen=True, slots=True)
class Postings:
    """For each word the tools that have it. Tools and words are numbers."""

    starts: "array[int]"
    """Word number -> where its postings begin; one more than there are words."""
    tools: "array[int]"
    worths: "array[float]"
    """What the word is worth in that tool before its rareness: 0 to 1."""

    def tools_with(self, number: int) -> int:
        """How many tools have a word."""
        return self.starts[number + 1] - self.starts[number]

    def of(self, number: int) -> Iterator[tuple[int, float]]:
        """The tools that have a word, and its worth in each."""
        begin, end = self.starts[number], self.starts[number + 1]
        return zip(self.tools[begin:end], self.worths[begin:end], strict=True)


def collecting(docs: Sequence[ToolDoc]) -> Steps[tuple[dict[str, int], Postings]]:
    """The number of each word of `docs`, and the postings, in steps of some `POSTINGS_A_STEP` postings."""
    pace = _Pace()
    numbers: dict[str, int] = {}
    counts = array("I")
    lengths = [0] * FIELD_COUNT
    for doc in docs:
        for field, length in enumerate(doc.lengths):
            lengths[field] += length
        for word in doc.words:
            number = numbers.setdefault(word, len(counts))
            if number == len(counts):
                counts.append(0)
            counts[number] += 1
            if pace.is_over():
                yield
    starts = array("I", [0])
    for count in counts:
        starts.append(starts[-1] + count)
        if pace.is_over():
            yield
    tools = array("I", [0]) * starts[-1]
    yield
    worths = array("f", [0.0]) * starts[-1]
    yield
    free = starts[:]
    averages = [length / max(len(docs), 1) for length in lengths]
    for tool, doc in enumerate(docs):
        scales = [_scale(field, doc.lengths[field], averages[field]) for field in range(FIELD_COUNT)]
        for at, word in enumerate(doc.words):
            number = numbers[word]
            place = free[number]
            free[number] += 1
            tools[place] = tool
            worths[place] = _worth(doc.counts[at * FIELD_COUNT : (at + 1) * FIELD_COUNT], scales)
            if pace.is_over():
                yield
    return numbers, Postings(starts, tools, worths)


def _scale(field: int, length: int, average: float) -> float:
    """What one occurrence counts in a field of `length` words."""
    weight, b = FIELDS[field]
    return weight / (1 - b + b * length / average) if length else 0.0


def _worth(counts: bytes, scales: list[float]) -> float:
    weighted = sum([count * scale for count, scale in zip(counts, scales, strict=True) if count])
    return weighted / (K1 + weighted)


class _Pace:
    """Says when a step is over."""

    def __init__(self) -> None:
        self._left = POSTINGS_A_STEP

    def is_over(self) -> bool:
        self._left -= 1
        if self._left:
            return False
        self._left = POSTINGS_A_STEP
        return True
