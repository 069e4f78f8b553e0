"""The numbers that claims and leaderboard columns are made of: one a seed.

Hyper-parameters are selected on the validation loss of the unquantized network, never on anything quantized and never on test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.estimates import Mean, Row, Slope, rows_of, select, selected
from tasks.llm.optimizers_under_quantization.ladder import METRICS

if TYPE_CHECKING:
    import pandas as pd

BASE: Mapping[str, Any] = {"size": "base", "training": "full"}
"""The sweep at the base size in full precision: what is quantized afterwards."""


def best(trials: Sequence[Row]) -> Row | None:
    """The trial of lowest validation loss."""
    return selected(trials, lambda trial: (-trial["metric.val_loss"],))


@dataclass(frozen=True)
class Selected:
    """`metric` of the trial that the sweep selects, within one method's records."""

    metric: str
    where: Mapping[str, Any] = field(default_factory=lambda: BASE)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The metric, NaN when no trial can be selected."""
        name = f"metric.{self.metric}"
        rows = select(frame, self.where)
        chosen = best(rows_of(rows[[column for column in dict.fromkeys(("status", "metric.val_loss", name)) if column in rows]]))
        return math.nan if chosen is None else float(chosen.get(name, math.nan))


@dataclass(frozen=True)
class Correlation:
    """Between two metrics of each method's selected trial, over the methods (four or more): Pearson's, or Spearman's of the ranks."""

    metric: str
    against: str
    ranked: bool = False
    where: Mapping[str, Any] = field(default_factory=lambda: BASE)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The correlation, NaN with fewer than four methods or a missing value."""
        import numpy as np
        import pandas as pd

        pairs = [(Selected(self.metric, self.where)(rows), Selected(self.against, self.where)(rows)) for _, rows in frame.groupby("method")]
        values = pd.DataFrame(pairs, columns=["x", "y"])
        if len(values) < 4 or not np.isfinite(values.to_numpy()).all():
            return math.nan
        return float((values.rank() if self.ranked else values).corr().to_numpy()[0, 1])


@dataclass(frozen=True)
class AtCommonLoss:
    """W4A4 rise of `subject` at the lowest rung of the ladder that the selected trial of every method of the seed reached."""

    subject: str
    where: Mapping[str, Any] = field(default_factory=lambda: BASE)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The rise in nats a token, NaN where no rung was reached by all."""
        chosen = {str(name): best(rows_of(select(rows, self.where))) for name, rows in frame.groupby("method")}
        trials = [trial for trial in chosen.values() if trial is not None]
        if len(trials) < max(2, len(chosen)) or self.subject not in chosen:
            return math.nan
        for name in reversed(METRICS):
            at = {method: float(trial.get(f"metric.{name}", math.nan)) for method, trial in zip(chosen, trials, strict=True)}
            if all(math.isfinite(value) for value in at.values()):
                return at[self.subject]
        return math.nan


@dataclass(frozen=True)
class QatDrop:
    """(QAT loss - full-precision loss) / full-precision loss of one method, in percent.

    Each at the best of the rates and decays that both kinds of training were run with.
    """

    where: Mapping[str, Any] = field(default_factory=lambda: {"size": "base"})

    def __call__(self, frame: pd.DataFrame) -> float:
        """The drop in percent."""
        full, qat = counterparts(rows_of(select(frame, self.where)))
        return math.nan if full is None or qat is None else 100.0 * (qat["metric.val_loss"] / full["metric.val_loss"] - 1.0)


def counterparts(trials: Sequence[Row]) -> tuple[Row | None, Row | None]:
    """The best trials in full precision and of QAT, among the multipliers that both were run with."""
    kinds: dict[str, dict[tuple[float, float], Row]] = {"full": {}, "qat": {}}
    for trial in trials:
        kinds[trial["param.training"]][trial["param.lr_multiplier"], trial["param.decay_multiplier"]] = trial
    common = kinds["full"].keys() & kinds["qat"].keys()
    full, qat = (best([kinds[kind][point] for point in sorted(common)]) for kind in ("full", "qat"))
    return full, qat


def mmr_slope(metric: str = "mmr_median") -> Slope:
    """d log MMR / d log learning rate, over the sweep of one method at the base size and the base decay."""
    return Slope(metric, "lr_multiplier", {**BASE, "decay_multiplier": 1.0})


def over_methods(metric: str) -> Mean:
    """Mean of a metric over all full-precision trials of the base size, of every method."""
    return Mean(metric, BASE)
