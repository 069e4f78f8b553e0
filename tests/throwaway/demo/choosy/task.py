"""A throw-away task with a parameter of every kind, whose value follows from them, and names that MLflow or a terminal would bend."""

from dataclasses import dataclass
from typing import Literal

from harness.claims import better
from harness.estimates import Mean
from harness.sweeps import Sweep
from harness.task import Experiment, Figure, Grid, Method, Metric, Paper, Scale, Statistic, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    width: int = param(8, "an int", low=1)
    rate: float = param(0.5, "a float")
    name: str = param("x", "a word")
    careful: bool = param(False, "a switch")
    rule: Literal["sum", "none"] = param("sum", "a literal")
    order: Literal[1, 2] | None = param(1, "a literal or None")
    clip: float | None = param(None, "a float or None", low=0.0)
    hidden: tuple[int, ...] = param((8, 8), "a tuple of any length", low=1, high=1024)
    betas: tuple[float, float] = param((0.9, 0.99), "a pair")
    tags: tuple[str, ...] | None = param(None, "a tuple of words or None")


METRICS = [
    Metric("val_loss", unit="", better="lower"),
    Metric("acc>0", unit="%", better="higher"),
    Metric("acc<0", unit="%", better="higher"),
]
choose = Experiment(
    "choose",
    params=Params,
    metrics=METRICS,
    statistics=[
        Statistic(name="val_loss", estimate=Mean("val_loss"), better="lower"),
        Statistic(name="loss without clip", estimate=Mean("val_loss", {"clip": None}), better="lower"),
        Statistic(name="loss of (8, 8)", estimate=Mean("val_loss", {"hidden": [8, 8]}), better="lower"),
        Statistic(name="share > 0", estimate=Mean("acc>0"), better="higher"),
        Statistic(name="share < 0", estimate=Mean("acc<0"), better="higher"),
    ],
    figures=[
        Figure(id="by-clip", title="Loss against [clip]", x="clip", y="val_loss"),
        Figure(id="by-hidden", title="Loss against $hidden$", x="hidden", y="val_loss"),
    ],
    tuned=Sweep("clip", by="val_loss"),
    run="throwaway.demo.choosy.experiment:run",
)

TASK = Task(
    id="choosy",
    version=1,
    paper=Paper(arxiv="0000.00002", title="On kinds [v2]", year=2026),
    methods=[Method("plain", "baseline"), Method("ours [v2]", "proposed", "ours, with [/b] in it")],
    experiments=[choose],
    scales={
        "smoke": Scale(
            description="for tests",
            grids=[Grid(choose, axes={"clip": (None, 0.1, 1), "hidden": ((8, 8), [16])})],
            seeds=2,
            time_limit_s=30.0,
        )
    },
    claims=better(
        "C1", "ours [v2]", "plain", choose["val_loss"], says="[v2] is better than `plain` | <b>always</b>", source="by [red]construction[/]"
    ),
)
