"""papertrial's side of the comparison: two methods, so a seed is two trials."""

from dataclasses import dataclass

from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    pause: float = param(0.0, "seconds that a trial takes", unit="s", low=0.0)


draw = Experiment(
    "draw",
    params=Params,
    metrics=[Metric("value", unit="", better="lower")],
    run="compared.one.draw.experiment:run",
    seconds=lambda _scale, _method, params: params["pause"] or 1e-4,
)
TASK = Task(
    id="draw",
    version=1,
    paper=Paper(arxiv="0000.00000", title="One Gaussian number a trial", year=2026),
    methods=[Method("plain", "baseline"), Method("shifted", "proposed")],
    experiments=[draw],
    scales={"smoke": Scale(description="for the comparison", grids=[Grid(draw)], seeds=6, time_limit_s=60.0)},
    claims=better("C1", "shifted", "plain", draw["value"], says="shifted lies below plain", source="by construction"),
)
