"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console

PLAIN_WIDTH = 160
"""Columns where the output is not a terminal: a log has no edge to wrap at."""


def console() -> Console:
    """As wide as the terminal; numbers and paths keep the colour of the text."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)
