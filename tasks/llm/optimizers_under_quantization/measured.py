"""The numbers that claims are made of, where they are more than a metric of a trial.

Hyper-parameters are selected on the validation loss of the unquantized network, never on anything quantized and never on test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.errors import DataError, UsageError
from harness.estimates import Estimate, In, Mean, Row, rows_of, select
from harness.sweeps import Sweep
from tasks.llm.optimizers_under_quantization.ladder import METRICS

if TYPE_CHECKING:
    import pandas as pd

SWEEP = Sweep(("lr_multiplier", "decay_multiplier"), by="val_loss", better=("lower",))


@dataclass(frozen=True)
class AtCommonLoss:
    """W4A4 rise of `subject` at the lowest rung of the ladder that the selected trial of every method of the seed reached."""

    subject: str
    experiment: str = "base"

    def __call__(self, frame: pd.DataFrame) -> float:
        """The rise in nats a token, NaN where no rung was reached by all."""
        rows = select(frame, {}, experiment=self.experiment)
        chosen = {str(name): SWEEP.selected(rows_of(own)) for name, own in rows.groupby("method")}
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
    """(QAT loss - full-precision loss) / full-precision loss of one method at the base size, in percent."""

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The losses of both."""
        return In("base", Mean("val_loss")), In("qat", Mean("val_loss"), "base")

    def __call__(self, frame: pd.DataFrame) -> float:
        """The drop in percent."""
        rows = (select(frame, {}, experiment="base"), select(frame, {}, experiment="qat", view="base"))
        full, qat = counterparts(*map(rows_of, rows))
        return math.nan if full is None or qat is None else 100.0 * (qat["metric.val_loss"] / full["metric.val_loss"] - 1.0)


def counterparts(full: Sequence[Row], qat: Sequence[Row]) -> tuple[Row | None, Row | None]:
    """The selected trials in full precision and of QAT, each at the best of the rates and decays that both were run with."""
    points = [{tuple(row[f"param.{name}"] for name in SWEEP.over): row for row in rows} for rows in (full, qat)]
    common = sorted(points[0].keys() & points[1].keys())
    return SWEEP.selected([points[0][point] for point in common]), SWEEP.selected([points[1][point] for point in common])


Run = tuple[str, str, float, float]
"""(method, training, parameters, loss)"""


@dataclass(frozen=True)
class Efficiency:
    """rho of `subject`: a network of N parameters that is trained at 4 bits is worth one of rho N in full precision.

    One fit of one seed's runs of every method and size, L = A / (N rho)^alpha + E with rho = 1 in full precision. E and alpha are shared
    between the methods, A and rho each method's own: with separate E and alpha three to six sizes leave rho to chance. NaN unless every
    method has three sizes in both kinds of training, and the fit converges.
    """

    subject: str

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The losses of all sizes, in both kinds of training."""
        return tuple(In(name, Mean("val_loss")) for name in ("base", "law", "qat"))

    def __call__(self, frame: pd.DataFrame) -> float:
        """rho of the subject."""
        params = [f"param.{name}" for name in ("width", "depth", *SWEEP.over)]
        columns = ["experiment", "method", "status", *params, "metric.val_loss", "metric.hidden_parameters"]
        sizes: dict[tuple[str, int, int], dict[str, list[Row]]] = {}
        for trial in rows_of(frame[[name for name in columns if name in frame]]):
            size = sizes.setdefault((trial["method"], trial["param.width"], trial["param.depth"]), {"full": [], "qat": []})
            size["qat" if trial["experiment"] == "qat" else "full"].append(trial)
        runs = []
        for (method, _, _), size in sizes.items():
            for training, chosen in zip(("full", "qat"), counterparts(size["full"], size["qat"]), strict=True):
                if chosen is None:
                    return math.nan
                runs.append((method, training, float(chosen["metric.hidden_parameters"]), float(chosen["metric.val_loss"])))
        return _fit(tuple(sorted(runs))).get(self.subject, math.nan)


@lru_cache(maxsize=256)
def _fit(runs: tuple[Run, ...]) -> dict[str, float]:
    """Method -> rho."""
    import pandas as pd

    from harness.laws import Options, fit

    table = pd.DataFrame(runs, columns=["method", "training", "n", "y"])
    if table.empty or table.groupby("method")["n"].nunique().min() < 3:
        return {}
    options = Options(group=("method", "training"), reference="training=full", share=("alpha", "E"), resamples=0)
    try:
        (part,) = fit("precision-collapsed", table, options=options).parts
    except (DataError, UsageError):
        return {}
    if not part.converged:
        return {}
    rho = {estimate.group: estimate.value for estimate in part.estimates if estimate.name == "rho"}
    return {method: rho[f"{method}/qat"] for method in table["method"].unique()}
