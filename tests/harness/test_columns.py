"""Columns that are built of metrics."""

from __future__ import annotations

import pandas as pd

from harness.bounds import SHARE
from harness.columns import columns
from harness.task import Metric


def test_a_column_says_what_its_metric_says_and_reads_its_view_alone() -> None:
    metrics = [Metric("accuracy", "share", "higher", "of pairs", bounds=SHARE), Metric("loss", "nats", "lower")]
    first, second = columns("train", metrics, "cell", named="{metric} ({view})")
    assert (first.name, first.unit, first.better, first.description, first.bounds) == (
        "accuracy (cell)",
        "share",
        "higher",
        "of pairs",
        SHARE,
    )
    assert (second.name, second.better) == ("loss (cell)", "lower")
    assert [column.name for column in columns("train", metrics)] == ["accuracy", "loss"]
    frame = pd.DataFrame({"metric.accuracy": [0.2, 0.4, 0.9, 0.9], "view.cell": [True, True, False, True]})
    frame = frame.assign(experiment=["train", "train", "train", "prune"], method="m", seed=0, status="ok")
    assert abs(first.estimate(frame) - 0.3) < 1e-12
