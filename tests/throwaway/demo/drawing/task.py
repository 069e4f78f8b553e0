"""A throw-away task with a planted effect, in standard deviations, between methods whose noise is their own."""

from dataclasses import dataclass

from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    effect: float = param(6.0, "standard deviations of a paired difference between the two")
    other: float = param(0.0, "the same of the metric that no primary claim reads")
    lost: int = param(-1, "the seed that fails")
    stopped: int = param(-1, "the seed in which somebody stops the run")
    pause: float = param(0.0, "seconds that a trial takes", unit="s", low=0.0)


draw = Experiment(
    "draw",
    params=Params,
    metrics=[Metric("value", unit="", better="higher"), Metric("other", unit="", better="higher")],
    run="throwaway.demo.drawing.experiment:run",
)

TASK = Task(
    id="drawing",
    version=1,
    paper=Paper(arxiv="0000.00001", title="A second throw-away paper", year=2026),
    methods=[Method("old", "baseline"), Method("new", "proposed")],
    experiments=[draw],
    scales={
        "smoke": Scale(description="for tests", grids=[Grid(draw)], seeds=3, time_limit_s=30.0),
        "laptop": Scale(description="for tests", grids=[Grid(draw)], seeds=3, time_limit_s=30.0),
    },
    claims=[
        *better("C1", "new", "old", draw["value"], source="by construction", primary=True, scales=["smoke"]),
        *better("C2", "new", "old", draw["other"], source="by construction", scales=["smoke"]),
    ],
)
