"""The console that commands print to: it shows text as it is, never as markup."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from harness.shown import plain

PLAIN_WIDTH = 160
"""Columns where the output is not a terminal: a log has no edge to wrap at."""


class _Plain(Console):
    """Strings and cells are words that somebody chose: `[v2]` and `:fire:` stay what they are. Styles come as `style` or as `Text`."""

    def render_str(self, text: str, **looks: Any) -> Text:
        return super().render_str(plain(text), **looks | {"markup": False, "emoji": False})


def console() -> Console:
    """As wide as the terminal; numbers and paths keep the colour of the text."""
    found = _Plain(highlight=False)
    return found if found.is_terminal else _Plain(highlight=False, width=PLAIN_WIDTH)


def warn(console: Console, sentence: str) -> None:
    """Something that people should know of, on one line however long: it is copied and searched for."""
    console.print(sentence, style="yellow", soft_wrap=True)


def styled(text: str, style: str = "") -> Text:
    """A cell or a part of a line in a style."""
    return Text(plain(text), style=style)


def emit(found: Any) -> None:
    """Print what `--json` promises to scripts: dataclasses as objects, a number that is not finite as null."""
    print(json.dumps(_plain(found), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(found: Any) -> Any:
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return {field.name: _plain(getattr(found, field.name)) for field in dataclasses.fields(found)}
    if isinstance(found, Mapping):
        return {str(name): _plain(value) for name, value in found.items()}
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [_plain(value) for value in found]
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found if found is None or isinstance(found, bool | int | float | str) else str(found)
