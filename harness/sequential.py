"""One claim at the looks of its study: the first look that decides it stands, whatever is run for other claims afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.looks import Look, standing

if TYPE_CHECKING:
    from harness.verdict import Verdict

DECIDED = ("reproduced", "not reproduced")


def at_looks(looks: Sequence[Look], complete: int, extra: int, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a claim from those at each of the `complete` looks (from what there is, where none is complete).

    A claim errs where any of its looks does, which the levels bound together, and so keeps the verdict of the first that decides: more
    seeds cannot take it back, nor turn it. `extra` seeds that belong to no look decide nothing.
    """
    last = verdicts[-1]
    if last.verdict == "not tested" and not any(v.verdict in DECIDED for v in verdicts):
        return last
    by_hand = _by_hand(extra)
    if not complete:
        return replace(last, verdict="inconclusive", reason=f"Undecided at {standing(looks, 0)}.{by_hand}")
    place = next((place for place, verdict in enumerate(verdicts) if verdict.verdict in DECIDED), None)
    if place is None:
        where = f"at the cap of {looks[-1].seeds} seeds" if complete == len(looks) else f"at {standing(looks, complete)}"
        return replace(last, reason=f"Undecided {where}.{by_hand} {last.reason}")
    first, look = verdicts[place], looks[place]
    words = f"Decided at look {place + 1} of {len(looks)} ({look.seeds} seeds), by an interval of {100 * first.confidence:.2f} %."
    later = looks[complete - 1].seeds - look.seeds
    if later:
        turned = "" if last.verdict == first.verdict else f", where look {complete} alone would say {last.verdict}"
        words += f" The {later} seeds after it do not open it again{turned}."
    return replace(first, reason=f"{words}{by_hand} {first.reason}")


def _by_hand(extra: int) -> str:
    if not extra:
        return ""
    those = "1 seed was" if extra == 1 else f"{extra} seeds were"
    return (
        f" {those} added by hand after the last complete look: that is one more look, for which no error is left, and it decides nothing."
    )


def waits_for_seeds(verdict: Verdict) -> bool:
    """Whether more seeds may decide a claim: it is open, and lost none."""
    return verdict.verdict == "inconclusive" and not verdict.lost
