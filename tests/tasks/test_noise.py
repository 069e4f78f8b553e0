"""No claim is a claim that noise satisfies: every task is redrawn without any effect, and its claims are judged."""

from __future__ import annotations

from functools import cache

import pytest
from scipy.stats import binomtest

from harness import registry
from harness.errors import TaskError
from harness.noise import NoiseRates, Rate
from tests.calibration.noise import SATISFIED, may_be_satisfied, of_task, tasks

STUDIES, SLOW = 150, 4
FAMILY_WISE = 0.05
ALLOWED: dict[tuple[str, str], str] = {}
"""Claims that noise satisfies and that still stand as findings, each with the reason. The list may only shrink."""


@cache
def drawn(name: str) -> list[NoiseRates]:
    return of_task(registry.task(name), studies=STUDIES, slow=SLOW)


def loaded() -> list[str]:
    found = []
    for name in tasks():
        try:
            registry.task(name)
        except TaskError:
            continue
        found.append(name)
    return found


def surely_above(rate: Rate, limit: float) -> bool:
    """Beyond what the number of redrawn studies alone may give: p < 0.01."""
    return bool(binomtest(round(rate.reproduced * rate.studies), rate.studies, limit, alternative="greater").pvalue < 0.01)


@pytest.mark.parametrize("name", loaded())
def test_no_finding_of_a_task_is_one_that_noise_makes(name: str) -> None:
    """A claim that noise satisfies in over 20 % of studies is declared a check, or exact, or an equivalence with its margin's source."""
    found = [rate for noise in drawn(name) for rate in noise.rates]
    satisfied = {rate.claim.id: f"{rate.reproduced:.2f}" for rate in found if surely_above(rate, SATISFIED) and not may_be_satisfied(rate)}
    allowed = {claim for task, claim in ALLOWED if task == name}
    assert not satisfied.keys() - allowed, f"noise satisfies them (tests/calibration/noise.py): {satisfied}"
    mended = allowed - {rate.claim.id for rate in found if rate.reproduced > SATISFIED / 2 and not may_be_satisfied(rate)}
    assert not mended, "mended: take them off the list"


@pytest.mark.parametrize("name", loaded())
def test_primary_claims_of_a_task_err_together_as_rarely_as_one(name: str) -> None:
    for noise in drawn(name):
        family = noise.primary
        if family.studies:
            above = binomtest(family.wrong, family.studies, FAMILY_WISE, alternative="greater").pvalue
            assert above > 0.001, f"{family.rate:.3f} of {family.studies} studies at scale {noise.scale}"
