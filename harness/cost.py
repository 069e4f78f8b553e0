"""What a method costs beside what it reaches: time, memory, operations, and the trials that its tuning took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.coverage import needs
from harness.estimates import column, select
from harness.evidence import Evidence
from harness.table import Table
from harness.task import Experiment, Statistic

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cost:
    """Of one method's trials in an experiment; NaN where nothing says it."""

    seconds: float
    """Mean of the trials that ended ok."""
    memory: float
    """MiB, the largest peak of a trial that ended ok: of the worker on a CPU, of the trial on a GPU."""
    flops: float
    """Mean of the experiment's metric in FLOPs, NaN where a column of the board shows it."""
    tuning: float
    """Trials among which the sweep selects, in a cell and seed; 1 where it had no choice, NaN without a sweep."""


def cost(evidence: Evidence, experiment: Experiment, method: str, shown: Sequence[Statistic], ranking: Statistic | None) -> Cost:
    """What the trials of `method` took. Tuning is that of the number that ranks, else of the experiment's sweep."""
    records = select(evidence.records, {}, experiment=experiment.name, method=method)
    good = records[records["status"] == "ok"]
    read = {need.metric for statistic in shown for need in needs(statistic.estimate)}
    counted = next((m for m in experiment.metrics if m.unit.lower() in ("flop", "flops") and m.name not in read), None)
    return Cost(
        seconds=float(good["seconds"].mean()),
        memory=float(good["peak_memory_mib"].max()),
        flops=float(column(good, counted.name).mean()) if counted else math.nan,
        tuning=_tuning(evidence.planned_of(experiment.name, method), experiment, ranking),
    )


def _tuning(planned: pd.DataFrame, experiment: Experiment, ranking: Statistic | None) -> float:
    read = [need for need in needs(ranking.estimate) if need.sweep] if ranking else []
    found = [(need.sweep, need.rows(planned)) for need in read] or [(experiment.tuned, planned)]
    seeds = [(sweep, own) for sweep, rows in found if sweep and len(rows) for _, own in rows.groupby("seed")]
    sizes = [len(cell) for sweep, own in seeds for cell in sweep.cells(Table.of(own))]
    return sum(sizes) / len(sizes) if sizes else math.nan


def unequal_tuning(budgets: Mapping[str, float]) -> str:
    """`tuning budgets differ: 7 trials for muon, 3 for adamw`; nothing where all methods had as many trials to choose among."""
    known = {method: trials for method, trials in budgets.items() if math.isfinite(trials)}
    if len(set(known.values())) < 2:
        return ""
    groups = [(trials, [method for method in known if known[method] == trials]) for trials in sorted(set(known.values()), reverse=True)]
    said = [f"{trials:.3g}{'' if i else ' trials'} for {_named(methods)}" for i, (trials, methods) in enumerate(groups)]
    return f"tuning budgets differ: {', '.join(said)}"


def _named(methods: list[str]) -> str:
    if len(methods) > 3:
        return f"{methods[0]} and {len(methods) - 1} others"
    return " and ".join(filter(None, (", ".join(methods[:-1]), methods[-1])))
