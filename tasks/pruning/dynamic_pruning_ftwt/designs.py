"""The methods as what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.pruning.params import DENSE

SCRATCH = "smaller-from-scratch"
SFP = "sfp"


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

CRITERIA = ("l1", "fpgm", "taylor", "bn-scale", "group-norm", "random")
"""Static methods by the importance that orders their filters, in the shared room's words."""

STATIC = (*CRITERIA[:3], SFP, *CRITERIA[3:], SCRATCH)
METHODS = (DENSE, *GATED, *STATIC)
