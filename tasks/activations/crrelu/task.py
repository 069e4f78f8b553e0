"""A Method on Searching Better Activation Functions: CRReLU (Sun et al., arXiv 2405.12954)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.claims import ablation, best_of, better, equivalent, exact
from harness.estimates import paired
from harness.sweeps import Sweep
from harness.task import Above, Below, Claim, Experiment, Grid, Method, Metric, Paper, Resources, Scale, Task, param
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib, transformer_kept
from tasks.blocks.supervision import CLASSIFICATION, TRAINING, Supervised

_MODULE = "tasks.activations.crrelu.experiment"
CRRELU, FROZEN, FLOOR = "crrelu", "crrelu-frozen", "identity"
RIVALS = ("relu", "gelu", "elu", "celu", "prelu", "swish", "mish")
TRAINED = (CRRELU, *RIVALS, FROZEN, FLOOR)
WORST = "gaussian-cdf"
BOUNDED = ("sigmoid", "sigmoid-1.702", "tanh", "arctan", "softsign", "random-monotone")
RATES = (3e-3, 1e-2, 3e-2, 1e-1)


@dataclass(frozen=True, kw_only=True)
class Train(Supervised):
    """Parameters of a training. The optimizer is AdamW; decay leaves biases, norms, positions and the activations' own parameters alone."""

    batch: int = param(128, "images of a step", unit="images", low=1, high=65536)
    decay: float = param(0.05, "decoupled weight decay", low=0.0, high=10.0)
    epochs: float = param(25.0, "passes over the training images", unit="epochs", low=0.01, high=1000.0)
    lr: float = param(1e-3, "peak learning rate", low=1e-6, high=10.0)
    warmup: float = param(0.1, "share of the steps with a linear warm-up; a cosine to 0 follows", low=0.0, high=0.9)
    width: int = param(32, "features of a token; the hidden layer has four times as many", low=4, high=4096)
    depth: int = param(2, "blocks", low=1, high=64)
    head_dim: int = param(16, "features of an attention head", low=2, high=256)
    patch: int = param(4, "pixels of a patch's side", unit="pixels", low=1, high=64)


@dataclass(frozen=True)
class Bounds:
    """Parameters of the theorem on bounded activations."""

    low: float = param(-1.0, "infimum of the activation", low=-1e3, high=1e3)
    high: float = param(1.0, "supremum of the activation", low=-1e3, high=1e3)
    points: int = param(20000, "points of the quadrature", low=100, high=10_000_000)


def _seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:  # noqa: ARG001 - one signature for all tasks
    return {"smoke": 0.3, "laptop": 2.5, "gpu": 60.0, "paper": 3600.0}[scale]


_PATCHED = {"smoke": (8, 1), "laptop": (8, 1), "gpu": (28, 1), "paper": (32, 3)}
"""Pixels across an image of a scale, and its channels."""


def _memory(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """AdamW's four numbers a weight, and what the backward pass of a batch keeps."""
    (side, channels), width = _PATCHED[scale], params["width"]
    tokens = params["batch"] * (side // params["patch"]) ** 2
    mlp = {"crrelu": "crrelu", "crrelu-frozen": "crrelu", "relu": "identity", FLOOR: "identity"}.get(method, "activation")
    weights = 12.6 * params["depth"] * width**2 + (100 + channels * params["patch"] ** 2) * width
    return gib(16.0 * weights + transformer_kept(tokens, width, params["depth"], mlp, params["precision"]))


train = Experiment(
    "train",
    params=Train,
    metrics=(
        *reversed(CLASSIFICATION),
        *TRAINING,
        Metric("eps_final", "", "none", "eps after the training, mean over the layers; it starts at 0.01", methods=(CRRELU, FROZEN)),
    ),
    run=f"{_MODULE}:train",
    methods=TRAINED,
    tuned=Sweep("lr", by="val_loss"),
    seconds=_seconds,
    memory=_memory,
    summary="vision transformers that differ in their activation alone",
)

entropy = Experiment(
    "entropy",
    params=Bounds,
    metrics=(
        Metric("output_entropy", "nats", "none", "differential entropy of f(X), X ~ N(0, 1)", methods=(WORST, *BOUNDED)),
        Metric("entropy_gap", "nats", "none", "how far below log(high - low), the most that any f can have", methods=(WORST, *BOUNDED)),
        Metric(
            "entropy_rate", "nats per eps", "none", "derivative of the entropy of CRReLU(X), X > 0, by eps at eps = 0", methods=(CRRELU,)
        ),
    ),
    run=f"{_MODULE}:entropy",
    methods=(WORST, *BOUNDED, CRRELU),
    seconds=lambda *_: 0.02,
    memory=lambda *_: gib(4e6),
    exact=True,
    summary="the entropy of a Gaussian behind increasing functions of one range",
)


def _scale(what: str, seeds: int, limit: float, grids: Sequence[Grid], gpus: float = 0.0) -> Scale:
    return Scale(
        description=what,
        grids=[*grids, Grid(entropy)],
        seeds=seeds,
        time_limit_s=limit,
        resources=Resources(gpus=gpus),
        hardware=H100 if gpus else None,
    )


def _grid(data: str, view: str = "main", rates: tuple[float, ...] = RATES, **point: Any) -> Grid:
    return Grid(train, view=view, points=[point], axes={"lr": rates}, data=data)


_VIT: Mapping[str, Any] = {"width": 192, "head_dim": 64, "batch": 256, "precision": "bfloat16", "rates": (3e-4, 1e-3, 3e-3, 1e-2)}
_TINY: Mapping[str, Any] = {**_VIT, "depth": 12, "epochs": 100.0, "augment": True}
_ACCURACY, _GAP = train["test_accuracy"].at(view="main"), entropy["entropy_gap"]
_ABSTRACT = "abstract: superiority over existing corrections of ReLU on CIFAR-10, CIFAR-100 and ImageNet-1K"
_POINT = "ours: two or three of the 250 test images of digits"
_THEOREM = "abstract: existence of the worst activation function with boundary conditions"

TASK = Task(
    id="crrelu",
    version=1,
    paper=Paper(
        arxiv="2405.12954",
        title="A Method on Searching Better Activation Functions",
        year=2024,
        authors="Haoyuan Sun, Zihao Wu, Bo Xia, Pu Chang, Zibin Dong, Yifu Yuan, Yongzhe Chang, Xueqian Wang",
    ),
    summary="Whether max(0, x) + eps x exp(-x^2 / 2) with a learned eps beats seven activations that are tuned as it is.",
    methods=[
        Method(CRRELU, "proposed", "max(0, x) + eps x exp(-x^2 / 2); eps is learned, one a layer, from 0.01, and not decayed"),
        Method("relu", "baseline", "max(0, x), what CRReLU corrects"),
        Method("gelu", "rival", "x Phi(x), the usual one in transformers"),
        Method("elu", "rival", "x for x > 0, else exp(x) - 1"),
        Method("celu", "rival", "at its default alpha = 1 the same function as ELU: a difference between the two would be noise"),
        Method("prelu", "rival", "x for x > 0, else a x; a is learned, one a layer, from 0.25, and not decayed"),
        Method("swish", "rival", "x sigmoid(x)"),
        Method("mish", "rival", "x tanh(log(1 + exp(x)))"),
        Method(FROZEN, "control", "CRReLU with eps held at 0.01: what learning it is worth"),
        Method(FLOOR, "floor", "no activation: the network that attention and norms alone make"),
        Method(WORST, "proposed", "the Gaussian's own distribution function, scaled: claimed to have the most entropy of all"),
        *(Method(name, "rival", f"{name.replace('-', ' ')}, scaled to the same range") for name in BOUNDED),
    ],
    experiments=(train, entropy),
    scales={
        "smoke": _scale("digits, 2 epochs: does it run", 2, 60.0, [_grid("digits", rates=(3e-3, 3e-2), epochs=2.0, train_images=256)]),
        "laptop": _scale("8 x 8 digits, 25 epochs of a transformer with 2 blocks; 2 CPU cores", 10, 120.0, [_grid("digits")]),
        "gpu": _scale(
            "Fashion-MNIST, 20 epochs of 6 blocks of 192 features; one GPU", 5, 600.0, [_grid("fashion-mnist", **_VIT, depth=6)], 0.25
        ),
        "paper": _scale(
            "CIFAR-10 and CIFAR-100, 100 epochs of ViT-Tiny (12 blocks of 192 features); a cluster",
            5,
            6 * 3600.0,
            [_grid("cifar10", **_TINY), _grid("cifar100", "cifar100", **_TINY)],
            1.0,
        ),
    },
    claims=[
        *better("C1", CRRELU, RIVALS, _ACCURACY, source=_ABSTRACT, stands_on=("floor",)),
        *better("C1-cifar100", CRRELU, RIVALS, _ACCURACY.at(view="cifar100"), source=_ABSTRACT, scales=("paper",), group="C1"),
        *best_of("C1-all", CRRELU, RIVALS, _ACCURACY, source=_ABSTRACT, group="C1", primary=True, stands_on=("floor",)),
        *equivalent("C1-relu-same", CRRELU, "relu", _ACCURACY, margin=1.0, margin_source=_POINT, source="control", kind="control"),
        *ablation("C1-frozen", CRRELU, FROZEN, _ACCURACY, part="learning eps"),
        *better("floor", "relu", FLOOR, _ACCURACY, source="control: that the network needs its activation", kind="control"),
        *exact(
            "C3",
            _GAP,
            method=WORST,
            tolerance=1e-10,
            says="the scaled Gaussian distribution function has the largest entropy that a function onto a bounded range can have",
            source=_THEOREM,
            group="C3",
            primary=True,
        ),
        *(
            Claim(
                id=f"C3-{name}",
                statement=f"{name} has less entropy than that",
                source=_THEOREM,
                estimate=paired(name, WORST, _GAP),
                holds=Above(1e-6),
                null=0.0,
                unit="nats",
                exact=True,
                group="C3",
            )
            for name in BOUNDED
        ),
        *exact(
            "C3-direction",
            entropy["entropy_rate"],
            method=CRRELU,
            holds=Below(0.0),
            says="from ReLU, the correction with eps > 0, as it is initialised, lowers the entropy of what is positive",
            source="inferred from the abstract: the optimisation leaves the activation with the most entropy",
            kind="extension",
            note="Our reading: the derivation was not at hand. A learned eps may take either sign.",
        ),
    ],
)
