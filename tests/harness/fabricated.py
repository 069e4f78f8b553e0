"""Studies made up in memory: a task, and a function that says what each planned trial left."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.estimates import Difference, Magnitude, Mean, Of, Slope
from harness.frames import records_frame
from harness.judgement import judge
from harness.leaderboard import Board
from harness.plan import DataRef, Overrides, TrialSpec, expand
from harness.record import Record
from harness.store import StudyStore
from harness.study import Study
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Scale, Statistic, Task, Within, param
from harness.verdict import Verdict
from harness.worker import Context, blank_record

Outcome = Mapping[str, float] | str | None
"""The metrics of a good trial, the status of a bad one, or None: no record yet."""
DATA = {"tiny-stories": DataRef("tiny-stories", "tiny-stories", "stand-in", "9f31c0aa52d7")}
CONTEXT = Context(store_uri="", study="", git_commit="7c0d9e1f4b2a8d3366aa01b2c3d4e5f60718293a")


@dataclass(frozen=True)
class Params:
    width: int = param(64, "width of the hidden layers", unit="channels")
    setting: str = param("ffn", "what is trained")


_OF_EXPERIMENT = ("params", "metrics", "run", "statistics", "figures", "requires", "seconds", "resources", "tuned", "exact")
PAPER = Paper(arxiv="2510.15262", title="Robust Layerwise Scaling Rules by Proper Weight Decay Tuning", year=2025, authors="Fan et al.")
METHODS = (Method("left", "baseline"), Method("right", "proposed"))


def experiment_of(**changes: Any) -> Experiment:
    """One metric, the parameters above, nothing to run."""
    fields: dict[str, Any] = {"name": "train", "params": Params, "metrics": [Metric("loss", "nats", "lower")], "run": "nowhere:run"}
    return Experiment(**(fields | changes))


def task_of(
    *,
    experiment: Experiment | None = None,
    grids: Callable[[Experiment], Sequence[Grid]] = lambda train: [Grid(train)],
    scale: str = "laptop",
    seeds: int = 5,
    **changes: Any,
) -> Task:
    """Two methods, one experiment, one cell at one scale, and no claim. What an experiment takes may be given here too."""
    own = {name: changes.pop(name) for name in _OF_EXPERIMENT if name in changes}
    chosen = experiment or experiment_of(**own)
    fields: dict[str, Any] = {
        "id": "toy",
        "version": 1,
        "paper": PAPER,
        "methods": METHODS,
        "experiments": [chosen],
        "scales": {scale: Scale(description="minutes", grids=grids(chosen), seeds=seeds, time_limit_s=60.0)},
        "claims": [],
    }
    return Task(**(fields | changes))


def difference_claim(holds: Any = None, **changes: Any) -> Claim:
    """Mean loss of `left` minus mean loss of `right`."""
    estimate = Difference(Of("left", Mean("loss")), Of("right", Mean("loss")))
    fields: dict[str, Any] = {
        "id": "gap",
        "statement": "left is worse",
        "source": "abstract",
        "estimate": estimate,
        "holds": holds or Above(0.0),
    }
    return Claim(**(fields | changes))


def record_of(trial: TrialSpec, outcome: Mapping[str, float] | str, **changes: Any) -> Record:
    """What `trial` left."""
    bad = isinstance(outcome, str)
    record = blank_record(
        trial,
        CONTEXT,
        metrics={} if isinstance(outcome, str) else outcome,
        status=outcome if isinstance(outcome, str) else "ok",
        error=f"RuntimeError: made to end {outcome}\nTraceback (most recent call last): ..." if bad else "",
        started="2026-11-23T10:00:00+00:00",
        seconds=2.5,
        host="node-1",
        device="AMD EPYC (2 cores)",
        kernel_backend="reference",
    )
    fixed = {"source_digest": "a1b2c3d4e5f6", "versions": {"python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.6"}}
    return replace(record, **(fixed | changes))


def study_of(
    folder: Path,
    tasks: Task | Sequence[Task],
    outcome: Callable[[TrialSpec], Outcome],
    *,
    scale: str = "laptop",
    seeds: int | None = None,
    curve: Callable[[TrialSpec], list[dict[str, float]]] | None = None,
    change: Callable[[TrialSpec], dict[str, Any]] | None = None,
    data: Mapping[str, DataRef] | None = None,
    methods: Sequence[str] = (),
    first_seed: int = 0,
) -> Study:
    """The study in which each planned trial left what `outcome` says."""
    tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
    plan = [t for task in tasks for t in expand(task, scale, Overrides(seeds=seeds, first_seed=first_seed, methods=methods), data or DATA)]
    left = [(trial, outcome(trial)) for trial in plan]
    records = [record_of(t, got, **(change(t) if change else {})) for t, got in left if got is not None]
    points = [{"trial_id": t.id, **point} for t, got in left if got is not None and curve for point in curve(t)]
    return Study(
        name=f"toy-{scale}",
        store=StudyStore(str(folder), f"toy-{scale}"),
        tasks={task.id: task for task in tasks},
        plan=plan,
        frame=records_frame(records),
        curves=pd.DataFrame(points) if points else pd.DataFrame({"trial_id": pd.Series(dtype=str), "step": pd.Series(dtype=float)}),
        env={"command": ["papertrial", "run", "toy", "--scale", scale], "cpu": "AMD EPYC", "cpus": 2},
    )


def noise(trial: TrialSpec, key: str = "") -> float:
    """Standard normal noise that belongs to this trial."""
    return float(np.random.default_rng(zlib.crc32(f"{trial.id}{key}".encode())).normal())


EXPONENT = {"constant": -0.15, "sqrt-width": 0.01, "linear-width": 0.19}


def realistic_task() -> Task:
    """Three methods, four widths, two settings, claims that end in every verdict, two figures."""
    lm, ffn = {"setting": "lm"}, {"setting": "ffn"}
    widths = {"width": (64, 128, 256, 512)}
    proposed, constant = Of("sqrt-width", Slope("gain", "width", ffn)), Of("constant", Slope("gain", "width", ffn))
    loss_gap = Difference(Of("constant", Mean("val_loss", {**lm, "width": 512})), Of("sqrt-width", Mean("val_loss", {**lm, "width": 512})))
    return task_of(
        id="mup-weight-decay-transfer",
        summary="Does weight decay that grows with the square root of the width keep sublayer gains the same at every width?",
        methods=[Method("constant", "baseline"), Method("sqrt-width", "proposed"), Method("linear-width", "rival")],
        metrics=[Metric("val_loss", "nats/byte", "lower"), Metric("gain", "ratio", "none")],
        grids=lambda train: [Grid(train, points=[ffn], axes=widths), Grid(train, points=[lm], axes=widths, data="tiny-stories")],
        claims=[
            Claim(
                id="gain-invariance",
                statement="Under square-root weight decay the sublayer gain does not depend on the width.",
                source="abstract; Fig. 3",
                estimate=Magnitude(proposed),
                holds=Below(0.05),
                published=0.02,
                unit="exponent",
            ),
            Claim(
                id="constant-decay-keeps-gain",
                statement="Constant weight decay keeps the gain as well as the proposed rule does.",
                source="Sec. 5.1",
                estimate=Difference(Magnitude(constant), Magnitude(proposed)),
                holds=Below(0.02),
                published=0.48,
                unit="exponent",
            ),
            Claim(
                id="loss-improves",
                statement="At the largest width the proposed rule reaches a lower validation loss than constant weight decay.",
                source="Table 2",
                estimate=loss_gap,
                holds=Above(0.0),
                published=0.031,
                unit="nats/byte",
                note="The stand-in text is far smaller than the paper's corpus.",
            ),
            Claim(
                id="linear-loses",
                statement="Weight decay linear in the width overshoots: its gain grows with an exponent between 0.15 and 0.25.",
                source="Sec. 5.2",
                estimate=Of("linear-width", Slope("gain", "width", lm)),
                holds=Within(0.15, 0.25),
                unit="exponent",
            ),
            Claim(
                id="billion-parameters",
                statement="The rule transfers to a one-billion-parameter decoder.",
                source="Sec. 6",
                estimate=loss_gap,
                holds=Above(0.0),
                published=0.012,
                unit="nats/byte",
                scales=["paper"],
            ),
        ],
        statistics=[
            Statistic(name="gain exponent", estimate=Slope("gain", "width", ffn), unit="exponent", better="zero"),
            Statistic(name="loss at 512", estimate=Mean("val_loss", {**lm, "width": 512}), unit="nats/byte", better="lower"),
        ],
        figures=[
            Figure(
                id="gain",
                title="Sublayer gain against width",
                x="width",
                y="gain",
                where=ffn,
                log_x=True,
                log_y=True,
                caption="Flat is what is claimed.",
            ),
            Figure(id="loss", title="Validation loss against width", x="width", y="val_loss", where=lm, log_x=True),
            Figure(
                id="curve",
                title="Training loss at width 256",
                x="step",
                y="train_loss",
                where={**lm, "width": 256},
                caption="Logged every 10 steps.",
            ),
        ],
    )


def realistic_study(folder: Path, *, missing: bool = False) -> Study:
    """The realistic task run on five seeds: linear decay diverges or dies in two language-model trials."""

    def outcome(trial: TrialSpec) -> Outcome:
        width, lm = trial.params["width"], trial.params["setting"] == "lm"
        if lm and trial.method == "linear-width" and width == 512 and trial.seed in (1, 3):
            return "diverged" if trial.seed == 1 else "oom"
        if missing and trial.seed == 4:
            return None
        gain = 1.7 * (width / 64) ** EXPONENT[trial.method] * math.exp(0.03 * noise(trial))
        gap = {"constant": 0.012, "sqrt-width": 0.0, "linear-width": 0.04}[trial.method]
        return {"val_loss": 1.3 + 2.2 * width**-0.31 + gap + 0.03 * noise(trial, "loss"), "gain": gain}

    def curve(trial: TrialSpec) -> list[dict[str, float]]:
        if trial.params["setting"] != "lm":
            return []
        floor = 1.6 + 0.05 * list(EXPONENT).index(trial.method) + 0.04 * noise(trial, "curve")
        return [{"step": float(s), "train_loss": floor + 3.5 * math.exp(-s / 90) + 0.03 * noise(trial, str(s))} for s in range(0, 500, 10)]

    return study_of(folder, realistic_task(), outcome, curve=curve)


def verdicts_of(study: Study) -> list[Verdict]:
    """The study's verdicts."""
    return judge(study).verdicts


def board_of(study: Study) -> Board:
    """The only leaderboard of the study."""
    (found,) = judge(study).boards
    return found
