"""Is Temperature Sample Efficient for Softmax Gaussian Mixture of Experts? (Nguyen, Akbarian and Ho, ICML 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE, SHARE
from harness.claims import CONTROL, OURS, exact, follows, slope
from harness.estimates import PowerTrend, Reading, paired
from harness.model_selection import AiccGain
from harness.task import Above, Below, Claim, Experiment, Grid, Method, Metric, Paper, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100, smoke

_RUN = "tasks.theory.moe_temperature_gate.experiment"
SOFTMAX, TANH, KNOWN = "softmax", "tanh", "known-temperature"
GATES = (SOFTMAX, TANH)


@dataclass(frozen=True)
class Sample:
    """Parameters of a fit."""

    examples: int = param(16_000, "pairs (x, y)", unit="examples", low=10, high=10**9)
    jitter: float = param(0.3, "standard deviation of what is added to the true parameters where a fit starts", low=0.0, high=2.0)


@dataclass(frozen=True)
class Checks:
    """Parameters of the check of the identity."""

    draws: int = param(20, "random parameters", low=1, high=100_000)


def _costs(passes: int) -> dict[str, Any]:
    """Of so many passes over the pairs; on a GPU a guess, not measured."""
    return costs(lambda cpu, _, p: (0.1 + passes * (4e-7 if cpu else 2e-9) * p["examples"], 60.0 * p["examples"]))


_ERRORS = (
    Metric("expert_error", "", "lower", "|a| + |c| + |s| to the nearest true expert, weighed by the gate", bounds=POSITIVE),
    Metric("hellinger", "", "lower", "distance between the fitted and the true p(y | x)", bounds=SHARE),
    Metric("gradient", "", "zero", "largest gradient of the mean likelihood where the fit ended", bounds=POSITIVE),
)


exactly = Experiment(
    "exact", params=Sample, run=f"{_RUN}:fit", methods=(*GATES, KNOWN), **_costs(40), summary="two experts fitted by two",
    metrics=(
        Metric("gate_error", "", "lower", "|b1| + |b0| + |tau|, errors of the gate's parameters", bounds=POSITIVE),
        Metric("ratio_error", "", "lower", "the same of b1 / tau and b0 / tau", bounds=POSITIVE),
        *_ERRORS,
    ),
    figures=(
        log_log("gate", "Error of the gate's parameters", "examples", "gate_error", "n"),
        log_log("ratio", "Error of their ratios", "examples", "ratio_error", "n"),
        log_log("density", "Error of the density", "examples", "hellinger", "n"),
        log_log("experts", "Error of the experts", "examples", "expert_error", "n"),
        log_log("start", "Error of the gate and where the fit starts", "jitter", "gate_error", "start"),
    ),
)  # fmt: skip
over = Experiment("over", params=Sample, run=f"{_RUN}:over", methods=GATES, metrics=_ERRORS, summary="two experts fitted by three",
                  figures=(log_log("over", "An expert too many", "examples", "hellinger", "n"),), **_costs(200))  # fmt: skip
identity = Experiment("identity", params=Checks, run=f"{_RUN}:identity", methods=GATES, exact=True, seconds=lambda *_: 0.5, metrics=(
    Metric("residual", "", "zero", "d/d log tau + b1 d/d b1 + b0 d/d b0 of the log density, over its gradient"),
    Metric("scaled", "nats", "zero", "what doubling b1, b0 and tau changes of the log density"),
))  # fmt: skip


def _grids(sizes: Sequence[int], more: Sequence[int]) -> list[Grid]:
    at = {"examples": sizes[-2]}
    return [
        Grid(exactly, view="n", axes={"examples": sizes}),
        Grid(exactly, view="start", points=[at], axes={"jitter": (0.05, 0.1, 0.2, 0.3)}, methods=GATES),
        Grid(over, view="n", axes={"examples": more}),
        Grid(identity),
    ]


_LAPTOP = (1000, 2000, 4000, 8000, 16_000, 32_000, 64_000)
_SCALES = {
    "smoke": smoke("at most 4,000 pairs", _grids((500, 1000, 2000, 4000), (500, 1000))),
    "laptop": Scale(description="1,000 to 64,000 pairs; 2 CPU cores", grids=_grids(_LAPTOP, (500, 1000, 2000, 4000, 8000)), seeds=10,
                    time_limit_s=300.0),
    "gpu": h100(description="to 640,000 pairs; one GPU", grids=_grids([10 * n for n in _LAPTOP], [10 * n for n in _LAPTOP[:4]]), seeds=20,
                time_limit_s=600.0),
    "paper": h100(description="to 1,000,000 pairs, 40 replicates; a cluster", seeds=40, time_limit_s=3600.0,
                  grids=_grids((10_000, 30_000, 100_000, 300_000, 1_000_000), (10_000, 30_000, 100_000, 300_000))),
}  # fmt: skip
_GATE = exactly["gate_error"].at("n")
_HALF = Within(-0.6, -0.4)
_LOG, _ROOT, _CONSTANT = "1/log(examples)", "examples**-0.5", "examples**0"


def _both(id: str, reading: Reading, **about: Any) -> list[Claim]:
    """Of both gates, the parametric rate."""
    known: dict[str, Any] = {"over": "examples", "holds": _HALF, "published": -0.5, "group": id, **about}
    return [claim for gate in GATES for claim in slope(f"{id}-{gate}", gate, reading, **known)]


TASK = Task(
    id="moe-temperature-gate", version=1,
    paper=Paper(arxiv="2401.13875", title="Is Temperature Sample Efficient for Softmax Gaussian Mixture of Experts?", year=2024,
                authors="Huy Nguyen, Pedram Akbarian, Nhat Ho"),
    summary="Whether a trained temperature keeps the parameters of a softmax gate from being learned at a polynomial rate.",
    methods=[
        Method(SOFTMAX, "baseline", "softmax of (b1 x + b0) / tau, tau trained: dense-to-sparse"),
        Method(TANH, "proposed", "softmax of (tanh(b1 x) + b0) / tau; a sigmoid is the same at b1 / 2, 2 tau and another b0"),
        Method(KNOWN, "control", "the softmax gate with its true temperature, not trained"),
    ],
    experiments=(exactly, over, identity), scales=_SCALES,
    claims=[
        *slope("C1-softmax", SOFTMAX, _GATE, over="examples", holds=Above(-0.2), null=0.0, primary=True, stands_on=("C1-known",),
               aim="not worse", margin_source="the catalogue: above -0.2, where the cure is below -0.3",
               source="abstract: no polynomial rate, as slow as 1 / log n"),
        *slope("C1-tanh", TANH, _GATE, over="examples", holds=Below(-0.3), null=0.0, primary=True, published=-0.5,
               source="abstract: a polynomial rate; n^-1/2 from a secondary source"),
        Claim(id="C1-apart", statement="the exponent of the gate's error is lower by more than 0.2 with tanh than with a plain softmax",
              estimate=paired(TANH, SOFTMAX, exactly.within(PowerTrend("examples", _GATE), "n")), holds=Below(-0.2), null=0.0,
              unit="exponent", primary=True, source="abstract"),
        *slope("C1-known", KNOWN, _GATE, over="examples", holds=Below(-0.2), null=0.0, **CONTROL),
        Claim(id="C1-log", statement="1/log n is favoured over n^-1/2 more for the softmax gate than where its temperature is known",
              estimate=paired(SOFTMAX, KNOWN, exactly.within(AiccGain("examples", _GATE, _LOG, _ROOT), "n")),
              holds=Above(0.0), null=0.0, unit="AICc", source="abstract"),
        *follows("C1-flat", SOFTMAX, exactly.within(_GATE, "n"), over="examples", law=_CONSTANT, rivals=[_LOG], **OURS,
                 says="the softmax gate's error is constant in n rather than 1/log n"),
        *follows("C1-power", TANH, exactly.within(_GATE, "n"), over="examples", law=_ROOT, rivals=[_LOG], source="abstract"),
        *_both("C2-density", exactly["hellinger"].at("n"), source="abstract: n^-1/2 up to logs, for both gates", primary=True),
        *_both("C2-experts", exactly["expert_error"].at("n"), source="secondary source: n^-1/2 for experts of their own"),
        *slope("C3-ratio", SOFTMAX, exactly["ratio_error"].at("n"), over="examples", holds=Below(-0.2), null=0.0, **OURS,
               says="b1 / tau and b0 / tau of the softmax gate are learned at a polynomial rate"),
        *slope("C4-start", SOFTMAX, exactly["gate_error"].at("start"), over="jitter", holds=Above(0.5), null=0.0, **OURS,
               says="the softmax gate's error grows with how far from the truth a fit starts, by more than its square root"),
        *slope("C4-start-tanh", TANH, exactly["gate_error"].at("start"), over="jitter", holds=Within(-0.05, 0.05), null=0.0,
               aim="equivalent", margin_source="ours: a sixteenth of the softmax gate's least", **CONTROL),
        *exact("C5-identity", identity["residual"], method=SOFTMAX, tolerance=1e-12, source="abstract: the interaction by a PDE"),
        *exact("C5-scaling", identity["scaled"], method=SOFTMAX, tolerance=1e-11, source="ours: integral form of C5-identity",
               kind="extension"),
        *exact("C5-identity-tanh", identity["residual"], method=TANH, holds=Above(0.01), **CONTROL),
        *exact("C5-scaling-tanh", identity["scaled"], method=TANH, holds=Above(0.01), **CONTROL),
        *_both("C6-density", over["hellinger"].at("n"), source="abstract: whatever number of experts is fitted"),
        *slope("C6-experts", TANH, over["expert_error"].at("n"), over="examples", holds=Within(-0.35, -0.15), published=-0.25,
               source="secondary source: n^-1/4 for experts that several fitted ones share"),
    ],
)  # fmt: skip
