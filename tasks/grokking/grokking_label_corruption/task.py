"""To grok or not to grok: memorisation and generalisation on corrupted algorithmic data sets (Doshi et al., arXiv 2310.13061)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from harness.bounds import CORRELATION, POSITIVE, Bounds
from harness.estimates import In, Mean
from harness.task import Experiment, Figure, Grid, Metric, Paper, Phase, Requirement, Resources, Scale, Statistic, Task, param
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib
from tasks.blocks.supervision import LABELS, share
from tasks.grokking.grokking_label_corruption.claims import BATCHED, BATCHNORM, DECAY, DROPOUT, FLOOR, METHODS, NONE, PRUNED, claims

_RUN, _TIERS = "tasks.grokking.grokking_label_corruption.experiment", ("weak", "strong", "stronger")
_Point = Mapping[str, Any]
_Axes = Mapping[str, Sequence[float]]
_Tiers = Sequence[tuple[float, float]]
_Cells = tuple[_Point, _Point, _Point]


@dataclass(frozen=True, kw_only=True)
class Network:
    """Parameters of a trained network."""

    p: int = param(31, "modulus: p^2 pairs, p classes", low=3, high=1000)
    width: int = param(128, "hidden neurons", unit="neurons", low=2, high=100_000)
    fraction: float = param(0.8, "share of the pairs that it is trained on", low=0.01, high=0.99)
    corruption: float = param(0.1, "share of the training labels that are drawn anew", low=0.0, high=1.0)
    steps: int = param(300, "steps of AdamW", unit="steps", low=1, high=10_000_000)
    lr: float = param(0.01, "learning rate; times sqrt(batch / 256) in batches", low=1e-7, high=10.0)


@dataclass(frozen=True, kw_only=True)
class Training(Network):
    """And of its regularisation."""

    decay: float = param(0.0, "decoupled weight decay of `decay`", low=0.0, high=99.0)
    dropout: float = param(0.0, "chance that `dropout` drops a pre-activation", low=0.0, high=0.99)
    batch: int = param(64, "examples of a step of `batchnorm` and `minibatch`", unit="examples", low=2, high=65536)


@dataclass(frozen=True, kw_only=True)
class Pruning(Network):
    """And of its pruning."""

    share: float = param(0.5, "share of the neurons that are set to zero", low=0.0, high=1.0)


def _alike(method: str, p: _Point) -> Hashable:
    """Shapes, the dropout rate and the examples of a step."""
    own = p["dropout"] if method == DROPOUT else p["batch"] if method in BATCHED else 0
    return method if method in (DROPOUT, *BATCHED) else NONE, p["p"], p["width"], round(p["fraction"] * p["p"] ** 2), own


def _seconds(scale: str, method: str, p: _Point) -> float:
    """By the products of a step's forward pass."""
    step, product = (2e-4, 3e-10) if scale in ("smoke", "laptop") else (5e-6, 1.5e-12)
    rows = p["batch"] if method in BATCHED else p["fraction"] * p["p"] ** 2
    return float(0.02 + p["steps"] * (step + product * rows * p["width"] * p["p"] * (1.8 if method in (DROPOUT, BATCHNORM) else 1.0)))


def _memory(scale: str, method: str, p: _Point) -> float:  # noqa: ARG001 - one signature for all tasks
    """A dozen numbers for each pre-activation of all pairs, and AdamW's four a weight."""
    return gib(48.0 * p["p"] * p["width"] * (p["p"] + 1.0))


def _columns(experiment: str, view: str, metrics: Sequence[Metric]) -> list[Statistic]:
    about: list[tuple[str, dict[str, Any]]] = [(m.name, {"unit": m.unit, "better": m.better, "bounds": m.bounds}) for m in metrics]
    return [Statistic(name=f"{name} ({view})", estimate=In(experiment, Mean(name), view), **shown) for name, shown in about]


_Z, _PLANES, _CURVES = ("test_accuracy", "corrected"), (*_TIERS, "batch-plane"), ("test_accuracy", "memorised", "ipr_mean")
_SIGNED = Bounds(-1.0, 1.0)
_SHOWN = (*LABELS[::-1], share("train_accuracy", "training labels that are reproduced, wrong ones among them"))
_PHASE = share(
    "full_inversion", "1: nine in ten test pairs known, of the wrong labels at most one in ten", optional=True, split="test", counted=False
)
train = Experiment(
    "train",
    params=Training,
    metrics=(
        *_SHOWN,
        share("train_excess", "train accuracy less the share of right labels", "zero", bounds=_SIGNED),
        share("wrong_share", "training labels that are wrong", "none"),
        _PHASE,
        share("coexistence", "1: nine in ten of either known", optional=True, split="test", counted=False),
        *(Metric(f"{split}_loss", "", "lower", "squared error of one-hot labels", bounds=POSITIVE) for split in ("train", "test")),
        *(share(f"ipr_{name}", "IPR over the neurons", "none", counted=False) for name in ("mean", "q10", "median", "q90")),
        share("ipr_bimodality", "Sarle's coefficient of the neurons' IPR", "none", counted=False),
        Metric("ipr_gamma", "correlation", "none", "of a neuron's IPR and its |gamma|", methods=(BATCHNORM,), bounds=CORRELATION),
    ),
    run_batch=f"{_RUN}:train",
    alike=_alike,
    methods=(NONE, DECAY, DROPOUT, *BATCHED, FLOOR),
    seconds=_seconds,
    memory=_memory,
    statistics=[*_columns("train", "cell", _SHOWN), *_columns("train", "batches", _SHOWN), *_columns("train", "strong", [_PHASE])],
    figures=[
        *(Phase(id=f"{z}-{view}", title=f"{z} ({view})", x="corruption", y="fraction", z=z, view=view) for z in _Z for view in _PLANES),
        *(Figure(id=f"{y}-steps", title=f"{y} while training", x="step", y=y, view="cell", log_x=True) for y in _CURVES),
    ],
    summary="networks on modular addition, some of whose training labels are wrong",
)
prune = Experiment(
    "prune",
    params=Pruning,
    metrics=(
        *LABELS,
        share("memorised_change", "by pruning", "lower", bounds=_SIGNED),
        share("test_accuracy_change", "by pruning", bounds=_SIGNED),
    ),
    run=f"{_RUN}:prune",
    methods=PRUNED,
    requires=lambda _, p: Requirement(method=NONE, params={field.name: p[field.name] for field in fields(Network)}, experiment="train"),
    seconds=lambda *_: 0.1,
    memory=_memory,
    statistics=_columns("prune", "half", LABELS[::-1]),
    figures=[Figure(id=f"pruned-{y}", title=f"{y} after pruning", x="share", y=y) for y in ("memorised", "test_accuracy")],
    summary="neurons of a network that was trained without regularisation set to zero",
)


def _scale(what: str, seeds: int, tiers: _Tiers, axes: _Axes, cells: _Cells, gpus: float = 0.0, sizes: Sequence[int] = ()) -> Scale:
    """`tiers`: a weight decay and a dropout rate each, the second for single cells; `cells`: networks of planes, alone, in batches."""
    plane, cell, batches = cells
    views: list[tuple[str, _Point, tuple[float, float], _Axes]] = [("cell", cell, tiers[1], {})]
    views += [("clean", {**cell, "corruption": 0.0}, tiers[1], {})]
    views += [(view, plane, tier, axes) for view, tier in zip(_TIERS, tiers, strict=True)]
    grids = [
        Grid(train, view=view, points=[{**point, **own}], axes=over, methods=(method,))
        for view, point, (decay, rate), over in views
        for method, own in ((NONE, {}), (DECAY, {"decay": decay}), (DROPOUT, {"dropout": rate}))
    ]
    grids += [Grid(train, view="cell", points=[cell], methods=(FLOOR,)), Grid(train, view="batches", points=[batches], methods=BATCHED)]
    grids += [Grid(train, view="noise", points=[{**batches, "corruption": 1.0}], methods=(BATCHNORM,))]
    # The authors take as many examples whatever the batch: 2,000 steps of 256.
    points = [{**batches, "batch": size, "steps": 512_000 // size} for size in sizes]
    points = points or [{**plane, "steps": 4 * plane["steps"], "batch": 16}]
    over = axes if sizes else {name: values[::2] for name, values in axes.items()}
    grids += [Grid(train, view="batch-plane", points=points, axes=over, methods=BATCHED), Grid(prune, view="half", points=[cell])]
    grids += [Grid(prune, points=[cell], axes={"share": [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]})]
    about: _Point = {"time_limit_s": 3600.0 if gpus else 120.0, "resources": Resources(gpus=gpus), "hardware": H100 if gpus else None}
    return Scale(description=what, grids=grids, seeds=seeds, **about)


_SMALL: _Point = {"p": 11, "width": 24, "steps": 40}
_LAPTOP: _Point = {"p": 31, "width": 128, "steps": 300}
_WIDE: _Point = {"p": 97, "width": 500, "steps": 1000, "fraction": 0.5, "corruption": 0.35}
_BATCHES: _Point = {**_WIDE, "steps": 2000, "fraction": 0.65, "corruption": 0.2}
_NARROW, _PUBLISHED = [(5.0, 0.3), (10.0, 0.6), (15.0, 0.8)], [(5.0, 0.3), (15.0, 0.6), (20.0, 0.9)]
_SIZES = [8, 32, 64, 256]
_COARSE: _Axes = {"fraction": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9], "corruption": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5]}
_FINE: _Axes = {name: [round(0.05 * i, 2) for i in range(1, 20)] for name in _COARSE}
_PAPER: _Axes = {name: values[1:-1] for name, values in _FINE.items()}
_TITLE = "To grok or not to grok: Disentangling generalization and memorization on corrupted algorithmic datasets"
_AUTHORS, _CODE = "Darshil Doshi, Aritra Das, Tianyu He, Andrey Gromov", "https://github.com/d-doshi/Grokking"
TASK = Task(
    id="grokking-label-corruption",
    version=1,
    paper=Paper(arxiv="2310.13061", title=_TITLE, year=2023, authors=_AUTHORS, code=_CODE),
    summary="Whether weight decay, dropout and BatchNorm make a network ignore wrong labels, and which neurons memorise them.",
    methods=METHODS,
    experiments=(train, prune),
    scales={
        "smoke": _scale("p = 11, 40 steps: does it run", 2, _NARROW, {k: v[3:5] for k, v in _COARSE.items()}, (_SMALL, _SMALL, _SMALL)),
        "laptop": _scale("p = 31, 36 cells, batches at p = 97; 2 CPU cores", 5, _NARROW, _COARSE, (_LAPTOP, _LAPTOP, _BATCHES)),
        "gpu": _scale("p = 47, 361 cells; one GPU", 5, _PUBLISHED, _FINE, ({"p": 47, "width": 192, "steps": 750}, _WIDE, _BATCHES), 1.0),
        "paper": _scale("p = 97, 289 cells; GPUs", 3, _PUBLISHED, _PAPER, ({**_WIDE, "steps": 2000}, _WIDE, _BATCHES), 1.0, _SIZES),
    },
    claims=claims(train, prune),
)
