"""Pictures of the terminal one after the other, as one SVG that plays by itself wherever SVGs are shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_PREFIX = re.compile(r"terminal-\d+-")
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Frame:
    svg: str
    """As Textual exports a screen."""
    shown_s: float


def film(frames: Sequence[Frame]) -> str:
    """All frames on top of each other, each visible in its turn, over and over. They must be of one size."""
    sizes = {found[0] for frame in frames if (found := _SIZE.search(frame.svg))}
    if len(sizes) != 1:
        raise ValueError(f"The frames are of {len(sizes)} sizes.")
    whole_s = sum(frame.shown_s for frame in frames)
    begins_s, layers, rules = 0.0, [], []
    for number, frame in enumerate(frames):
        rules.append(_turn(number, begins_s / whole_s * 100, (begins_s + frame.shown_s) / whole_s * 100))
        layers.append(f'<g class="frame f{number}">\n{_layer(frame.svg, number)}\n</g>')
        begins_s += frame.shown_s
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {sizes.pop()}>'
    style = f".frame {{ visibility: hidden; animation: {whole_s:g}s step-end infinite; }}"
    return "\n".join((head, "<style>", style, *rules, "</style>", *layers, "</svg>", ""))


def _turn(number: int, begins: float, ends: float) -> str:
    """When one frame is visible, in percent of the whole."""
    hidden = "" if number == 0 else "0% { visibility: hidden; } "
    gone = "" if ends >= 100 else f" {ends:.3f}% {{ visibility: hidden; }}"
    return (
        f".f{number} {{ animation-name: f{number}; }} "
        f"@keyframes f{number} {{ {hidden}{begins:.3f}% {{ visibility: visible; }}{gone} }}"
    )


def _layer(svg: str, number: int) -> str:
    """One frame with names of its own: two frames must not take each other's styles."""
    lines = _PREFIX.sub(f"f{number}-", _FONTS.sub("", svg)).strip().splitlines()
    return "\n".join(line.rstrip() for line in lines)
