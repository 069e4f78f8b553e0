"""Runs one trial of the paper."""

from __future__ import annotations

from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of the trial's part; the record says which implementation of the rational it used."""
    from kernels import backend
    from tasks.kan.kat_group_rational import cost, quality
    from tasks.kan.kat_group_rational.problems import problem

    with backend.recording() as used:
        run_part = quality.run if trial.params.part == "quality" else cost.run
        metrics = run_part(trial, problem(trial))
    trial.kernel_backend = used.summary()
    return metrics
