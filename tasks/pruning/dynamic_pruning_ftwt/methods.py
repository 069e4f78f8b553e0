"""The methods, and what each is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.task import Method
from tasks.pruning.params import DENSE

METHODS = (
    Method(DENSE, "baseline", "nothing pruned; every other method starts from this network or, from scratch, from its first weights"),
    Method("ftwt-code", "proposed", "FTWT as released: average pooling, softmax over channels, linear map; decoupled, heat-map mass"),
    Method("ftwt-paper", "proposed", "FTWT as the paper's figure caption has it: maximum pooling"),
    Method("ftwt-no-softmax", "proposed", "maximum pooling and no softmax"),
    Method("ftwt-joint", "proposed", "ftwt-code, its mask loss trains the backbone too"),
    Method("ftwt-uniform", "control", "ftwt-code with the same number of filters in every layer and input instead of the heat-map mass"),
    Method("ftwt-constant", "control", "ftwt-code with a bias alone for a predictor: the same mask for every input"),
    Method("ftwt-oracle", "control", "the ground truth itself for a mask, which needs every filter computed: the bound on any predictor"),
    Method("l1", "baseline", "filters of least L1 norm removed (Li et al. 2017), the same share of every layer"),
    Method("fpgm", "baseline", "filters nearest to the geometric median removed (He et al. 2019)"),
    Method("taylor", "baseline", "filters of least first-order effect on the loss removed (Molchanov et al. 2019)"),
    Method("sfp", "baseline", "soft filter pruning (He et al. 2018): zeroed before and after every epoch, free to grow for half of them"),
    Method("bn-scale", "baseline", "filters of least BatchNorm scale removed (Liu et al. 2017)"),
    Method("group-norm", "baseline", "group norm over everything a channel runs through (DepGraph, Fang et al. 2023)"),
    Method("random", "floor", "filters removed at random"),
    Method("smaller-from-scratch", "baseline", "a narrower network of the same FLOPs, trained for as many epochs in all"),
)


@dataclass(frozen=True, kw_only=True)
class Gated:
    """A dynamic method: what predicts the masks, and the ground truth it learns."""

    predictor: Literal["input", "constant", "oracle"] = "input"
    """input: from the layer's input; constant: a bias alone; oracle: the ground truth itself, which needs every filter computed."""
    pool: Literal["avg", "max"] = "avg"
    softmax: bool = True
    joint: bool = False
    rule: Literal["mass", "uniform"] = "mass"


GATED: Mapping[str, Gated] = {
    "ftwt-code": Gated(),
    "ftwt-paper": Gated(pool="max"),
    "ftwt-no-softmax": Gated(pool="max", softmax=False),
    "ftwt-joint": Gated(joint=True),
    "ftwt-uniform": Gated(rule="uniform"),
    "ftwt-constant": Gated(predictor="constant"),
    "ftwt-oracle": Gated(predictor="oracle"),
}

SFP, SCRATCH = "sfp", "smaller-from-scratch"
CRITERIA = ("l1", "fpgm", "taylor", "bn-scale", "group-norm", "random")
"""Static methods by the importance that orders their filters: words of `tasks.pruning.criteria`."""
STATIC = (*CRITERIA[:3], SFP, *CRITERIA[3:], SCRATCH)
