"""A throw-away task whose trials do what its `behaviour` parameter says, for tests of the engine through the real command line."""

from dataclasses import dataclass

from harness.claims import better
from harness.estimates import Mean
from harness.task import Experiment, Figure, Grid, Method, Metric, Paper, Resources, Scale, Statistic, Task, param

BEHAVIOURS = ("good", "raise", "word", "nothing", "nan", "undeclared", "sleep", "die", "memory", "exit", "data", "checkpoint")


@dataclass(frozen=True)
class Params:
    """Parameters."""

    behaviour: str = param("good", "what a trial does", choices=BEHAVIOURS)
    size: int = param(1, "an axis", low=1, high=64)
    rate: float = param(0.5, "a real axis", low=0.0, high=1.0)
    careful: bool = param(False, "a switch")
    pause: float = param(0.0, "seconds that a good trial takes", unit="s", low=0.0)


behave = Experiment(
    "behave",
    params=Params,
    metrics=[Metric("value", unit="", better="lower")],
    statistics=[Statistic(name="value", estimate=Mean("value"), better="lower")],
    figures=[Figure(id="curve", title="Curve", x="step", y="value")],
    run="throwaway.demo.misbehaving.experiment:run",
    seconds=lambda _scale, _method, params: params["pause"] or 1e-4,
)


def _scale(resources: Resources = Resources(), *, data: str | None = None, time_limit_s: float = 30.0) -> Scale:
    points = [{"behaviour": "data" if data else "good"}]
    grids = [
        Grid(behave, view="low", points=points, axes={"size": (1, 2)}, data=data),
        Grid(behave, view="high", points=points, axes={"size": (2, 4)}, data=data),
    ]
    return Scale(description="for tests", grids=grids, seeds=3, time_limit_s=time_limit_s, resources=resources)


TASK = Task(
    id="misbehaving",
    version=1,
    paper=Paper(arxiv="0000.00000", title="A throw-away paper", year=2026),
    methods=[Method("plain", "baseline"), Method("shifted", "proposed")],
    experiments=[behave],
    scales={
        "smoke": _scale(),
        "laptop": _scale(data="letters"),
        "gpu": _scale(Resources(cpus=1, gpus=1)),
        "paper": _scale(Resources(cpus=4096)),
    },
    claims=better(
        "C1-shift",
        "shifted",
        "plain",
        behave["value"],
        says="the shifted method lies below the plain one",
        source="by construction: about 1 below, beside noise that both share",
        published=-1.0,
    ),
)
