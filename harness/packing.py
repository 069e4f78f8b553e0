"""Many trials of one experiment as one program: what `run_batch` gives, and which trials may share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.lazy import load
from harness.task import Experiment
from harness.trial import Trial

Metrics = Mapping[str, float]
Progress = float | tuple[Trial, Metrics]
"""The share of the program's work that is done, between 0 and 1, or a trial that has ended and its metrics."""
Program = Callable[[Sequence[Trial]], Iterator[Progress]]
"""An experiment's `run_batch`: it yields often (after every step, or every few milliseconds) and every trial once.

It may be closed at any yield. What a trial saves with `checkpoint` is its own, so that a later program with other members can
`restore` it; members may come back at different steps.
"""


def runner(experiment: Experiment) -> Callable[[Trial], Metrics]:
    """What runs one trial: the experiment's `run`, or its program with one member."""
    if experiment.run:
        run: Callable[[Trial], Metrics] = load(experiment.run)
        return run
    program: Program = load(experiment.run_batch)

    def alone(trial: Trial) -> Metrics:
        ended = [said[1] for said in program([trial]) if isinstance(said, tuple)]
        if len(ended) != 1:
            raise ValueError(f"{experiment.run_batch} gave the metrics of {len(ended)} trials for one")
        return ended[0]

    return alone
