"""How recordings are cut and labelled, in a file of the user's beside them: it belongs to the data, so it is part of their digest."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, unknown

FILE = "papertrial.toml"
INSIDE, ONSET = "inside", "onset"
APART, MERGED = "apart", "merged"
_CHOICES = {"windows": (INSIDE, ONSET), "labels": (APART, MERGED)}


@dataclass(frozen=True)
class Options:
    """What `papertrial.toml` in the folder of the recordings may say."""

    windows: str = INSIDE
    """`inside`: two seconds, half overlapping, inside events. `onset`: one second from half a second before each event."""
    labels: str = APART
    """`apart`: a combined label such as `eyem_musc` is both classes at once, so no window of it is used. `merged`: by the merge map."""
    classes: tuple[str, ...] = ()
    """Those to keep; empty: all."""


def read_options(root: Path, classes: Sequence[str] | None) -> Options:
    """The options of a folder; `classes` are those to choose among, None where the annotations name them.

    DataError for a file that is no TOML, and for a key, a value or a class that does not exist.
    """
    file = root / FILE
    if not file.is_file():
        return Options()
    try:
        said: Mapping[str, Any] = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:  # tomllib's and UTF-8's errors are ValueErrors
        raise DataError(f"{FILE}: cannot be read ({error})") from None
    for key, value in said.items():
        if key == "classes":
            _check_classes(value, classes)
        elif key not in _CHOICES:
            raise unknown(f"key of {FILE}", key, [*_CHOICES, "classes"], error=DataError)
        elif value not in _CHOICES[key]:
            raise unknown(f"value of {key} in {FILE}", str(value), _CHOICES[key], error=DataError)
    return Options(**{**said, "classes": tuple(said.get("classes", ()))})


def _check_classes(value: Any, known: Sequence[str] | None) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value) or len(set(value)) != len(value) or len(value) < 2:
        raise DataError(f"{FILE}: classes must be a list of two or more different names, not {value!r}")
    for name in value:
        if known is not None and name not in known:
            raise unknown(f"class in {FILE}", name, known, error=DataError)
