"""A likelihood approach to a singular distribution using deep generative models (Chae et al., arXiv 2105.04046)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from harness.bounds import POSITIVE
from harness.claims import CONTROL, OURS, better, contrast, factor, slope
from harness.sweeps import Sweep
from harness.task import Above, Below, Experiment, Grid, Method, Metric, Paper, Params, Scale, Task, log_log, param
from tasks.blocks.hardware import costs, h100

VAES = ("raw", "perturbed", "redrawn", "learned", "learned-raw")


class Trained(Params):
    """Parameters of a trial."""

    noise: float = param(0.1, "standard deviation of the noise that is added to the data; raw methods add none", low=0.0, high=10.0)
    examples: int = param(512, "training examples n", low=2, high=10_000_000)
    curve: Literal["circle", "spiral"] = param("circle", "the set that the data lie on; its radius is 1")
    ambient: int = param(2, "dimension of the data; the plane of the curve is a random one", low=2, high=10_000)
    steps: int = param(1000, "steps of Adam", unit="steps", low=1)
    batch: int = param(128, "examples a step", low=1)
    lr: float = param(2e-3, "learning rate of Adam", low=1e-6, high=1.0)
    latent: int = param(2, "dimension of z", low=1, high=1000)
    width: int = param(64, "units of each of two hidden layers, of the encoder and of the decoder", unit="units", low=1)
    points: int = param(600, "points of the samples whose distance is taken", low=2, high=5000)


def _cost(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """Of a trial in a pack of dozens, and two assignments; on a GPU a guess, not measured."""
    step = 2e-4 + 6e-10 * p["batch"] * p["width"] * (p["width"] + p["ambient"]) if cpu else 1e-4
    held = p["examples"] * (p["ambient"] + 2) + 12 * (p["batch"] + p["width"]) * (4 * p["width"] + p["ambient"])
    return 2.5e-10 * p["points"] ** 3 + 0.01 + (p["steps"] * step if method in VAES else 0.0), held + 4 * p["points"] ** 2


vae = Experiment(
    "vae", params=Trained,
    metrics=[Metric("val_w1", "", "lower", "exact W1 between g(z) and held-out data", bounds=POSITIVE),
             Metric("test_w1", "", "lower", "exact W1 between g(z) and equally spaced points of the curve", bounds=POSITIVE),
             Metric("sigma", "", "none", "standard deviation of the model after training", VAES, bounds=POSITIVE)],
    tuned=Sweep("noise", by="val_w1"), **costs(_cost),
    run_batch="tasks.theory.singular_dist_likelihood.experiment:run_batch",
    alike=lambda method, p: tuple(p[n] for n in ("examples", "ambient", "batch", "latent", "width")) if method in VAES else None,
    figures=[*(log_log(view, f"Error and noise, {view}", "noise", "test_w1", view) for view in ("circle", "spiral", "ambient")),
             log_log("n", "Error and sample size", "examples", "test_w1", "n")],
    summary="variational autoencoders on points of a curve; g(z) is judged, never g(z) plus noise",
)  # fmt: skip


def _grids(noises: Sequence[float], sizes: Sequence[int], *, ambient: int, longer: int, base: Mapping[str, Any]) -> list[Grid]:
    """All at the noise levels `noises`; n, dimension and training are varied on the circle."""

    def both(view: str, *others: str, axes: Mapping[str, Sequence[Any]] | None = None, **point: Any) -> list[Grid]:
        axes, points = axes or {}, [{**base, **point}]
        alone = Grid(vae, view=view, points=points, axes=axes, methods=("raw", *others))
        return [alone, Grid(vae, view=view, points=points, axes={**axes, "noise": noises}, methods=("perturbed",))]

    return [
        *both("circle", "redrawn", "learned-raw", "truth", "training-set"),
        Grid(vae, view="circle", points=[base], axes={"noise": noises}, methods=("learned",)),
        *both("spiral", "truth", curve="spiral"),
        *both("n", "training-set", axes={"examples": sizes}),
        *both("ambient", ambient=ambient),
        Grid(vae, view="longer", points=[{**base, "steps": longer}], methods=("raw", "perturbed")),
    ]


_FINE = tuple(round(0.01 * 2 ** (k / 2), 4) for k in range(13))
_SCALES = {
    "smoke": Scale(description="150 steps: does it run", seeds=2, time_limit_s=60.0,
                   grids=_grids((0.1, 0.4), (32, 128), ambient=4, longer=300, base={"steps": 150, "points": 100})),
    "laptop": Scale(description="n up to 2048, 1000 steps; 2 CPU cores", seeds=6, time_limit_s=300.0,
                    grids=_grids((0.03, 0.1, 0.2, 0.4), (32, 128, 512, 2048), ambient=16, longer=4000, base={})),
    "gpu": h100(description="ten times the steps, n up to 16384, 13 levels", seeds=5, time_limit_s=600.0,
                grids=_grids(_FINE, (32, 128, 512, 2048, 16384), ambient=16, longer=40_000, base={"steps": 10_000})),
    "paper": h100(description="n up to 65536, width 256, 100 dimensions", seeds=10, time_limit_s=4 * 3600.0,
                  grids=_grids(_FINE, (128, 1024, 8192, 65536), ambient=100, longer=200_000,
                               base={"steps": 50_000, "width": 256, "points": 2000})),
}  # fmt: skip


_ERROR = vae["test_w1"]
_CIRCLE, _SPIRAL = (_ERROR.at(view).log10() for view in ("circle", "spiral"))
_PAPER = dict[str, Any](source="abstract: noise leads to consistent estimation", stands_on=("floor",))
_OURS = dict[str, Any](**OURS, stands_on=("floor",))

TASK = Task(
    id="singular-dist-likelihood", version=1, experiments=[vae], scales=_SCALES,
    paper=Paper(arxiv="2105.04046", year=2021, authors="Minwoo Chae, Dongha Kim, Yongdai Kim, Lizhen Lin",
                title="A likelihood approach to nonparametric estimation of a singular distribution using deep generative models"),
    summary="Whether noise on data that lie on a curve lets a likelihood find their law.",
    methods=[
        Method("raw", "baseline", "the data as they are, sigma fixed at 0.01"),
        Method("perturbed", "proposed", "noise s added to the data once, sigma^2 = 0.01^2 + s^2; validation selects s"),
        Method("redrawn", "rival", "the same noise drawn anew in every step, s = 0.1 fixed in advance"),
        Method("learned", "control", "perturbed, and sigma is learned from 0.5 on"),
        Method("learned-raw", "control", "the data as they are, sigma learned from 0.5 on"),
        Method("training-set", "control", "no model: training examples drawn with replacement"),
        Method("truth", "floor", "as many points of the law itself: what W1 shows where nothing is wrong"),
    ],
    claims=[
        *factor("C1-none", "perturbed", "raw", _ERROR.at("circle"), by=1.5, primary=True, group="C1", **_PAPER,
                says="on the circle, the selected noise makes the error more than 1.5 times smaller than without noise"),
        *contrast("C1-much", "perturbed", (_CIRCLE, _CIRCLE.last("noise")), holds=Below(0.0), primary=True, group="C1", **_PAPER,
                  says="on the circle, the largest noise has a larger error than the selected one"),
        *better("C1-spiral", "perturbed", "raw", _SPIRAL, group="C1", **_PAPER),
        *contrast("C1-spiral-much", "perturbed", (_SPIRAL, _SPIRAL.last("noise")), holds=Below(0.0), group="C1", **_PAPER,
                  says="the same on the spiral"),
        *slope("C2-raw", "raw", _ERROR.at("n").untuned(), over="examples", holds=Above(-0.1), aim="not worse", null=0.0, primary=True,
               margin_source="ours: a fifth of the exponent -1/2 of the training set itself",
               source="abstract: a usual likelihood approach can fail to estimate consistently", stands_on=("floor",),
               says="without noise the error does not fall with n: its exponent is above -0.1"),
        *slope("C2-perturbed", "perturbed", _ERROR.at("n"), over="examples", holds=Below(0.0), null=0.0, primary=True, group="C2",
               says="at the selected noise the error falls with n", **_PAPER),
        *slope("C2-rate", "perturbed", _ERROR.at("n"), over="examples", holds=Below(-0.25), null=0.0, **_OURS,
               says="at the selected noise the error falls at least as n^-1/4, the rate for beta = t = 1"),
        *better("C3-ambient", "perturbed", "raw", _ERROR.at("ambient").log10(), **_OURS),
        *contrast("C3-curse", "perturbed", (_ERROR.at("ambient").log10(), _CIRCLE), holds=Below(math.log10(1.25)), aim="not worse",
                  says="at the selected noise the error in more dimensions is within 1.25 times that in two", stands_on=("floor",),
                  margin_source="ours: less than what noise gains", source="abstract: models can avoid the curse of dimensionality"),
        *better("longer", "perturbed", "raw", _ERROR.at("longer").log10(), **{**_OURS, "kind": "control"},
                says="with more steps noise lowers the error too: it is not training that was cut short"),
        *better("redrawn", "redrawn", "perturbed", _CIRCLE, **_OURS),
        *better("learned", "learned", "learned-raw", _CIRCLE, **_OURS),
        *better("nearest", "perturbed", ("learned-raw", "training-set"), _CIRCLE, group="", **_OURS),
        *better("floor", "truth", "perturbed", _CIRCLE, **CONTROL),
        *slope("size", "training-set", _ERROR.at("n").untuned(), over="examples", holds=Below(-0.25), null=0, source="ours", kind="check"),
    ],
)  # fmt: skip
