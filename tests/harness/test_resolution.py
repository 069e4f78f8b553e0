"""What a metric can tell apart: rounding in single precision, one example of a share of examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.estimates import In, Mean, Of
from harness.resolution import SINGLE, step
from harness.rounding import resolution
from harness.table import Table
from harness.task import Metric


def test_rounding_is_that_of_single_precision() -> None:
    assert np.finfo(np.float32).eps == SINGLE
    assert step([1.0, 1.0 - 2.2e-16, -2.0]) == 2.0 * SINGLE
    apart = np.float32(0.3), np.nextafter(np.float32(0.3), np.float32(1.0))
    assert 0 < float(apart[1]) - float(apart[0]) <= step([0.3])


@pytest.mark.parametrize("examples", [360, 10_000, 50_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_share_of_examples_moves_by_one_of_them(examples: int, dtype: type) -> None:
    counts = np.random.default_rng(0).integers(examples // 2, examples // 2 + 40, 30)
    values = (dtype(100.0) * (counts / dtype(examples)).astype(dtype)).astype(float)
    assert step(values, counted=True) == pytest.approx(100.0 / examples, rel=0.01)
    assert step(values) == pytest.approx(SINGLE * values.max())


def test_one_count_computed_in_two_ways_is_one_value() -> None:
    assert step([100.0 * (1 / 3), 100.0 / 3, float(np.float32(100 / 3)), 50.0], counted=True) == pytest.approx(50.0 / 3, rel=1e-6)


def test_what_is_not_there_counts_for_nothing() -> None:
    assert step([np.nan, 90.0, np.inf, 92.5], counted=True) == 2.5
    assert step([]) == step([np.nan], counted=True) == 0.0
    assert step([90.0, 90.0], counted=True) == step([90.0]), "equal values do not say how large an example is"


def test_many_columns_at_once() -> None:
    columns = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 3.0], [np.nan, 10.0, 10.5]])
    assert step(columns, counted=True).tolist() == [step(column, counted=True) for column in columns]
    assert step(columns).tolist() == [step(column) for column in columns]


def test_a_metric_is_not_counted_unless_it_says_so() -> None:
    assert not Metric("loss", "nats", "lower").counted


def test_shares_of_different_numbers_of_examples_are_no_steps_of_each_other() -> None:
    rows = [(examples, seed, (examples - 1 - seed) / examples) for examples in (90, 91, 127) for seed in range(3)]
    rows += [(60, seed, 1.0) for seed in range(3)]
    frame = pd.DataFrame(rows, columns=["param.examples", "seed", "metric.share"]).assign(experiment="e", method="a", status="ok")
    table = Table.of(frame)
    read = Of("a", In("e", Mean("share", where={"examples": 60})))
    (found,) = resolution(read, table, {("e", "share")}).step
    assert found == pytest.approx(1 / 127), "the least step inside a cell, not 1/90 - 1/91"
