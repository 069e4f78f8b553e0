"""A throw-away task that says how much memory its trials take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.task import Experiment, Grid, Hardware, Method, Metric, Paper, Resources, Scale, Task, param


@dataclass(frozen=True)
class Params:
    """Parameters."""

    gib: float = param(1.0, "what the method `large` is expected to take", unit="GiB", low=0.0)


def memory(_scale: str, method: str, params: Mapping[str, Any]) -> float:
    """The small method takes a tenth of what the large one does."""
    return params["gib"] * (1.0 if method == "large" else 0.1)


fill = Experiment(
    "fill", params=Params, metrics=[Metric("value", unit="", better="lower")], memory=memory, run="throwaway.demo.roomy.task:run"
)


def run(_trial: object) -> Mapping[str, float]:
    """A number."""
    return {"value": 1.0}


CARD = Hardware(name="a card of 10 GiB", gpus=1, gpu_gib=10.0, cpus=4, memory_gib=20.0)


def _scale(what: str, gpus: float) -> Scale:
    return Scale(
        description=what, grids=[Grid(fill)], seeds=1, time_limit_s=30.0, resources=Resources(gpus=gpus), hardware=CARD if gpus else None
    )


TASK = Task(
    id="roomy",
    version=1,
    paper=Paper(arxiv="0000.00003", title="On room", year=2026),
    methods=[Method("small", "baseline"), Method("large", "proposed")],
    experiments=[fill],
    scales={"smoke": _scale("in main memory", 0.0), "gpu": _scale("four to a card", 0.25), "paper": _scale("a card each", 1.0)},
    claims=[],
)
