"""The claims, and the names that they and all else of this paper share."""

from collections.abc import Mapping
from typing import Any

from harness.bounds import UNBOUNDED
from harness.estimates import Difference, In, Of, Reading, paired
from harness.task import Above, Below, Claim, Experiment, Method, Region, Within
from harness.thresholds import Threshold

NONE, DECAY, DROPOUT, BATCHNORM, MINIBATCH, FLOOR = "none", "decay", "dropout", "batchnorm", "minibatch", "random-labels"
LOWEST, RANDOM, HIGHEST = "lowest-ipr", "random-neurons", "highest-ipr"
BATCHED, PRUNED = (BATCHNORM, MINIBATCH), (LOWEST, RANDOM, HIGHEST)
METHODS = [
    Method(NONE, "baseline", "AdamW without decay on all training pairs at once"),
    Method(DECAY, "proposed", "the same with decoupled weight decay"),
    Method(DROPOUT, "proposed", "the same with dropout before the square"),
    Method(BATCHNORM, "proposed", "BatchNorm after the square, in batches"),
    Method(MINIBATCH, "control", "the same batches and rates without BatchNorm: what small batches do alone"),
    Method(FLOOR, "floor", "none on labels all of which are drawn anew: chance"),
    Method(LOWEST, "proposed", "the least periodic neurons are pruned"),
    Method(RANDOM, "control", "as many neurons, drawn at random"),
    Method(HIGHEST, "control", "as many, the most periodic"),
]
FULL = 0.9
"""An accuracy from which on data count as known, and below 1 minus which they do not."""
_Point = Mapping[str, Any]
_POSITIVE, _NEGATIVE, _KNOWN = Above(0.0), Below(0.0), Above(FULL)
_PRIMARY = ("C1-decay", "C1-dropout", "C2-memorised", "C2-test", "C3-decay", "C3-batchnorm")
_SOURCES = {
    "C0": "abstract (i): the network memorises the corrupted labels and generalises at the same time",
    "C1": "abstract (iii): it is forced to ignore the corrupted data and achieves 100 % on the uncorrupted data",
    "C2": "abstract (ii): pruning memorising neurons lowers the accuracy on corrupted and improves it on uncorrupted data",
    "C3": "abstract (iv): weight decay and dropout force all neurons to generalise; BatchNorm de-amplifies those that memorise",
}
_TEST: _Point = {"aim": "not worse", "margin_source": "ours: two of the 192 test pairs of the laptop", "holds": Above(-0.01)}
_LABELS: _Point = {"aim": "equivalent", "margin_source": "ours: three labels in a hundred", "holds": Within(-0.03, 0.03), "null": 0.0}
_IPR: _Point = {"aim": "equivalent", "margin_source": "ours: a tenth of the range of an IPR", "holds": Within(-0.1, 0.1)}
_PRUNED: _Point = {"null": 0.0, "stands_on": ("floor",)}


def _claim(id: str, says: str, reading: Reading, method: str, other: str = "", holds: Region = _POSITIVE, **about: Any) -> Claim:
    """What a method reaches, or how far it is beyond another; an id with a C is the paper's, a sentence up to its second dash."""
    own: dict[str, Any] = {"kind": "control", "source": "control", "unit": reading.unit}
    if id[0] == "C":
        own |= {"kind": "paper", "source": _SOURCES[id[:2]], "group": "-".join(id.split("-")[:2]), "primary": id in _PRIMARY}
    compared = {"estimate": paired(method, other, reading), "null": 0.0}
    level = {"estimate": Of(method, reading), "bounds": reading.bounds}
    return Claim(id=id, statement=says, holds=holds, **{**own, **(compared if other else level), **about})


def claims(train: Experiment, prune: Experiment) -> list[Claim]:
    """All of them. Views: networks one by one in `cell`, on clean labels in `clean`, in `batches`, on random labels in `noise`."""

    def on(view: str, *names: str) -> list[Reading]:
        return [(prune if view == "half" else train)[name].at(view=view) for name in names]

    known, memorised, more, excess = on("cell", "test_accuracy", "memorised", "corrected", "train_excess")
    modes, lowest, middle = on("cell", "ipr_bimodality", "ipr_q10", "ipr_median")
    fall, rise, left, seen = on("half", "memorised_change", "test_accuracy_change", "memorised", "test_accuracy")
    gamma, freed, median, (noise,) = *on("batches", "ipr_gamma", "corrected", "ipr_median"), on("noise", "ipr_gamma")
    (plane, share), (clean,) = on("strong", "full_inversion", "test_accuracy"), on("clean", "test_accuracy")
    beyond = Difference(gamma.of(BATCHNORM), noise.of(BATCHNORM))
    most = In("train", Threshold("corruption", share, rises=False, where={"fraction": 0.8}), "strong")

    alone: _Point = {"stands_on": ("batchnorm-alone",)}

    def regularised(m: str) -> list[Claim]:
        stands: _Point = {"stands_on": (f"regularised-{m}",)}
        further: _Point = {"estimate": paired(m, NONE, most), "kind": "extension", "source": "ours: the boundary of the published planes"}
        return [
            _claim(f"C1-{m}", f"{m} gives the true label for nine in ten wrong ones", more, m, holds=_KNOWN, **stands),
            _claim(f"C1-{m}-train", f"{m} reproduces as many training labels as are right", excess, m, **_LABELS, **stands),
            _claim(f"C1-{m}-test", f"{m} knows 95 % of the test pairs", known, m, holds=Above(0.95)),
            _claim(f"C1-{m}-plane", f"{m} inverts more of the plane than none", plane, m, NONE),
            _claim(f"C3-{m}", f"{m} leaves fewer neurons of low IPR: the lowest tenth ends higher", lowest, m, NONE),
            _claim(f"C3-{m}-median", f"{m} raises the median IPR", middle, m, NONE),
            _claim(f"regularised-{m}", f"{m} corrects more wrong labels than none", more, m, NONE),
            _claim(f"clean-{m}", f"{m} generalises from clean labels", clean, m, holds=_KNOWN),
            _claim(f"boundary-{m}", f"at a fraction of 0.8 {m} generalises from more wrong labels than none", share, m, NONE, **further),
        ]

    return [
        _claim("C0-none", "none memorises nine in ten wrong labels", memorised, NONE, holds=_KNOWN),
        _claim("C0-none-test", "none knows nine in ten test pairs", known, NONE, holds=_KNOWN, stands_on=("floor",)),
        *regularised(DECAY),
        *regularised(DROPOUT),
        _claim("C1-batchnorm", "batchnorm gives the true label for nine in ten wrong ones", freed, BATCHNORM, holds=_KNOWN, **alone),
        _claim("batchnorm-alone", "batchnorm corrects more wrong labels than its batches alone", freed, BATCHNORM, MINIBATCH),
        _claim("C2-memorised", "without the lower half by IPR fewer wrong labels are left", fall, LOWEST, holds=_NEGATIVE, **_PRUNED),
        _claim("C2-test", "without the lower half by IPR test accuracy falls by less than 0.01", rise, LOWEST, **_PRUNED, **_TEST),
        _claim("C2-test-rises", "without the lower half by IPR test accuracy rises", rise, LOWEST, **_PRUNED),
        _claim("pruned-random", "test accuracy is higher without the lower half than without any", seen, LOWEST, RANDOM),
        _claim("pruned-memorised", "fewer wrong labels are left than without any half", left, LOWEST, RANDOM, _NEGATIVE),
        _claim("pruned-highest", "fewer wrong labels are left than without the upper half", left, LOWEST, HIGHEST, _NEGATIVE),
        _claim("C3-none", "the IPR of none has two modes: Sarle's coefficient is above 5/9", modes, NONE, holds=Above(5 / 9), null=5 / 9),
        _claim("C3-batchnorm", "neurons of higher IPR have a larger |gamma|", gamma, BATCHNORM, null=0.0, stands_on=("batchnorm-noise",)),
        _claim("C3-batchnorm-ipr", "batchnorm leaves the median IPR to its batches", median, BATCHNORM, MINIBATCH, **_IPR),
        _claim("batchnorm-noise", "more so than on random labels", gamma, BATCHNORM, estimate=beyond, bounds=UNBOUNDED, null=0.0),
        _claim("floor", "none knows more test pairs than chance", known, NONE, FLOOR),
        _claim("chance", "random labels teach nothing", known, FLOOR, holds=Below(0.1), kind="check"),
    ]
