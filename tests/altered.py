"""A tree of settings with one value changed, for what has to refuse it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


def altered(tree: dict[str, Any], path: Sequence[Any], value: object) -> dict[str, Any]:
    """A copy of `tree` with `value` at the end of `path`."""
    changed = copy.deepcopy(tree)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed
