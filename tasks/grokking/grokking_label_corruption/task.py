"""To grok or not to grok: memorisation and generalisation on corrupted algorithmic data sets (Doshi et al., arXiv 2310.13061)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from harness.bounds import CORRELATION, POSITIVE, Bounds
from harness.claims import CONTROL, contrast
from harness.columns import columns
from harness.estimates import Reading, paired
from harness.params import Axis, Point
from harness.region import Above, Below, Within
from harness.task import Claim, Experiment, Figure, Grid, Method, Metric, Paper, Params, Phase, Requirement, Scale, Task, param
from harness.thresholds import Threshold
from tasks.blocks.hardware import costs, h100, smoke
from tasks.blocks.supervision import CORRUPTED, KNOWN, LABELS, PERIODICITY, share

_RUN, _TIERS = "tasks.grokking.grokking_label_corruption.experiment", ("weak", "strong", "stronger")
NONE, DECAY, DROPOUT, BATCHNORM, MINIBATCH, FLOOR = "none", "decay", "dropout", "batchnorm", "minibatch", "random-labels"
LOWEST, RANDOM, HIGHEST = "lowest-ipr", "random-neurons", "highest-ipr"
BATCHED, PRUNED = (BATCHNORM, MINIBATCH), (LOWEST, RANDOM, HIGHEST)
_Axes = Mapping[str, Axis]
_View = tuple[str, Point, tuple[float, float], _Axes]


class Network(Params):
    """Parameters of a trained network."""

    p: int = param(31, "modulus: p^2 pairs, p classes", low=3, high=1000)
    width: int = param(128, "hidden neurons", unit="neurons", low=2, high=100_000)
    fraction: float = param(0.8, "share of the pairs that it is trained on", low=0.01, high=0.99)
    corruption: float = param(0.1, "share of the training labels that are drawn anew", low=0.0, high=1.0)
    steps: int = param(300, "steps of AdamW", unit="steps", low=1, high=10_000_000)
    lr: float = param(0.01, "learning rate; times sqrt(batch / 256) in batches", low=1e-7, high=10.0)


class Training(Network):
    """And of its regularisation."""

    decay: float = param(0.0, "decoupled weight decay of `decay`", low=0.0, high=99.0)
    dropout: float = param(0.0, "chance that `dropout` drops a pre-activation", low=0.0, high=0.99)
    batch: int = param(64, "examples of a step of `batchnorm` and `minibatch`", unit="examples", low=2, high=65536)


class Pruning(Network):
    """And of its pruning."""

    share: float = param(0.5, "share of the neurons that are set to zero", low=0.0, high=1.0)


def _alike(method: str, p: Point) -> Hashable:
    """Shapes, the dropout rate and the examples of a step."""
    own = p["dropout"] if method == DROPOUT else p["batch"] if method in BATCHED else 0
    return method if method in (DROPOUT, *BATCHED) else NONE, p["p"], p["width"], round(p["fraction"] * p["p"] ** 2), own


def _costs(cpu: bool, method: str, p: Point) -> tuple[float, float]:
    """By a step's forward pass; a dozen numbers for each pre-activation of all pairs, and AdamW's four a weight."""
    held, (step, product) = 6.0 * p["p"] * p["width"] * (p["p"] + 1.0), (2e-4, 3e-10) if cpu else (5e-6, 1.5e-12)
    rows = (p["batch"] if method in BATCHED else p["fraction"] * p["p"] ** 2) * (1.8 if method in (DROPOUT, BATCHNORM) else 1.0)
    return 0.1 if method in PRUNED else 0.02 + p["steps"] * (step + product * rows * p["width"] * p["p"]), held


_Z, _PLANES, _CURVES = ("test_accuracy", "corrected"), (*_TIERS, "batch-plane"), ("test_accuracy", "memorised", "ipr_mean")
_SIGNED, _COLUMN = Bounds(-1.0, 1.0), "{metric} ({view})"
_SHOWN = (*LABELS[::-1], share("train_accuracy", "training labels that are reproduced, wrong ones among them"))
train = Experiment(
    "train", params=Training, run_batch=f"{_RUN}:train", alike=_alike, methods=(NONE, DECAY, DROPOUT, *BATCHED, FLOOR), **costs(_costs),
    metrics=(
        *_SHOWN,
        *CORRUPTED,
        *(Metric(f"{split}_loss", "", "lower", "squared error of one-hot labels", bounds=POSITIVE) for split in ("train", "test")),
        *PERIODICITY,
        Metric("ipr_gamma", "correlation", "none", "of a neuron's IPR and its |gamma|", methods=(BATCHNORM,), bounds=CORRELATION),
    ),
    statistics=[column for view, shown in (("cell", _SHOWN), ("batches", _SHOWN), ("strong", CORRUPTED[2:3]))
                for column in columns("train", shown, view, named=_COLUMN)],
    figures=[
        *(Phase(id=f"{z}-{view}", title=f"{z} ({view})", x="corruption", y="fraction", z=z, view=view) for z in _Z for view in _PLANES),
        *(Figure(id=f"{y}-steps", title=f"{y} while training", x="step", y=y, view="cell", log_x=True) for y in _CURVES),
    ],
    summary="networks on modular addition, some of whose training labels are wrong",
)  # fmt: skip
prune = Experiment(
    "prune", params=Pruning, run=f"{_RUN}:prune", methods=PRUNED, **costs(_costs),
    metrics=(*LABELS, share("memorised_change", "by pruning", "lower", bounds=_SIGNED),
             share("test_accuracy_change", "by pruning", bounds=_SIGNED)),
    requires=lambda _, p: Requirement(method=NONE, params={field.name: p[field.name] for field in fields(Network)}, experiment="train"),
    statistics=columns("prune", LABELS[::-1], "half", named=_COLUMN),
    figures=[Figure(id=f"pruned-{y}", title=f"{y} after pruning", x="share", y=y) for y in ("memorised", "test_accuracy")],
    summary="neurons of a network that was trained without regularisation set to zero",
)  # fmt: skip


def _grids(tiers: Sequence[tuple[float, float]], axes: _Axes, plane: Point, cell: Point, batches: Point,
           sizes: Sequence[int] = ()) -> list[Grid]:  # fmt: skip
    """`tiers`: a weight decay and a dropout rate each, the second for single cells; networks of planes, alone and in batches."""
    views: list[_View] = [("cell", cell, tiers[1], {}), ("clean", {**cell, "corruption": 0.0}, tiers[1], {})]
    views += [(view, plane, tier, axes) for view, tier in zip(_TIERS, tiers, strict=True)]
    # The authors take as many examples whatever the batch: 2,000 steps of 256.
    points = [{**batches, "batch": size, "steps": 512_000 // size} for size in sizes]
    return [
        *(Grid(train, view=view, points=[{**point, **own}], axes=over, methods=(method,))
          for view, point, (decay, rate), over in views
          for method, own in ((NONE, {}), (DECAY, {"decay": decay}), (DROPOUT, {"dropout": rate}))),
        Grid(train, view="cell", points=[cell], methods=(FLOOR,)),
        Grid(train, view="batches", points=[batches], methods=BATCHED),
        Grid(train, view="noise", points=[{**batches, "corruption": 1.0}], methods=(BATCHNORM,)),
        Grid(train, view="batch-plane", points=points or [{**plane, "steps": 4 * plane["steps"], "batch": 16}], methods=BATCHED,
             axes=axes if sizes else {name: values[::2] for name, values in axes.items()}),
        Grid(prune, view="half", points=[cell]),
        Grid(prune, points=[cell], axes={"share": [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]}),
    ]  # fmt: skip


_SMALL: Point = {"p": 11, "width": 24, "steps": 40}
_WIDE: Point = {"p": 97, "width": 500, "steps": 1000, "fraction": 0.5, "corruption": 0.35}
_BATCHES: Point = {**_WIDE, "steps": 2000, "fraction": 0.65, "corruption": 0.2}
_NARROW, _PUBLISHED = [(5.0, 0.3), (10.0, 0.6), (15.0, 0.8)], [(5.0, 0.3), (15.0, 0.6), (20.0, 0.9)]
_COARSE: _Axes = {"fraction": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9], "corruption": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5]}
_FINE: _Axes = {name: [round(0.05 * i, 2) for i in range(1, 20)] for name in _COARSE}
_TINY, _PAPER = ({name: values[part] for name, values in of.items()} for of, part in ((_COARSE, slice(3, 5)), (_FINE, slice(1, -1))))
_SCALES = {
    "smoke": smoke("p = 11, 40 steps", _grids(_NARROW, _TINY, _SMALL, _SMALL, _SMALL), time_limit_s=120.0),
    "laptop": Scale(description="p = 31, 36 cells, batches at p = 97; 2 CPU cores", seeds=5, time_limit_s=120.0,
                    grids=_grids(_NARROW, _COARSE, {"steps": 300}, {}, _BATCHES)),
    "gpu": h100(description="p = 47, 361 cells; one GPU", seeds=5, time_limit_s=3600.0,
                grids=_grids(_PUBLISHED, _FINE, {"p": 47, "width": 192, "steps": 750}, _WIDE, _BATCHES)),
    "paper": h100(description="p = 97, 289 cells; GPUs", seeds=3, time_limit_s=3600.0,
                  grids=_grids(_PUBLISHED, _PAPER, {**_WIDE, "steps": 2000}, _WIDE, _BATCHES, [8, 32, 64, 256])),
}  # fmt: skip

_NEGATIVE, _KNOWN = Below(0.0), Above(KNOWN)
_PRIMARY = ("C1-decay", "C1-dropout", "C2-memorised", "C2-test", "C3-decay", "C3-batchnorm")
_SOURCES = {
    "C0": "abstract (i): the network memorises the corrupted labels and generalises at the same time",
    "C1": "abstract (iii): it is forced to ignore the corrupted data and achieves 100 % on the uncorrupted data",
    "C2": "abstract (ii): pruning memorising neurons lowers the accuracy on corrupted and improves it on uncorrupted data",
    "C3": "abstract (iv): weight decay and dropout force all neurons to generalise; BatchNorm de-amplifies those that memorise",
}
_TEST: Point = {"aim": "not worse", "margin_source": "ours: two of the 192 test pairs of the laptop", "holds": Above(-0.01)}
_LABELS: Point = {"aim": "equivalent", "margin_source": "ours: three labels in a hundred", "holds": Within(-0.03, 0.03), "null": 0.0}
_IPR: Point = {"aim": "equivalent", "margin_source": "ours: a tenth of the range of an IPR", "holds": Within(-0.1, 0.1)}
_PRUNED: Point = {"null": 0.0, "stands_on": ("floor",)}


def _claim(id: str, says: str, reading: Reading, method: str, other: str = "", **about: Any) -> Claim:
    """What a method reaches, or how far it is beyond another; an id with a C is the paper's, a sentence up to its second dash."""
    own: dict[str, Any] = {"holds": Above(0.0), "unit": reading.unit, **CONTROL}
    if id[0] == "C":
        own |= {"kind": "paper", "source": _SOURCES[id[:2]], "group": "-".join(id.split("-")[:2]), "primary": id in _PRIMARY}
    own["estimate"] = paired(method, other, reading) if other else reading.of(method)
    own |= {"null": 0.0} if other else {"bounds": reading.bounds}
    return Claim(id=id, statement=says, **{**own, **about})


_KNOWS, _MEMORISED, _CORRECTED, _EXCESS = train.readings("cell", "test_accuracy", "memorised", "corrected", "train_excess")
_MODES, _LOWEST, _MIDDLE = train.readings("cell", "ipr_bimodality", "ipr_q10", "ipr_median")
_FALL, _RISE, _LEFT, _SEEN = prune.readings("half", "memorised_change", "test_accuracy_change", "memorised", "test_accuracy")
_GAMMA, _FREED, _MEDIAN = train.readings("batches", "ipr_gamma", "corrected", "ipr_median")
_PLANE, _SHARE = train.readings("strong", "full_inversion", "test_accuracy")
_NOISE, _CLEAN = train["ipr_gamma"].at("noise"), train["test_accuracy"].at("clean")
_MOST = train.within(Threshold("corruption", _SHARE, rises=False, where={"fraction": 0.8}), "strong")
_ALONE: Point = {"stands_on": ("batchnorm-alone",)}


def _regularised(m: str) -> list[Claim]:
    stands: Point = {"stands_on": (f"regularised-{m}",)}
    further: Point = {"estimate": paired(m, NONE, _MOST), "kind": "extension", "source": "ours: the boundary of the published planes"}
    return [
        _claim(f"C1-{m}", f"{m} gives the true label for nine in ten wrong ones", _CORRECTED, m, holds=_KNOWN, **stands),
        _claim(f"C1-{m}-train", f"{m} reproduces as many training labels as are right", _EXCESS, m, **_LABELS, **stands),
        _claim(f"C1-{m}-test", f"{m} knows 95 % of the test pairs", _KNOWS, m, holds=Above(0.95)),
        _claim(f"C1-{m}-plane", f"{m} inverts more of the plane than none", _PLANE, m, NONE),
        _claim(f"C3-{m}", f"{m} leaves fewer neurons of low IPR: the lowest tenth ends higher", _LOWEST, m, NONE),
        _claim(f"C3-{m}-median", f"{m} raises the median IPR", _MIDDLE, m, NONE),
        _claim(f"regularised-{m}", f"{m} corrects more wrong labels than none", _CORRECTED, m, NONE),
        _claim(f"clean-{m}", f"{m} generalises from clean labels", _CLEAN, m, holds=_KNOWN),
        _claim(f"boundary-{m}", f"at a fraction of 0.8 {m} generalises from more wrong labels than none", _SHARE, m, NONE, **further),
    ]


TASK = Task(
    id="grokking-label-corruption", version=1,
    paper=Paper(arxiv="2310.13061", year=2023, authors="Darshil Doshi, Aritra Das, Tianyu He, Andrey Gromov",
                title="To grok or not to grok: Disentangling generalization and memorization on corrupted algorithmic datasets",
                code="https://github.com/d-doshi/Grokking"),
    summary="Whether weight decay, dropout and BatchNorm make a network ignore wrong labels, and which neurons memorise them.",
    methods=[
        Method(NONE, "baseline", "AdamW without decay on all training pairs at once"),
        Method(DECAY, "proposed", "the same with decoupled weight decay"),
        Method(DROPOUT, "proposed", "the same with dropout before the square"),
        Method(BATCHNORM, "proposed", "BatchNorm after the square, in batches"),
        Method(MINIBATCH, "control", "the same batches and rates without BatchNorm: what small batches do alone"),
        Method(FLOOR, "floor", "none on labels all of which are drawn anew: chance"),
        Method(LOWEST, "proposed", "the least periodic neurons are pruned"),
        Method(RANDOM, "control", "as many neurons, drawn at random"),
        Method(HIGHEST, "control", "as many, the most periodic"),
    ],
    experiments=(train, prune), scales=_SCALES,
    claims=[
        _claim("C0-none", "none memorises nine in ten wrong labels", _MEMORISED, NONE, holds=_KNOWN),
        _claim("C0-none-test", "none knows nine in ten test pairs", _KNOWS, NONE, holds=_KNOWN, stands_on=("floor",)),
        *_regularised(DECAY),
        *_regularised(DROPOUT),
        _claim("C1-batchnorm", "batchnorm gives the true label for nine in ten wrong ones", _FREED, BATCHNORM, holds=_KNOWN, **_ALONE),
        _claim("batchnorm-alone", "batchnorm corrects more wrong labels than its batches alone", _FREED, BATCHNORM, MINIBATCH),
        _claim("C2-memorised", "without the lower half by IPR fewer wrong labels are left", _FALL, LOWEST, holds=_NEGATIVE, **_PRUNED),
        _claim("C2-test", "without the lower half by IPR test accuracy falls by less than 0.01", _RISE, LOWEST, **_PRUNED, **_TEST),
        _claim("C2-test-rises", "without the lower half by IPR test accuracy rises", _RISE, LOWEST, **_PRUNED),
        _claim("pruned-random", "test accuracy is higher without the lower half than without any", _SEEN, LOWEST, RANDOM),
        _claim("pruned-memorised", "fewer wrong labels are left than without any half", _LEFT, LOWEST, RANDOM, holds=_NEGATIVE),
        _claim("pruned-highest", "fewer wrong labels are left than without the upper half", _LEFT, LOWEST, HIGHEST, holds=_NEGATIVE),
        _claim("C3-none", "the IPR of none has two modes: Sarle's coefficient is above 5/9", _MODES, NONE, holds=Above(5 / 9), null=5 / 9),
        _claim("C3-batchnorm", "neurons of higher IPR have a larger |gamma|", _GAMMA, BATCHNORM, null=0.0, stands_on=("batchnorm-noise",)),
        _claim("C3-batchnorm-ipr", "batchnorm leaves the median IPR to its batches", _MEDIAN, BATCHNORM, MINIBATCH, **_IPR),
        *contrast("batchnorm-noise", BATCHNORM, (_GAMMA, _NOISE), says="more so than on random labels", holds=Above(0.0), **CONTROL),
        _claim("floor", "none knows more test pairs than chance", _KNOWS, NONE, FLOOR),
        _claim("chance", "random labels teach nothing", _KNOWS, FLOOR, holds=Below(0.1), kind="check"),
    ],
)  # fmt: skip
