"""A throw-away task whose trials may have several ranks, and do what their `behaviour` says."""

from dataclasses import dataclass

from harness.task import Experiment, Grid, Method, Metric, Paper, Resources, Scale, Task, param

BEHAVIOURS = ("train", "sum", "raise", "raise-late", "memory", "die", "resume")


@dataclass(frozen=True)
class Params:
    """Parameters."""

    behaviour: str = param("sum", "what a trial does", choices=BEHAVIOURS)
    dtype: str = param("float64", "arithmetic of what trains", choices=("float32", "float64"))
    network: str = param("routed", "what trains", choices=("routed", "decoder"))
    optimizer: str = param("sgd", "what trains it", choices=("sgd", "adamw"))
    parts: int = param(1, "parts of a batch", low=1)
    sharded: bool = param(False, "whether ranks share out the network")
    max_grad_norm: float = param(0.0, "longest gradient; 0: any", low=0.0)
    breaks: str = param("", "what becomes of it at step 17", choices=("", "goes on", "fails"))


join = Experiment("join", params=Params, metrics=[Metric("value", unit="", better="lower")], run="throwaway.demo.ranked.experiment:run")


def _scale(resources: Resources) -> Scale:
    return Scale(description="for tests", grids=[Grid(join)], seeds=2, time_limit_s=120.0, resources=resources)


TASK = Task(
    id="ranked",
    version=1,
    paper=Paper(arxiv="0000.00009", title="On ranks", year=2026),
    methods=[Method("plain", "baseline")],
    experiments=[join],
    scales={
        "smoke": _scale(Resources()),
        "laptop": _scale(Resources(cpus=2, ranks=2)),
        "gpu": _scale(Resources(gpus=8)),
        "paper": _scale(Resources(gpus=8, nodes=2)),
    },
    claims=[],
)
