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


MOST_CHOICES = 12
"""Names that an error lists where a command lists all of them."""
_ALIKE = 0.7
"""How much alike a name is that is offered beside the nearest one."""


def unknown(
    what: str, name: str, choices: Sequence[str], *, error: type[PapertrialError] = UsageError, listed_by: str = ""
) -> PapertrialError:
    """The error for a name that does not exist: nearest match first, then every choice.

    Of more than MOST_CHOICES the nearest ones, where `listed_by` is the command that lists all.
    """
    many = bool(listed_by) and len(choices) > MOST_CHOICES
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    near = (difflib.get_close_matches(name, choices, n=3, cutoff=_ALIKE) if many else []) or near
    hint = f"; did you mean {', '.join(map(repr, near[:-1]))}{' or ' if near[1:] else ''}{near[-1]!r}?" if near else ""
    listed = f"`{listed_by}` lists all {len(choices)}" if many else f"choices: {', '.join(choices) if choices else 'none'}"
    return error(f"unknown {what}: {name!r}{hint} ({listed})")
