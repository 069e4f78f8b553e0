"""A throw-away task that reads two data sets, of which nobody can fetch the second."""

from __future__ import annotations

from dataclasses import dataclass

from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Resources, Scale, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    line: int = param(1, "which line is read", low=1, high=9)


read = Experiment(
    "read",
    params=Params,
    metrics=[Metric("value", unit="", better="higher")],
    resources=lambda _scale, _method, _params: Resources(cpus=2),
    run="throwaway.demo.reading.experiment:run",
)

TASK = Task(
    id="reading",
    version=1,
    paper=Paper(arxiv="0000.00005", title="On letters and runes", year=2026),
    methods=[Method("aloud", "proposed"), Method("silent", "baseline")],
    experiments=[read],
    scales={
        "smoke": Scale(
            description="for tests",
            grids=[
                Grid(read, view="letters", axes={"line": (1, 2)}, data="letters", resources=Resources(cpus=0.5)),
                Grid(read, view="runes", data="runes"),
                Grid(read, view="heart"),
            ],
            seeds=3,
            time_limit_s=30.0,
        )
    },
    claims=[
        claim
        for view in ("letters", "runes")
        for claim in better(
            f"C1-{view}",
            "aloud",
            "silent",
            read["value"].at(view),
            says=f"{view} are better read aloud",
            source="by construction",
            scales=("smoke",),
        )
    ],
)
