"""What every HTML page needs: an environment that escapes, colours for light and dark, data for its script."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.verdicts import CHANCE
from harness.shown import plain

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SHADES = Path(__file__).parent / "colours.css"
"""The variables of both looks, and the badges of verdicts."""
_CHANCE = re.compile(r"by chance alone [0-9.e+-]+")


def environment(folder: Path) -> Environment:
    """Templates of a folder. What somebody wrote is text, never markup, and shows no character that controls."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    found = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
        loader=FileSystemLoader(folder, encoding="utf-8"),
    )
    found.filters["cited"] = cited
    found.filters["command"] = command
    found.filters["counted"] = counted
    found.filters["data"] = data
    found.filters["shell"] = shlex.quote
    return found


def cited(text: str) -> Markup:
    """What a paper's README says in short: only `<sub>`, which names the claims behind a statement, is taken for markup."""
    from markupsafe import Markup, escape

    parts = re.split(r"<sub>([^<]*)</sub>", text)
    return Markup("").join(Markup("<sub>{}</sub>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


def command(text: str) -> Markup:
    """A command of which each option stays on one line with its value."""
    from markupsafe import Markup

    return Markup(" ").join(Markup("<span>{}</span>").format(part) for part in re.split(r" (?=--)", text))


def counted(text: str) -> Markup:
    """Counts of verdicts, whose number by chance says what it is where one points at it."""
    from markupsafe import Markup, escape

    found = _CHANCE.search(text)
    if found is None:
        return escape(text)
    explained = Markup('<abbr title="{}">{}</abbr>').format(CHANCE, found[0])
    return escape(text[: found.start()]) + explained + escape(text[found.end() :])


def data(found: Any) -> Markup:
    """JSON that may stand in a script element: no `<` ends it."""
    from markupsafe import Markup

    return Markup(json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))
