"""A throw-away task whose trials do what no trial should; the engine promises one record for each, and its neighbours unharmed."""

from dataclasses import dataclass

from harness.estimates import Mean
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Statistic, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    deed: str = param("good", "what a trial does, a name in `experiment.DEEDS`")
    seconds: float = param(0.0, "what it takes over it", unit="s", low=0.0)


do = Experiment(
    "do",
    params=Params,
    metrics=[Metric("value", unit="", better="lower")],
    statistics=[Statistic(name="value", estimate=Mean("value"), better="lower")],
    run="throwaway.demo.hostile.experiment:run",
)

TASK = Task(
    id="hostile",
    version=1,
    paper=Paper(arxiv="0000.00000", title="A hostile paper", year=2026),
    methods=[Method("plain", "baseline")],
    experiments=[do],
    scales={
        "smoke": Scale(description="for tests", grids=[Grid(do)], seeds=8, time_limit_s=30.0),
        "laptop": Scale(description="with data", grids=[Grid(do, data="clay")], seeds=8, time_limit_s=30.0),
    },
    claims=[],
)
