"""A throw-away task whose trials stand on each other: top on middle on base."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.estimates import Difference, Mean, Of
from harness.task import Above, Claim, Grid, Method, Metric, Paper, Requirement, Scale, Task, param

STANDS_ON = {"top": "middle", "middle": "base", "circle": "circle"}


@dataclass(frozen=True)
class Params:
    """Parameters."""

    ground: str = param("good", "what the base does", choices=("good", "raise", "nan", "mute", "die"))
    height: int = param(1, "an axis of what stands on the base", low=1, high=9)


def requires(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The base knows nothing of what stands on it; a rung of the ladder stands on the one below."""
    if method == "ladder":
        return Requirement(method=method, params={"height": params["height"] - 1}) if params["height"] > 1 else None
    return Requirement(method=STANDS_ON[method], params={"ground": params["ground"]}) if method in STANDS_ON else None


TASK = Task(
    id="standing",
    version=1,
    paper=Paper(arxiv="0000.00001", title="On the shoulders of giants", year=2026),
    params=Params,
    methods=[
        Method("base", "baseline"),
        Method("middle", "control"),
        Method("top", "proposed"),
        Method("circle", "control"),
        Method("ladder", "control"),
    ],
    metrics=[Metric("value", unit="", better="higher")],
    scales={
        "smoke": Scale(
            description="for tests", grids=[Grid(axes={"height": (1, 2, 3)}, methods=("middle", "top"))], seeds=2, time_limit_s=30.0
        ),
        "laptop": Scale(description="stands on itself", grids=[Grid(methods=("circle",))], seeds=1, time_limit_s=30.0),
        "gpu": Scale(description="a ladder", grids=[Grid(axes={"height": (3,)}, methods=("ladder",))], seeds=1, time_limit_s=30.0),
    },
    claims=[
        Claim(
            id="C1",
            statement="the top is higher than the base",
            source="by construction",
            estimate=Difference(Of("top", Mean("value")), Of("base", Mean("value"))),
            holds=Above(0.0),
        )
    ],
    requires=requires,
    run="throwaway.demo.standing.experiment:run",
)
