"""Figures of a report: SVG elements that carry no outside reference and take their colours from the page.

Colours are written as `var(--name, #hex)`: a page sets the variables for light and dark, a lone file falls back to the hex.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from harness import canvas
from harness.canvas import COLOURS, GRID

COLOURS_ON_DARK = ("#7db2ff", "#ffa163", "#63d18d", "#cb9dff", "#ff8da6", "#5fcfe3", "#e0c25c", "#abb8c9")
INK, PAGE = "#1a2230", "#fefefd"
_INKED = dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "text.color"), INK)


def svg_of(id: str, width: float, height: float, draw: Callable[[Any], None]) -> str:
    """An `<svg>` element of `width` x `height` inches at most, drawn by `draw(figure)`. `id` seeds the names inside it."""
    return _embeddable(canvas.svg_of(id, width, height, draw, style=_INKED, transparent=True))


def colour(method: str, methods: Sequence[str]) -> str:
    """The colour of a method: the same in every figure and table of its task."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def _embeddable(text: str) -> str:
    """Only the `<svg>` element, without metadata and the ids that repeat between figures, with themable colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans, sans-serif)", text)
    text = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', 'width="100%" stroke-linejoin="round"', text, count=1)
    names = {shade: f"--m{i}" for i, shade in enumerate(COLOURS)} | {INK: "--ink", GRID: "--grid", PAGE: "--page"}
    for shade, name in names.items():
        text = text.replace(shade, f"var({name}, {shade})")
    return text.strip()
