"""What a method costs beside what it reaches: time, memory, energy, operations, and the trials that its tuning took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.coverage import needs
from harness.evidence import Evidence
from harness.table import Table
from harness.task import Experiment, Statistic


@dataclass(frozen=True)
class Cost:
    """Of one method's trials in an experiment; NaN where nothing says it."""

    seconds: float
    """Mean of the trials that ended ok."""
    memory: float
    """MiB, the largest peak of a trial that ended ok: of the worker on a CPU, of the trial on a GPU."""
    energy: float
    """Joules, the mean of the trials that ended ok, NaN where it is not known of each of them."""
    flops: float
    """Mean of the experiment's metric in FLOPs, NaN where a column of the board shows it."""
    tuning: float
    """Trials among which the sweep selects, in a cell and seed; 1 where it had no choice, NaN without a sweep."""


def cost(evidence: Evidence, experiment: Experiment, method: str, shown: Sequence[Statistic], ranking: Statistic | None) -> Cost:
    """What the trials of `method` took. Tuning is that of the number that ranks, else of the experiment's sweep."""
    good = evidence.ended_ok(experiment.name, method)
    read = {need.metric for statistic in shown for need in needs(statistic.estimate)}
    counted = next((m for m in experiment.metrics if m.unit.lower() in ("flop", "flops") and m.name not in read), None)
    return Cost(
        seconds=float(evidence.over(good, "seconds").mean()),
        memory=float(evidence.over(good, "peak_memory_mib").max()),
        energy=float(evidence.over(good, "energy_j").mean(skipna=False)),
        flops=float(evidence.over(good, f"metric.{counted.name}").mean()) if counted else math.nan,
        tuning=_tuning(evidence, experiment, method, ranking),
    )


def _tuning(evidence: Evidence, experiment: Experiment, method: str, ranking: Statistic | None) -> float:
    planned = evidence.cells_of(experiment.name, method)
    read = [need for need in needs(ranking.estimate) if need.sweep] if ranking else []
    found = [(need.sweep, need.rows(planned)) for need in read] or [(experiment.tuned, planned)]
    trials = choices = 0
    for sweep, cells in found:
        groups = [cells.index[group.rows] for group in sweep.cells(Table.of(cells))] if sweep and len(cells) else []
        trials += sum(int(cells.loc[group, "trials"].sum()) for group in groups)
        choices += sum(evidence.seeds_of(group) for group in groups)
    return trials / choices if choices else math.nan


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
