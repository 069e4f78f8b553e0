"""Regions, estimates and published values of a logarithm, shown as what they are the logarithm of."""

from __future__ import annotations

import math

import pytest

from harness.claims import factor
from harness.errors import TaskError
from harness.estimates import Reading
from harness.region import Region
from harness.report.logarithms import interval_undone, number_undone, region_undone
from harness.report.verdicts import published_number, region
from harness.stats import Interval

LOG10 = Reading("train", "loss").log10().unit


@pytest.mark.parametrize(
    ("holds", "unit", "said"),
    [
        ("< -0.30103", LOG10, "ratio below 0.5"),
        ("> 0", LOG10, "ratio above 1"),
        ("-0.0413927 to 0.0413927", LOG10, "ratio between 0.9091 and 1.1"),
        ("< -6", LOG10, "ratio below 1e-06"),
        ("> 400", LOG10, "ratio above inf"),
        ("> 3", "log2 of the width", "width above 8"),
        ("< 0.693147", "log of a ratio", "ratio below 2"),
        ("< 0", "log error / log FLOPs", ""),
        ("< 0.1", "ratio of log distances", ""),
        ("< 0", "nats", ""),
        ("nonsense", LOG10, ""),
        ("1 to 1", LOG10, ""),
    ],
)
def test_a_region_of_a_logarithm_is_said_in_what_it_is_of(holds: str, unit: str, said: str) -> None:
    assert region_undone(holds, unit) == said
    assert region(holds, unit) == (f"{holds} ({said})" if said else holds)


def test_what_a_claim_on_a_factor_declares_is_enough() -> None:
    (claim,) = factor("C1", "ours", "theirs", Reading("train", "loss", better="lower"), by=2.0, source="abstract")
    assert region_undone(str(claim.holds), claim.unit) == "ratio below 0.5"


@pytest.mark.parametrize("known", [Region(low=-1.5), Region(high=2e-7), Region(low=-3.0, high=0.25), Region(high=0.0)])
def test_a_region_is_read_back_from_its_text(known: Region) -> None:
    assert Region.parse(str(known)) == known


@pytest.mark.parametrize("text", ["", "below 3", "1 to", "to 1", "<3"])
def test_what_is_no_region_is_not_read_as_one(text: str) -> None:
    with pytest.raises((ValueError, TaskError)):
        Region.parse(text)


def test_a_mean_of_logarithms_is_a_geometric_mean() -> None:
    assert interval_undone(Interval(math.log10(0.5), math.log10(0.4), math.log10(0.625), 5), LOG10) == "ratio 0.50 [0.40, 0.62]"
    assert interval_undone(Interval(2.0, -math.inf, math.inf, 1), LOG10) == "ratio 100"
    assert interval_undone(Interval(1.0, 0.5, math.inf, 5, "at least"), LOG10).startswith("ratio ≥ 10.0 [3.2, ∞")
    assert interval_undone(Interval(math.nan, math.nan, math.nan, 0), LOG10) == ""
    assert interval_undone(Interval(1.0, 0.5, 1.5, 5), "nats") == ""
    assert "∞" in interval_undone(Interval(1.0, 0.5, 1e6, 5), LOG10), "a power too large for a float is no error"


def test_a_papers_number_has_its_unit_and_what_it_is_the_logarithm_of() -> None:
    assert number_undone(-1.0, LOG10) == "ratio 0.1"
    assert published_number(-1.0, LOG10) == "-1 log10 of a ratio (ratio 0.1)"
    assert published_number(0.0312345678, "nats") == "0.0312346 nats"
    assert published_number(None, "nats") == "–"
