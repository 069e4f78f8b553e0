"""The rule that decides claims, on arrays of studies: what `verdict` says of one study, and how often it says so of redrawn ones.

Outcomes are places in `OUTCOMES`; arrays have the shape (studies,) or (claims, studies).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.stats import Floats, holm
from harness.task import Claim, Region

Outcome = Literal["reproduced", "not reproduced", "inconclusive", "not tested"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "not reproduced", "inconclusive", "not tested")
REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTED = range(4)
Outcomes = npt.NDArray[np.intp]
Why = Literal["all lost", "lost", "no seed", "exact", "one seed", "no spread", "inside", "outside", "straddles", "bounds"]
WHYS: tuple[Why, ...] = ("all lost", "lost", "no seed", "exact", "one seed", "no spread", "inside", "outside", "straddles", "bounds")


@dataclass(frozen=True)
class Decisions:
    """What studies say of one number."""

    outcomes: Outcomes
    p: Floats
    """The error at which the interval would not yet lie on one side of the region's edges."""
    why: Outcomes
    """Places in WHYS."""


def decided(values: Floats, region: Region, *, exact: bool, ends: tuple[Floats, Floats], p: Floats, error: float) -> Decisions:
    """Where the interval of a number lies, seed values (studies, seeds) with NaN for a seed that was lost.

    Deciding on the seeds that survived would favour whatever fails: a method must not win by diverging. Without any, nothing was tested.
    """
    n = np.full(len(values), values.shape[1])
    low, high = ends
    sure = p < error
    lost = np.isnan(values)
    found = [
        lost.all(axis=1) & (n > 0),
        lost.any(axis=1),
        n == 0,
        np.full(len(values), exact),
        n < 2,
        np.isnan(p),
        sure & inside(low, region) & inside(high, region),
        sure & ((high <= region.low) | (low >= region.high)),
    ]
    exactly = np.where(inside(values, region).all(axis=1), REPRODUCED, NOT_REPRODUCED)
    # The first that applies; where none does, the interval straddles an edge.
    why = np.argmax(np.stack([*found, np.ones(len(values), dtype=bool)]), axis=0)
    undecided = [INCONCLUSIVE] * 3
    outcomes = np.array([NOT_TESTED, INCONCLUSIVE, NOT_TESTED, *undecided, REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE])
    return Decisions(np.where(why == WHYS.index("exact"), exactly, outcomes[why]), p, why)


def inside(values: Floats, region: Region) -> npt.NDArray[np.bool_]:
    """Whether numbers lie in the open region."""
    return np.asarray((region.low < values) & (values < region.high))


def together(parts: Sequence[Decisions], *, exact: bool, error: float) -> Decisions:
    """Intersection-union: reproduced when every part is, not reproduced when one is not, beyond what several would give by chance."""
    outcomes, p = np.stack([part.outcomes for part in parts]), np.stack([part.p for part in parts])
    against = outcomes == NOT_REPRODUCED
    least = np.min(np.where(against, p, np.inf), axis=0) * len(parts)
    if not exact:
        outcomes = np.where(against & ~(least < error), INCONCLUSIVE, outcomes)
    order = np.array([NOT_REPRODUCED, NOT_TESTED, INCONCLUSIVE, REPRODUCED])
    outcome = order[np.argsort(order)[outcomes].min(axis=0)]
    whole = np.where(outcome == NOT_REPRODUCED, np.minimum(least, 1.0), p.max(axis=0))
    return Decisions(outcome, whole, np.zeros_like(outcome))


def held(outcomes: Outcomes, p: Floats, claims: Sequence[Claim], error: float, tried: npt.NDArray[np.bool_]) -> tuple[Outcomes, Floats]:
    """Primary claims decide only what Holm's correction over them leaves: one wrong verdict among them is as rare as of one interval.

    (claims, studies) all; the corrected p replaces that of the primary claims that were decided. What was `tried` counts in Holm's number
    of hypotheses, whether or not a seed was left to test it by: a trial that fails must not ease what other claims have to pass.
    """
    primary = np.array([claim.primary and not claim.exact for claim in claims], dtype=bool)[:, None]
    counted = primary & tried
    family = primary & ((outcomes == REPRODUCED) | (outcomes == NOT_REPRODUCED))
    # Claims that are undecided alone have the largest p: they count in Holm's number of hypotheses and change nothing else.
    corrected = holm(np.where(family, p, np.where(counted, 1.0, np.nan)).T).T
    return np.where(family & ~(corrected < error), INCONCLUSIVE, outcomes), np.where(family, corrected, p)


def standing(outcomes: Outcomes, claims: Sequence[Claim]) -> Outcomes:
    """(claims, studies): a claim decides nothing where one that it stands on does not hold, or stands itself on one that does not."""
    places = {claim.id: place for place, claim in enumerate(claims)}
    found, fallen = outcomes.copy(), outcomes == NOT_REPRODUCED
    # Each round passes a fall on by one claim; grounds form no cycle.
    for _ in claims:
        for place, claim in enumerate(claims):
            for under in claim.stands_on:
                found[place] = np.where(fallen[places[under]], NOT_TESTED, found[place])
                fallen[place] |= fallen[places[under]]
    return found
