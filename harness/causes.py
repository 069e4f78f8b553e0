"""Why trials did not end ok, as people are told it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.masking import again
from harness.shown import sentence

_TRACE = re.compile(r"\n(?=[ |+]*(?:Exception Group )?Traceback \(most recent call last\):|\(no traceback:)")
SENTENCES = ("SaidError", "PapertrialError", "UsageError", "TaskError", "DataError", "ResourceError", "StoreError", "CheckpointError")
"""Errors of ours whose text is a whole sentence: the name of the class adds nothing to it."""
_TIMEOUT = "TrialTimeout"
"""What the limit of a trial raises: the line before says it."""


def cause(error: str) -> str:
    """What the error of a record says: without its traceback, and without the name of an error of ours."""
    lines = [line for line in _TRACE.split(error.strip(), maxsplit=1)[0].splitlines() if line.strip() and not line.startswith(_TIMEOUT)]
    if not lines:
        return ""
    name, _, rest = lines[0].partition(": ")
    if name in SENTENCES and rest:
        return sentence(" ".join([rest, *lines[1:]]))
    return sentence((": " if lines[0][0].islower() else " ").join(lines))


def endings(statuses: Iterable[str] | Mapping[str, int]) -> str:
    """`3 failed, 1 oom` of statuses or of their counts; empty where all are ok."""
    found = Counter(statuses)
    return ", ".join(f"{count:,} {status}" for status, count in sorted(found.items()) if status != "ok" and count)


def traced(bad: Sequence[tuple[str, str]], trials: int, words: Sequence[str]) -> str:
    """What `told` says, with the command that shows tracebacks: `papertrial trials WORDS --failed`."""
    return f"{told(bad, trials)} (with the traceback: {again(['trials', *words, '--failed'])})"


def told(bad: Sequence[tuple[str, str]], trials: int) -> str:
    """`3 failed of 12 trials`, and what most of them said; `bad` are status and error of those that did not end ok."""
    head = f"{endings(status for status, _ in bad)} of {trials:,} trial{'s' if trials > 1 else ''}"
    said = Counter(filter(None, (cause(error) for _, error in bad)))
    for most, count in said.most_common(1):
        return f"{head}: {most}" if count == len(bad) else f"{head}; {count:,} of them: {most}"
    return head
