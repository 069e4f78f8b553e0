"""Errors that a user reads: one clear sentence each, with the valid choices and the nearest match."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

Say = Callable[[str], None]
"""Who is told of what goes on all the same, a sentence each."""


def quiet(_sentence: str) -> None:
    """For callers who have nobody to tell."""


class PapertrialError(Exception):
    """Something the user can mend; the CLI prints it in one line and exits with `exit_code`."""

    exit_code = 2


class UsageError(PapertrialError):
    """A name, value or option that does not fit."""


class TaskError(PapertrialError):
    """A task declaration that contradicts itself."""


class DataError(PapertrialError):
    """A data set that is missing, corrupt or of the wrong kind."""


class ResourceError(PapertrialError):
    """Hardware that was asked for and is not there."""


class StoreError(PapertrialError):
    """A store that cannot be read or written."""


def unknown(what: str, name: str, choices: Sequence[str], *, error: type[PapertrialError] = UsageError) -> PapertrialError:
    """The error for a name that does not exist: nearest match first, then every choice."""
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(choices) if choices else "none"
    return error(f"unknown {what}: {name!r}{hint} (choices: {listed})")
