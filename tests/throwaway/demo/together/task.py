"""A throw-away task whose trials can share a program, which does what the `behaviour` of a member says."""

from dataclasses import dataclass

from harness.claims import better
from harness.task import Experiment, Grid, Method, Metric, Paper, Scale, Task, param

BEHAVIOURS = ("good", "nan", "raise", "die", "die-once", "memory", "hang", "twice", "mute", "undeclared", "checkpointed")


@dataclass(frozen=True)
class Params:
    """Parameters."""

    behaviour: str = param("good", "what a member does", choices=BEHAVIOURS)
    width: int = param(1, "its shape, of which a program takes one kind", low=1, high=64)
    steps: int = param(6, "steps", low=1, high=100_000)
    rate: float = param(0.5, "a real axis", low=0.0, high=1.0)
    shared_s: float = param(0.0, "what a step of a program takes, however many its members", unit="s", low=0.0)
    own_s: float = param(0.0, "what a member adds to it for every member: then packs do not pay", unit="s", low=0.0)


train = Experiment(
    "train",
    params=Params,
    metrics=[Metric("value", unit="", better="lower")],
    run="throwaway.demo.together.experiment:run",
    run_batch="throwaway.demo.together.experiment:run_batch",
    alike=lambda method, params: None if method == "unpacked" else (params["shared_s"], params["own_s"]),
    seconds=lambda _scale, _method, params: 1e-3 * params["steps"],
)

TASK = Task(
    id="together",
    version=1,
    paper=Paper(arxiv="0000.00000", title="A throw-away paper", year=2026),
    methods=[Method("plain", "baseline"), Method("shifted", "proposed"), Method("unpacked", "control")],
    experiments=[train],
    scales={"smoke": Scale(description="for tests", grids=[Grid(train)], seeds=3, time_limit_s=20.0)},
    claims=better("C1", "shifted", "plain", train["value"], says="shifted lies below", source="by construction"),
)
