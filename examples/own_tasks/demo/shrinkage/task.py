"""WHAT is on trial. No numpy or torch here: listing tasks stays instant."""

from harness.bounds import POSITIVE
from harness.claims import better, equivalent
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Method, Metric, Paper, Params, Scale, Task, param


class Ridge(Params):
    """Parameters of a trial."""

    rows: int = param(12, "training rows", unit="rows", low=9, high=100)
    penalty: float = param(0.0, "weight of the squared coefficients", low=0.0)


errors = [Metric(f"{split}_error", unit="t/ha", better="lower", bounds=POSITIVE) for split in ("val", "test")]
regress = Experiment(
    "regress",
    params=Ridge,
    metrics=errors,
    tuned=Sweep("penalty", by="val_error"),
    run="own_tasks.demo.shrinkage.experiment:run",
    seconds=lambda _scale, _method, _params: 0.01,
)
SIZES = (12, 100)
error = regress["test_error"]
TASK = Task(
    id="shrinkage",
    version=1,
    paper=Paper(arxiv="0000.00000", title="Shrinkage pays where rows are few", year=2026),
    methods=[
        Method("ridge", "proposed", "penalty selected on validation"),
        Method("least-squares", "baseline", "no penalty"),
        Method("mean", "floor", "the mean of the training rows"),
    ],
    experiments=[regress],
    scales={
        "smoke": Scale(
            description="a second",
            seeds=10,
            time_limit_s=60,
            grids=[
                Grid(regress, axes={"rows": SIZES, "penalty": (1.0, 10.0, 100.0, 1000.0)}, methods=["ridge"], data="yields"),
                Grid(regress, axes={"rows": SIZES}, methods=["least-squares", "mean"], data="yields"),
            ],
        )
    },
    claims=[
        *better("floor", "least-squares", "mean", error.at(rows=100), source="control", kind="control"),
        *better("few", "ridge", "least-squares", error.at(rows=12), source="table 1", published=-0.4, primary=True, stands_on=("floor",)),
        *equivalent(
            "many", "ridge", "least-squares", error.at(rows=100), margin=0.1, margin_source="ours: a tenth of the noise", source="sec. 3"
        ),
    ],
)
