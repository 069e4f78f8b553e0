"""The laws that `papertrial fit` knows by name."""

from __future__ import annotations

from collections.abc import Mapping

from harness.laws.law import HUBER_FEW_RUNS, LEAST_SQUARES, Column, Law, Power, Shape, Term
from harness.laws.shapes import broken, fading, falling, repeated

_X, _N, _D = Column("x", "what is scaled up, such as FLOPs"), Column("n", "parameters"), Column("d", "training tokens")
_Y, _LOSS = Column("y", "the response, positive"), Column("y", "loss, positive")
_A, _B = Term("A", (Power("n", "alpha", -1),)), Term("B", (Power("d", "beta", -1),))
_MEANINGS = {
    "A": "level of the model-size term at n = 1",
    "alpha": "exponent of the model size",
    "B": "level of the data term at d = 1",
    "beta": "exponent of the data",
    "E": "loss that no scale removes",
    "rho": "effective over nominal parameters, relative to the reference group",
}
_U = Column("u", "tokens that differ", varies=False)
_REPEATED = Shape(repeated, ("d", "u"), {"R": (1.0, 5.0, 25.0, 125.0)}, "repeated(d, u; R)")
_EXCESS = Shape(repeated, ("n", "un"), {"R_N": (1.0, 5.0, 25.0)}, "repeated(n, un; R_N)")
_REPEATED_DATA = Term("B", (Power("d", "beta", -1, shape=_REPEATED),))
_DECAYS = {
    "R": "repetitions after which another is worth 1/e of the first",
    "R_N": "multiples of un after which another is worth 1/e of the first",
}
_BROKEN = Shape(broken, ("x",), {"x1": (0.25, 0.5, 0.75), "f1": (0.2, 1.0)}, "broken(x; x1, f1)", place="x1", centred=False)
_FALLING = Shape(falling, ("loss",), {"k": (1.0, 3.0, 10.0), "L0": (0.25, 0.5, 0.75)}, "sigmoid(loss; k, L0)", place="L0", centred=False)
_FADING = Shape(fading, ("loss",), {"gamma": (0.3, 1.0, 3.0)}, "exp(-gamma loss)", centred=False)
_TASK_LOSS = Column("loss", "loss of the language model")

LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(
            name="power-law",
            summary="a straight line in log-log",
            columns=(_X,),
            y=_Y,
            terms=(Term("c", (Power("x", "a", 1),)),),
            meanings={"c": "response at x = 1", "a": "exponent"},
            delta=LEAST_SQUARES,
        ),
        Law(
            name="power-law-floor",
            summary="a falling power law above an irreducible floor",
            columns=(_X,),
            y=_LOSS,
            terms=(Term("A", (Power("x", "alpha", -1),)), Term("E")),
            meanings={"A": "level of the falling term at x = 1", "alpha": "exponent", "E": _MEANINGS["E"]},
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="two-powers",
            summary="errors of two sources that each fall as a power of what is spent on it, with no floor",
            columns=(_N, _D),
            y=_LOSS,
            terms=(_A, _B),
            meanings={name: _MEANINGS[name] for name in ("A", "alpha", "B", "beta")},
        ),
        Law(
            name="chinchilla",
            summary="loss from model size and data (Hoffmann et al., 2203.15556)",
            columns=(_N, _D),
            y=_LOSS,
            terms=(_A, _B, Term("E")),
            meanings=_MEANINGS,
            allocation=("A", "B"),
            published_starts={
                "A": (0, 5, 10, 15, 20, 25),
                "alpha": (0, 0.5, 1, 1.5, 2),
                "B": (0, 5, 10, 15, 20, 25),
                "beta": (0, 0.5, 1, 1.5, 2),
                "E": (-1, -0.5, 0, 0.5, 1),
            },
        ),
        Law(
            name="precision",
            summary="chinchilla with a parameter efficiency a group, such as a bit width (2411.04330, 2509.23500)",
            columns=(_N, _D),
            y=_LOSS,
            terms=(Term("A", _A.powers, efficiency="rho"), _B, Term("E")),
            meanings=_MEANINGS,
            allocation=("A", "B"),
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="precision-collapsed",
            summary="precision where data grows in proportion to the model, so that one term holds both",
            columns=(_N,),
            y=_LOSS,
            terms=(Term("A", _A.powers, efficiency="rho"), Term("E")),
            meanings=_MEANINGS,
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="log-linear",
            summary="a plane in logs: a power of each of two columns",
            columns=(Column("x1", "first factor"), Column("x2", "second factor")),
            y=_Y,
            terms=(Term("c", (Power("x1", "a", 1), Power("x2", "b", 1))),),
            meanings={"c": "response at x1 = x2 = 1", "a": "exponent of x1", "b": "exponent of x2"},
            delta=LEAST_SQUARES,
        ),
        Law(
            name="over-training",
            summary="loss from compute and tokens per parameter (Gadre et al., 2403.08540): chinchilla with alpha = beta = 2 eta",
            columns=(Column("flops", "training compute, 6 n d"), Column("m", "tokens per parameter")),
            y=_LOSS,
            terms=(
                Term("a", (Power("flops", "eta", -1), Power("m", "eta", 1))),
                Term("b", (Power("flops", "eta", -1), Power("m", "eta", -1))),
                Term("E"),
            ),
            meanings={
                "a": "level of the model-size term at flops = m = 1",
                "b": "level of the data term at flops = m = 1",
                "eta": "exponent of compute",
                "E": _MEANINGS["E"],
            },
            ratio=("a", "b"),
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="repeated-data",
            summary="chinchilla where tokens repeat, and repetitions are worth less and less (Muennighoff et al., 2305.16264)",
            columns=(_N, _D, _U),
            y=_LOSS,
            terms=(_A, _REPEATED_DATA, Term("E")),
            meanings=_MEANINGS | _DECAYS,
            exponent_starts=(0.1, 0.3, 0.9),
        ),
        Law(
            name="data-constrained",
            summary="repeated-data where parameters beyond what the tokens that differ can feed are worth less too (2305.16264)",
            columns=(_N, _D, _U, Column("un", "parameters that u tokens can feed: n* where d* = u", varies=False)),
            y=_LOSS,
            terms=(Term("A", (Power("n", "alpha", -1, shape=_EXCESS),)), _REPEATED_DATA, Term("E")),
            meanings=_MEANINGS | _DECAYS,
            exponent_starts=(0.1, 0.3, 0.9),
        ),
        Law(
            name="broken-power",
            summary="a power law whose exponent changes once, above a floor (Caballero et al., 2210.14891)",
            columns=(_X,),
            y=_LOSS,
            terms=(Term("A", (Power("x", "c0", -1), Power("x", "c1", -1, shape=_BROKEN))), Term("E")),
            meanings={
                "A": "level at x = 1 before the break",
                "c0": "exponent before the break",
                "c1": "what the break adds to it",
                "x1": "where the break is",
                "f1": "width of the break in e-folds of x",
                "E": _MEANINGS["E"],
            },
            delta=HUBER_FEW_RUNS,
            exponent_starts=(0.05, 0.2, 0.6),
        ),
        Law(
            name="annealing",
            summary="loss along a learning-rate schedule (Tissue et al., 2408.11029): its area, and how much of it was annealed",
            columns=(
                Column("s1", "sum of the learning rates of all steps"),
                Column("s2", "annealing area: sum of the falls of the learning rate, with momentum", zero=True),
            ),
            y=_LOSS,
            terms=(Term("A", (Power("s1", "alpha", -1),)), Term("C", (Power("s2", "", 1),), sign=-1), Term("E")),
            meanings={
                "A": "level of the falling term at s1 = 1",
                "alpha": "exponent",
                "C": "fall a unit of annealing",
                "E": _MEANINGS["E"],
            },
        ),
        Law(
            name="sparse-experts",
            summary="loss from all parameters, tokens and the active share of a mixture of experts (Abnar et al., 2501.12370)",
            columns=(_N, _D, Column("active", "active over all parameters, 1 - sparsity")),
            y=_LOSS,
            terms=(
                _A,
                _B,
                Term("C", (Power("active", "lambda", -1),)),
                Term("F", (Power("n", "gamma", -1), Power("active", "delta", -1))),
                Term("E"),
            ),
            meanings=_MEANINGS
            | {
                "C": "level of the sparsity term",
                "lambda": "exponent of the active share alone",
                "F": "level of the interaction at n = active = 1",
                "gamma": "exponent of the model size in the interaction",
                "delta": "exponent of the active share in the interaction",
            },
            exponent_starts=(-0.2, 0.2, 0.6),
        ),
        Law(
            name="routed-experts",
            summary="loss from model size and number of experts, whose benefit shrinks with size (Clark et al., 2202.01169)",
            columns=(_N, Column("experts", "experts, or their saturated number")),
            y=_LOSS,
            terms=(Term("d", (Power("n", "a", 1), Power("experts", "b", 1), Power("n", "c", 1, times="experts"))),),
            meanings={
                "d": "loss at n = experts = 1",
                "a": "exponent of the model size at one expert",
                "b": "exponent of the experts at n = 1",
                "c": "change of either exponent by e-fold of the other column",
            },
            delta=LEAST_SQUARES,
        ),
        Law(
            name="sigmoid",
            summary="downstream accuracy from loss: from a + b at small losses down to a, that of chance (Bhagia et al., 2412.04403)",
            columns=(_TASK_LOSS,),
            y=Column("y", "accuracy, positive"),
            terms=(Term("a"), Term("b", (Power("loss", "", 1, shape=_FALLING),))),
            meanings={
                "a": "accuracy at large losses",
                "b": "what small losses add to it",
                "k": "steepness at the middle",
                "L0": "loss at which half of b is reached",
            },
            delta=LEAST_SQUARES,
        ),
        Law(
            name="error-of-loss",
            summary="downstream error from loss: it falls exponentially below that of chance (Gadre et al., 2403.08540)",
            columns=(_TASK_LOSS,),
            y=Column("y", "error, positive"),
            terms=(Term("epsilon"), Term("k", (Power("loss", "", 1, shape=_FADING),), sign=-1)),
            meanings={"epsilon": "error at large losses", "k": "what a loss of 0 takes off it", "gamma": "rate per unit of loss"},
            delta=LEAST_SQUARES,
        ),
    )
}
