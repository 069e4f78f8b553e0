"""Many trials of one experiment as one program: which may share it, and what its author gives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress

from harness import registry
from harness.errors import TaskError
from harness.lazy import load
from harness.plan import TrialSpec
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
        ended = [said for said in program([trial]) if isinstance(said, tuple)]
        if len(ended) != 1 or ended[0][0] is not trial:
            raise ValueError(f"{experiment.run_batch} gave the metrics of {len(ended)} trials, or of another one, for one")
        return ended[0][1]

    return alone


def shared(spec: TrialSpec) -> Hashable | None:
    """Trials for which this is equal may share a program; None for one that runs by itself.

    TaskError when the experiment's `alike` raises, or gives what cannot be compared.
    """
    experiment = registry.task(spec.task).experiment(spec.experiment)
    if not experiment.run_batch:
        return None
    try:
        agreed: Hashable = (
            experiment.alike(spec.method, spec.params) if experiment.alike else (spec.method, json.dumps(dict(spec.params), sort_keys=True))
        )
        again = experiment.alike(spec.method, spec.params) if experiment.alike else agreed
        if hash(agreed) != hash(again) or agreed != again:
            raise ValueError(f"{agreed!r} and {again!r} for one trial")
    except Exception as error:
        raise TaskError(f"task {spec.task}: `alike` of experiment {spec.experiment} raised {type(error).__name__}: {error}") from error
    if agreed is None:
        return None
    return spec.task, spec.scale, spec.experiment, spec.data.fingerprint if spec.data else "", spec.time_limit_s, agreed


def without_program(spec: TrialSpec) -> str:
    """Why a trial of an experiment that has a program for many runs by itself; empty where there is nothing to say."""
    has_program = bool(registry.task(spec.task).experiment(spec.experiment).run_batch)
    return f"by itself: {spec.method} has no packed form" if has_program and shared(spec) is None else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, the main one's or a GPU's; of the main one torch says so in a RuntimeError."""
    said = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return said or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def share(said: object) -> float:
    """The share of the work that a program says is done. ValueError for what is none."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        raise ValueError(f"a program yields a trial with its metrics, or the share of its work that is done, not {said!r}")
    return float(said)


def end(running: Iterator[Progress] | None) -> None:
    """Close a generator, whatever it makes of that: its members' results are no longer wanted."""
    if isinstance(running, Generator):
        with suppress(Exception):
            running.close()
