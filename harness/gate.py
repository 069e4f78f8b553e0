"""The gate between what a trial says and the store: numbers that are numbers, names that can be columns, text that can be kept.

What does not pass is an error of the trial that said it, never of the study.
"""

from __future__ import annotations

import math
import numbers
import traceback
from collections.abc import Mapping
from typing import Any

from harness.censoring import companion
from harness.record import Curve
from harness.shown import plain
from harness.task import Experiment

MOST_TEXT = 20_000
"""Characters of an error that are kept: its beginning and, twice as much, its end."""
MOST_NAME = 200
MOST_SERIES = 500
"""Different names in one trial's curves: each is a column of the study's table."""
RESERVED = frozenset({"trial_id", "step", "written", "ledger.line"})
"""Columns of the curves' own."""


class SaidError(Exception):
    """Something that a trial returned or logged and that cannot be kept."""


def number(value: Any, what: str) -> float:
    """`value` as a float. SaidError unless it is a real number, or an array or tensor without dimensions that holds one.

    A complex number, a truth value, text, a duration and a masked value are not numbers, whatever `float` makes of them. NaN and
    infinities are.
    """
    scalar = value
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        # A masked one has no value, whatever lies under its mask.
        scalar = None if kind in ("m", "M") or getattr(value, "mask", False) else value.item()
    if isinstance(scalar, bool) or not isinstance(scalar, numbers.Real):
        raise SaidError(f"{what} is {_shown(value)}: not a number")
    try:
        return float(scalar)
    except (OverflowError, ValueError, TypeError) as error:
        raise SaidError(f"{what} is {_shown(value)}, which no 64-bit float holds ({error})") from None


def metrics(experiment: Experiment, method: str, returned: Any) -> dict[str, float]:
    """What `run` returned, as floats.

    SaidError for an undeclared name, a value that is no number, a declared metric that is missing, and one outside its bounds. A trial that
    diverged, with a metric that is NaN or infinite, may leave others out. A censored metric comes with its companion, 0 or 1.
    """
    if not isinstance(returned, Mapping) or not returned:
        raise SaidError(f"run must return a mapping of metrics to numbers, not {_shown(returned)}")
    companions = {metric.name: companion(metric.name) for metric in experiment.metrics if metric.censored}
    declared = {metric.name for metric in experiment.metrics} | {*companions.values()}
    for name in returned:
        if not isinstance(name, str) or name not in declared:
            known = ", ".join(sorted(declared))
            raise SaidError(
                f"run returned metric {_shown(name)}, which experiment {experiment.name} does not declare (it declares {known})"
            )
    kept = {str(name): number(value, f"metric {name}") for name, value in returned.items()}
    missing = [metric.name for metric in experiment.metrics if metric.returned_by(method) and metric.name not in kept]
    if missing and all(math.isfinite(value) for value in kept.values()):
        raise SaidError(f"run returned no {', '.join(missing)}, which experiment {experiment.name} declares for {method}")
    for metric in experiment.metrics:
        value = kept.get(metric.name, math.nan)
        if math.isfinite(value) and metric.bounds.outside(value):
            raise SaidError(f"metric {metric.name} is {value:.9g}, outside the bounds that it declares ({metric.bounds})")
    for name, beside in companions.items():
        _check_companion(name, beside, kept)
    return kept


def _check_companion(name: str, beside: str, kept: Mapping[str, float]) -> None:
    """SaidError unless a censored metric that is a number says whether it is a bound."""
    if beside in kept and kept[beside] not in (0.0, 1.0):
        raise SaidError(f"metric {beside} is {kept[beside]:g}: 1 where {name} is a lower bound, 0 where it was reached")
    if beside in kept and name not in kept:
        raise SaidError(f"run returned {beside} without {name}, of which it says whether it is a bound")
    if beside not in kept and math.isfinite(kept.get(name, math.nan)):
        raise SaidError(f"run returned {name} without {beside}, which says whether it is a bound (harness.censoring.reached makes both)")


def point(step: Any, values: Mapping[str, Any]) -> dict[str, float]:
    """One row of a trial's curves. SaidError for a step that is not finite, a name that cannot be a column, a value that is no number."""
    at = number(step, "the step")
    if not math.isfinite(at):
        raise SaidError(f"a curve's step is {at}: not finite")
    row = {"step": at}
    for name, value in values.items():
        if name in RESERVED or not is_name(name):
            raise SaidError(f"a curve cannot be called {_shown(name)}: choose another name (taken: {', '.join(sorted(RESERVED))})")
        row[str(name)] = number(value, f"{name} at step {at:g}")
    return row


def curve(rows: Any) -> Curve:
    """A trial's curves as they go to the store. SaidError for what `point` did not make, and for more names than a table has room for."""
    names: set[str] = set()
    for row in rows:
        names.update(row)
        if not all(type(name) is str and type(value) is float for name, value in row.items()):
            raise SaidError(f"the trial's curve holds {_shown(row)}: points come from trial.log")
    if len(names) > MOST_SERIES:
        raise SaidError(f"the trial's curves have {len(names)} names; {MOST_SERIES} are the most")
    return list(rows)


def is_name(name: Any) -> bool:
    """Whether a text can be the name of a column: not empty, of printable characters, and not overlong."""
    return isinstance(name, str) and 0 < len(name) <= MOST_NAME and name.isprintable()


def text(said: Any, most: int = MOST_TEXT) -> str:
    """Text that every store, terminal and page can hold.

    Credentials are masked, control characters and lone surrogates written out (`\\x1b`), and of more than `most` characters the middle
    is left out.
    """
    whole = str.__str__(said) if isinstance(said, str) else _read(said)
    if len(whole) > most:
        head = most // 3
        whole = f"{whole[:head]}\n[{len(whole) - most} characters left out]\n{whole[head - most :]}"
    return plain(whole)


def error(problem: BaseException) -> str:
    """One sentence, then the traceback, of an exception that may be anything: one whose text raises, too."""
    sentence = f"{type(problem).__name__}: {_read(problem)}"
    try:
        trace = "".join(traceback.format_exception(problem))
    except Exception as broken:
        trace = f"(no traceback: formatting it raised {type(broken).__name__})"
    return text(f"{text(sentence, MOST_TEXT // 4)}\n{trace}")


def _read(thing: Any) -> str:
    try:
        return str(thing)
    except BaseException as broken:
        return f"(reading its text raised {type(broken).__name__})"


def _shown(value: Any) -> str:
    try:
        return text(repr(value), 200)
    except BaseException as broken:
        return f"a {type(value).__name__} (showing it raised {type(broken).__name__})"
