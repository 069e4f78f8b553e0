"""What the paper claims, each as a number and the region in which the claim holds."""

from __future__ import annotations

import math
from typing import Any

from harness.claims import better, exact, monotone, slope
from harness.estimates import Difference, Farthest, In, Of, Reading, Slope
from harness.task import Above, Below, Claim, Experiment, Region, Within

LORTH, KERNEL, NONE, ZEROS, TAP = "lorth", "kernel-orth", "none", "zero-padding", "lorth-tap"

_WEIGHTS = ("laptop", "gpu", "paper")
_HARD = "The authors' library deel-lip warns that this case is hard to optimise."
_THEOREM = "abstract, and the theorems behind it"
_TRADE = "abstract: the parameter multiplying the regularization term can be used to tune a tradeoff between accuracy and orthogonality"


def _exact(id: str, reading: Reading, method: str, holds: Region, says: str, source: str = "control", **about: Any) -> list[Claim]:
    whose = {"kind": "control" if source == "control" else "paper", **about}
    return exact(id, reading, method=method, holds=holds, says=says, source=source, **whose)


def _least(reading: Reading, method: str) -> Of:
    """The smallest of the positive numbers of a method's trials in a seed."""
    return Of(method, In(reading.experiment, Farthest(reading.metric, 0.0, math.inf), reading.view))


def _largest(reading: Reading, method: str) -> Of:
    """The largest."""
    return Of(method, In(reading.experiment, Farthest(reading.metric, -math.inf, 0.0), reading.view))


def _apart(id: str, least: Of, largest: Of, by: float, says: str, unit: str, **about: Any) -> Claim:
    """Every trial behind `least` lies above every one behind `largest`, by more than `by`: what one setting has and another has not."""
    estimate, holds = Difference(least, largest), Above(by)
    return Claim(id=id, statement=says, estimate=estimate, holds=holds, unit=unit, null=0.0, exact=True, **about)


def _with_weight(id: str, reading: Reading, *, rises: bool, **about: Any) -> list[Claim]:
    """How a number of the regularised networks goes with the weight, over all weights of the scale."""
    return monotone(id, LORTH, reading.at(view="weights"), over="weight", rises=rises, source=_TRADE, scales=_WEIGHTS, **about)


def claims(identity: Experiment, existence: Experiment, stability: Experiment, robustness: Experiment) -> list[Claim]:
    """All claims."""
    rule, squares = existence["agrees"].at(view="rule"), existence["agrees"].at(view="square")
    wide, narrow = identity["identity_error"].at(view="wide"), identity["identity_error"].at(view="narrow")
    control: dict[str, Any] = {"source": "control", "kind": "control"}
    smallest, bound, robust = existence["sigma_min"].at(view="overlapping"), stability["bound_ratio"], robustness["pgd_test_accuracy"]
    return [
        *_exact(
            "C1",
            wide,
            LORTH,
            Within(-1e-9, 1e-9),
            "err_F^2 = N^2 L_orth, circular padding and S N >= 2 k - 1, any shape",
            _THEOREM,
            primary=True,
        ),
        *(
            _apart(f"C1-{id}", broken, _largest(wide, LORTH), 0.01, f"{where} the identity does not hold", "relative", **control)
            for id, where, broken in (
                ("zero-padding", "with zero padding", _least(wide, ZEROS)),
                ("narrow", "where S N < 2 k - 1", _least(narrow, LORTH)),
            )
        ),
        *_exact(
            "C2",
            rule,
            LORTH,
            Above(0.999),
            "minimising L_orth reaches an orthogonal convolution where the rule has one",
            _THEOREM,
            primary=True,
        ),
        *_exact("C2-square", squares, LORTH, Above(0.999), "so it does where M = C S^2", "abstract: an efficient strategy", note=_HARD),
        *_exact("C2-square-tap", squares, TAP, Above(0.999), "where M = C S^2 it does from near an orthogonal tap"),
        _apart(
            "C2-zero-padding",
            _least(smallest, LORTH),
            _largest(smallest, ZEROS),
            0.02,
            "what is orthogonal with circular padding is not with zeros: the smallest singular value falls",
            "",
            source=_THEOREM,
        ),
        *better("C2-kernel-orth", LORTH, KERNEL, existence["spread"].at(view="overlapping"), **control),
        *_exact(
            "C3-bound",
            bound,
            LORTH,
            Below(1.0),
            "err_s^2 <= alpha L_orth at every size, of optimised kernels",
            _THEOREM,
            group="C3-bound",
            primary=True,
        ),
        *_exact(
            "C3-bound-random",
            bound,
            NONE,
            Below(1.0),
            "err_s^2 <= alpha L_orth at every size, of random kernels",
            _THEOREM,
            group="C3-bound",
        ),
        *_exact("C3-zero-padding", bound, ZEROS, Above(1.0), "with zero padding the bound is broken"),
        Claim(
            id="C3-flat",
            statement="err_s of optimised kernels does not grow with the image, where err_F of random ones grows as N",
            source=_THEOREM,
            estimate=Difference(
                Of(LORTH, stability.within(Slope("spectral_error", "size"))), Of(NONE, stability.within(Slope("frobenius_error", "size")))
            ),
            holds=Within(-1.1, -0.9),
            null=0.0,
            unit="exponent",
            exact=True,
        ),
        *slope("C3-frobenius", NONE, stability["frobenius_error"], over="size", holds=Within(0.999, 1.001), source=_THEOREM, exact=True),
        *_with_weight("C4-orthogonal", robustness["deviation"], rises=False, primary=True),
        *_with_weight("C4-accuracy", robustness["test_accuracy"], rises=False, primary=True),
        *_with_weight("C4-robust", robust, rises=True, stands_on=("C4-attack",)),
        Claim(
            id="C4-attack",
            statement="the attack costs the network without a regulariser accuracy",
            source="control",
            estimate=Difference(*(robustness[name].at(view="at-one").of(NONE) for name in ("test_accuracy", "pgd_test_accuracy"))),
            holds=Above(0.0),
            null=0.0,
            unit="percentage points",
            kind="control",
        ),
        *better(
            "C4-none",
            LORTH,
            NONE,
            robust.at(view="at-one"),
            source="abstract: for the benefit of both accuracy and robustness",
            primary=True,
            stands_on=("C4-attack",),
        ),
        *better("C4-kernel-orth", LORTH, KERNEL, robust.at(view="at-one"), **control, stands_on=("C4-attack",)),
    ]
