"""The console that commands print to: it shows text as it is, never as markup."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.shown import plain

_NO_EDGE = 100_000
"""Columns where the output is no terminal and nobody says how wide it is: a log has no edge to wrap at."""


class _Plain(Console):
    """Strings and cells are words that somebody chose: `[v2]` and `:fire:` stay what they are. Styles come as `style` or as `Text`."""

    def render_str(self, text: str, **looks: Any) -> Text:
        return super().render_str(plain(text), **looks | {"markup": False, "emoji": False})

    def print(self, *objects: Any, **looks: Any) -> None:
        """A word that is wider than the console, such as a path, stays whole and goes over the edge."""
        if len(objects) == 1 and isinstance(objects[0], str | Text) and not looks.get("soft_wrap"):
            text = self.render_str(objects[0]) if isinstance(objects[0], str) else objects[0]
            if any(cell_len(word) > self.width for word in text.plain.split()):
                lines = (filled(line.split(" "), self.width) for line in text.split("\n", allow_blank=True))
                objects, looks = (Text("\n").join(lines),), looks | {"soft_wrap": True}
        super().print(*objects, **looks)


def console() -> Console:
    """As wide as the terminal or as $COLUMNS says, and without an edge where neither is; numbers keep the colour of the text."""
    found = _Plain(highlight=False)
    asked = os.environ.get("COLUMNS", "")
    is_bounded = found.is_terminal or (asked.isdecimal() and int(asked) > 0)
    return found if is_bounded else _Plain(highlight=False, width=_NO_EDGE)


def warn(console: Console, sentence: str) -> None:
    """Something that people should know of, on one line however long: it is copied and searched for."""
    console.print(sentence, style="yellow", soft_wrap=True)


def styled(text: str, style: str = "") -> Text:
    """A cell or a part of a line in a style."""
    return Text(plain(text), style=style)


def filled(pieces: Iterable[Text], width: int, indent: str = "") -> Text:
    """Pieces in lines of at most `width` columns, a space between two. One that is wider than a line is broken at its spaces alone."""
    room = width - len(indent)
    lines: list[list[Text]] = [[]]
    taken = 0
    for piece in pieces:
        for part in [piece] if piece.cell_len <= room else piece.split(" "):
            if lines[-1] and taken + 1 + part.cell_len > room:
                lines.append([])
                taken = 0
            taken += part.cell_len + bool(lines[-1])
            lines[-1].append(part)
    return Text("\n").join(Text.assemble(indent, Text(" ").join(line)) for line in lines)


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
