"""Parameter efficiency under quantization-aware training: a 4-bit network of N parameters is worth one of rho N."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.errors import DataError, UsageError
from harness.estimates import Row, rows_of
from tasks.llm.optimizers_under_quantization.estimates import counterparts

if TYPE_CHECKING:
    import pandas as pd

Run = tuple[str, str, float, float]
"""(method, training, parameters, loss)"""
_COLUMNS = (
    *("method", "status", "metric.val_loss", "metric.hidden_parameters"),
    *(f"param.{name}" for name in ("width", "depth", "training", "lr_multiplier", "decay_multiplier")),
)


@dataclass(frozen=True)
class Efficiency:
    """rho of `subject` from one seed's runs of every method and size: L = A / (N rho)^alpha + E with rho = 1 in full precision.

    E and alpha are shared between the methods, A and rho each method's own: with separate E and alpha three to six sizes leave rho to
    chance. NaN unless every method has three sizes in both kinds of training, and the fit converges.
    """

    subject: str

    def __call__(self, frame: pd.DataFrame) -> float:
        """rho of the subject."""
        sizes: dict[tuple[str, int, int], list[Row]] = {}
        for trial in rows_of(frame[[name for name in _COLUMNS if name in frame]]):
            sizes.setdefault((trial["method"], trial["param.width"], trial["param.depth"]), []).append(trial)
        runs = []
        for (method, _, _), trials in sizes.items():
            for chosen in counterparts(trials):
                if chosen is None:
                    return math.nan
                runs.append((method, chosen["param.training"], float(chosen["metric.hidden_parameters"]), float(chosen["metric.val_loss"])))
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
