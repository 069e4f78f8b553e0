"""What a paper's README says in short, as HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def cited(text: str) -> Markup:
    """Only `<sub>`, which names the claims behind a statement, is taken for markup."""
    from markupsafe import Markup, escape

    parts = re.split(r"<sub>([^<]*)</sub>", text)
    return Markup("").join(Markup("<sub>{}</sub>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))
