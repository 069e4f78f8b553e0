"""A throw-away task whose trials need each other: top on middle on base."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Requirement, Scale, Task, param

NEEDS = {"top": "middle", "middle": "base", "circle": "circle"}


@dataclass(frozen=True)
class Params:
    """Parameters."""

    ground: str = param("good", "what the base does", choices=("good", "raise", "nan", "mute", "die"))
    height: int = param(1, "an axis of what needs the base", low=1, high=9)


def requires(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The base knows nothing of what needs it; a rung of the ladder needs the one below."""
    if method == "ladder":
        return Requirement(method=method, params={"height": params["height"] - 1}) if params["height"] > 1 else None
    return Requirement(method=NEEDS[method], params={"ground": params["ground"]}) if method in NEEDS else None


climb = Experiment(
    "climb",
    params=Params,
    metrics=[Metric("value", unit="", better="higher")],
    requires=requires,
    run="throwaway.demo.chain.experiment:run",
)

TASK = Task(
    id="chain",
    version=1,
    paper=Paper(arxiv="0000.00001", title="On the shoulders of giants", year=2026),
    methods=[
        Method("base", "baseline"),
        Method("middle", "control"),
        Method("top", "proposed"),
        Method("circle", "control"),
        Method("ladder", "control"),
    ],
    experiments=[climb],
    scales={
        "smoke": Scale(
            description="for tests", grids=[Grid(climb, axes={"height": (1, 2, 3)}, methods=("middle", "top"))], seeds=2, time_limit_s=30.0
        ),
        "laptop": Scale(description="needs itself", grids=[Grid(climb, methods=("circle",))], seeds=1, time_limit_s=30.0),
        "gpu": Scale(description="a ladder", grids=[Grid(climb, axes={"height": (3,)}, methods=("ladder",))], seeds=1, time_limit_s=30.0),
    },
    claims=better("C1", "top", "base", climb["value"], says="the top is higher than the base", source="by construction", scales=("smoke",)),
)
