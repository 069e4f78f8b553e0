"""The numbers that claims are made of, where they are more than a metric of a trial.

Hyper-parameters are selected on the validation loss of the unquantized network, never on anything quantized and never on test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.errors import DataError, UsageError
from harness.estimates import Estimate, In, Mean, Vectorised
from harness.sweeps import Sweep
from tasks.llm.optimizers_under_quantization.ladder import ANNEALED_RISE, METRICS

if TYPE_CHECKING:
    import pandas as pd

    from harness.table import Floats, Table

SWEEP = Sweep(("lr_multiplier", "decay_multiplier", "embedding_multiplier"), by="val_loss", better=("lower",))


@dataclass(frozen=True)
class AtCommonLoss(Vectorised):
    """A number of `subject` at the lowest rung of the ladder that the selected trial of every method of the seed reached.

    `family` says which: of annealed copies, whose rate is zero under every optimizer, or of the networks on their way.
    """

    subject: str
    family: str = ANNEALED_RISE
    experiment: str = "base"

    def values(self, table: Table) -> Floats:
        """The number, NaN where no rung was reached by all."""
        import numpy as np

        from harness.table import picked

        methods = table.select({}, experiment=self.experiment).groups("method")
        found = table.nothing()
        if len(methods) < 2 or self.subject not in methods:
            return found
        chosen = {name: SWEEP.chosen(rows) for name, rows in methods.items()}
        for metric in METRICS[self.family]:
            at = {name: picked(rows.metric(metric), chosen[name]) for name, rows in methods.items()}
            found = np.where(np.isfinite([*at.values()]).all(axis=0), at[self.subject], found)
        return found


@dataclass(frozen=True)
class QatDrop(Vectorised):
    """(QAT loss - full-precision loss) / full-precision loss of one method at the base size, in percent."""

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The losses of both."""
        return In("base", Mean("val_loss")), In("qat", Mean("val_loss"), "base")

    def values(self, table: Table) -> Floats:
        """The drop in percent."""
        full, qat = counterparts(table.select({}, experiment="base"), table.select({}, experiment="qat", view="base"), "val_loss")
        return 100.0 * (qat / full - 1.0)


def counterparts(full: Table, qat: Table, metric: str) -> tuple[Floats, Floats]:
    """A metric in full precision and of QAT, each at the best of the rates and decays that both were run with; NaN without one."""
    from harness.table import picked

    places = [
        {point: place for place, point in enumerate(zip(*(rows.column(f"param.{name}").tolist() for name in SWEEP.over), strict=True))}
        if len(rows)
        else {}
        for rows in (full, qat)
    ]
    common = sorted(places[0].keys() & places[1].keys())
    both = [rows.places([own[point] for point in common]) for rows, own in zip((full, qat), places, strict=True)]
    if not common:
        return full.nothing(), qat.nothing()
    first, second = (picked(rows.metric(metric), SWEEP.chosen(rows)) for rows in both)
    return first, second


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
        from harness.table import Table

        runs: list[Run] = []
        for method, own in Table.of(frame).groups("method").items():
            for size in (size for width in own.groups("param.width").values() for size in width.groups("param.depth").values()):
                qat = size.select({}, experiment="qat")
                full = size.take(size.column("experiment") != "qat")
                sizes, losses = (counterparts(full, qat, metric) for metric in ("hidden_parameters", "val_loss"))
                runs += [(method, kind, float(n[0]), float(loss[0])) for kind, n, loss in zip(("full", "qat"), sizes, losses, strict=True)]
        if any(math.isnan(number) for _, _, *numbers in runs for number in numbers):
            return math.nan
        return _fit(tuple(sorted(runs))).get(self.subject, math.nan)


@lru_cache(maxsize=4096)
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
