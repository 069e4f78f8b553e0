"""Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking: Li2 (Tian, arXiv 2509.21519)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE, SHARE, UNBOUNDED
from harness.claims import better, exact, follows
from harness.estimates import Difference, Estimate, Of, PowerTrend
from harness.sweeps import Sweep
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Phase, Region, Resources, Scale, Task, param
from harness.thresholds import Threshold
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib

_MODULE = "tasks.grokking.li2_feature_emergence.experiment"
NORMAL, ZERO, NO_DECAY, MUON, SHUFFLED = "normal-init", "zero-init", "no-decay", "muon", "shuffled-labels"
ASCENT, RANDOM, RIDGE = "ascent", "random-weights", "ridge"


@dataclass(frozen=True)
class Train:
    """Parameters of a training: full-batch Adam whose weight decay is an L2 penalty, on the squared error of centred outputs."""

    modulus: int = param(23, "M of the addition modulo M", low=3, high=1000)
    fraction: float = param(0.46, "share of the M^2 pairs that is trained on; a tenth is for validation", low=0.01, high=0.89)
    width: int = param(512, "hidden units, K", unit="units", low=1)
    lr: float = param(0.01, "learning rate", low=1e-6, high=10.0)
    decay: float = param(2e-4, "coefficient of the L2 penalty, eta; no-decay trains without", low=0.0, high=1.0)
    steps: int = param(1500, "full-batch steps", unit="steps", low=1)


@dataclass(frozen=True)
class Theory:
    """Parameters of the statements on one hidden unit, for odd M, and on the output layer."""

    modulus: int = param(23, "M of the addition modulo M", low=3, high=127)
    starts: int = param(32, "random starts of a hidden unit on the unit sphere", low=1)
    ascent: int = param(400, "steps of the ascent", unit="steps", low=1)
    decay: float = param(2e-4, "ridge, eta, of a regression of half of the pairs on 128 hidden units", low=1e-12, high=1.0)


def _metric(name: str, about: str, unit: str = "share", better: Any = "higher", bounds: Any = SHARE, **more: Any) -> Metric:
    return Metric(name, unit, better, about, bounds=bounds, **more)


METRICS = (
    *(_metric(f"{split}_accuracy", "after the last step", counted=True) for split in ("test", "val", "train")),
    _metric("steps_to_90", "until 90 % of the test pairs are right", "steps", "lower", POSITIVE, split="test", censored=True),
    _metric("steps_to_fit", "until 90 % of the training pairs are right", "steps", "lower", POSITIVE, censored=True),
    _metric("val_area", "mean validation accuracy over all steps: large where generalisation comes early"),
    _metric("frequency_share", "of the hidden layer's power that lies in the strongest frequency of its unit"),
    _metric("frequencies", "of all frequencies, by the participation ratio of that power over them: 1 where all hold as much"),
)
_OF_UNITS = {
    "frequency_gap": "power outside of the strongest frequency, as all below of the worst start",
    "published_gap": "relative distance of the energy from M / 16",
    "derived_gap": "relative distance of the energy from M / 4",
    "mirror_gap": "relative distance of v from u or -u read backwards, the nearer one",
    "slope": "gradient of the energy along the sphere, relative",
    "curvature": "largest second derivative along the sphere, over the energy",
}
_OF_RIDGE = {"sent_gap": "between equation 4 and what V_ridge sends back, relative", "ridge_gap": "gradient at V_ridge, relative"}
_GAPS = [(name, about, methods) for gaps, methods in ((_OF_UNITS, (ASCENT, RANDOM)), (_OF_RIDGE, (RIDGE,))) for name, about in gaps.items()]


def _alike(method: str, params: Mapping[str, Any]) -> Hashable:
    start = method if method in (ZERO, MUON) else NORMAL
    return start, params["modulus"], params["width"], round(params["fraction"] * params["modulus"] ** 2), params["steps"]


def _seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Share of a program, by the activations and products of a step; a hundred times there is a forward pass of all pairs."""
    work = (params["fraction"] * params["steps"] + 33.0) * params["modulus"] ** 2 * params["width"] * (params["modulus"] + 60.0)
    return float(0.01 + work * (3.0 if method == MUON else 1.0) / (3e12 if scale in ("gpu", "paper") else 6e9))


def _memory(_scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Weights with gradient and moments; hidden layers and outputs of all pairs with what backward keeps."""
    return gib(48.0 * params["modulus"] * params["width"] + 16.0 * params["modulus"] ** 2 * (params["width"] + params["modulus"]))


def _train(name: str, *methods: str, **how: Any) -> Experiment:
    packed: dict[str, Any] = {"run_batch": f"{_MODULE}:train", "alike": _alike, "seconds": _seconds, "memory": _memory}
    return Experiment(name, params=Train, metrics=METRICS, methods=methods, **packed, **how)


_AXES: Mapping[str, Any] = {"x": "fraction", "y": "modulus", "z": "test_accuracy", "along": "rises", "view": "boundary"}
_BOUNDARY = Phase(id="boundary", title="Where networks generalise: training fraction and modulus", methods=(NORMAL,), **_AXES)
_ARMS: Mapping[str, Any] = {"title": "With and without weight decay", "x": "step", "view": "grokking", "log_x": True}
_CURVES = [Figure(id=f"grokking-{split}", y=f"{split}_accuracy", **_ARMS) for split in ("test", "train")]
phase = _train("phase", NORMAL, NO_DECAY, SHUFFLED, figures=(_BOUNDARY, *_CURVES), summary="what generalises, at one rate")
race = _train("race", NORMAL, ZERO, MUON, tuned=Sweep("lr", by="val_area"), summary="the way to 90 %, each method at its best rate")
theory = Experiment(
    "theory",
    params=Theory,
    metrics=[Metric(name, "", "zero", about, methods=methods, split="none") for name, about, methods in _GAPS],
    methods=(ASCENT, RANDOM, RIDGE),
    run=f"{_MODULE}:theory",
    seconds=lambda _scale, _method, params: 0.1 + 4e-7 * params["starts"] * params["modulus"] ** 3,
    memory=lambda _scale, _method, params: gib(64.0 * params["starts"] * params["modulus"] ** 3),
    exact=True,
)


def _boundary(fractions: Mapping[int, Sequence[float]], **base: Any) -> list[Grid]:
    grids = [({**base, "modulus": modulus}, {"fraction": values}) for modulus, values in fractions.items()]
    return [Grid(phase, view="boundary", methods=(NORMAL,), points=[point], axes=axes) for point, axes in grids]


def _grokking(**base: Any) -> list[Grid]:
    arms = [((NORMAL, SHUFFLED), base), ((NO_DECAY,), {**base, "decay": 0.0})]
    return [Grid(phase, view="grokking", methods=methods, points=[point]) for methods, point in arms]


def _race(rates: Sequence[float], fractions: Mapping[str, float], rival: str = ZERO, **base: Any) -> list[Grid]:
    points = [(view, {**base, "fraction": fraction}) for view, fraction in fractions.items()]
    return [Grid(race, view=view, methods=(NORMAL, rival), points=[point], axes={"lr": rates}) for view, point in points]


def _scale(name: str, seeds: int, limit: float, what: str, gpus: float = 0.0) -> Scale:
    units = Grid(theory, methods=(ASCENT, RANDOM), axes={"modulus": (7, 11) if name == "smoke" else (7, 11, 23)})
    on: dict[str, Any] = {"resources": Resources(gpus=gpus), "hardware": H100 if gpus else None, "time_limit_s": limit}
    return Scale(description=what, grids=[*_GRIDS[name], units, Grid(theory, methods=(RIDGE,))], seeds=seeds, **on)


_FROM = {11: (0.49, 0.04), 17: (0.36, 0.04), 23: (0.3, 0.03), 31: (0.24, 0.02), 43: (0.2, 0.02), 59: (0.16, 0.02)}
_LAPTOP = {modulus: [round(low + step * place, 2) for place in range(5)] for modulus, (low, step) in _FROM.items()}
_PRIMES, _FINE = (7, 11, 17, 23, 31, 41, 53, 71, 89, 107, 127), [round(0.05 + 0.025 * place, 3) for place in range(32)]
_FEW_UNITS: Mapping[str, Any] = {"rates": (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0), "fractions": {"few-units": 0.4}, "rival": MUON}
_FIGURE_3: Mapping[str, Any] = {"modulus": 71, "fraction": 0.4, "width": 2048, "lr": 1e-3, "steps": 400}
_SMALL: Mapping[str, Any] = {"width": 32, "steps": 40}
_GRIDS = {
    "smoke": [
        *_boundary({7: (0.4, 0.8), 11: (0.4, 0.8)}, **_SMALL),
        *_grokking(modulus=7, fraction=0.7, **_SMALL),
        *_race((0.01, 0.1), {"scarce": 0.7}, modulus=7, **_SMALL),
    ],
    "laptop": [
        *_boundary(_LAPTOP),
        *_grokking(),
        *_race((0.003, 0.01, 0.03, 0.1), {"scarce": 0.42}, width=256, steps=1000),
        *_race((0.01, 0.03, 0.1, 0.3), {"plenty": 0.7}, width=256, steps=300),
    ],
    "gpu": [
        *_boundary({m: _FINE[:16] if m > 40 else _FINE for m in _PRIMES}, width=1024, steps=2000),
        *_grokking(**_FIGURE_3),
        *_race((1e-3, 3e-3, 0.01, 0.03), {"scarce": 0.25, "plenty": 0.5}, modulus=71),
        *_race(**_FEW_UNITS, modulus=71, width=128),
    ],
    "paper": [
        *_boundary(dict.fromkeys(_PRIMES, _FINE), width=2048, lr=5e-4, steps=10000),
        *_grokking(**_FIGURE_3),
        *_race((1e-3, 2e-3, 5e-3, 0.01), {"scarce": 0.2, "plenty": 0.5}, modulus=127, width=1024, decay=5e-5),
        *_race(**_FEW_UNITS, modulus=71, width=128, steps=10000),
    ],
}
SCALES = {
    "smoke": _scale("smoke", 2, 60.0, "moduli of 7 and 11, 40 steps: does it run"),
    "laptop": _scale("laptop", 5, 300.0, "moduli of 11 to 59, 512 hidden units, 1,500 steps; 2 CPU cores"),
    "gpu": _scale("gpu", 10, 600.0, "moduli of 7 to 127 by up to 32 fractions, 1,024 hidden units, 2,000 steps; one GPU", 1.0),
    "paper": _scale("paper", 20, 6 * 3600.0, "the published settings: 2,048 hidden units, 10,000 steps; a cluster", 1.0),
}
_HERE: Mapping[str, Any] = {"scales": ("laptop", "gpu", "paper"), "stands_on": ("floor",)}
_AT = {metric.name: phase[metric.name].at(view="grokking") for metric in METRICS}
_TEST = _AT["test_accuracy"]
_DELAY = Difference(*(Of(NORMAL, _AT[name].log10()) for name in ("steps_to_90", "steps_to_fit")))
_PSTAR = phase.within(Threshold("fraction", phase["test_accuracy"]), "boundary")
_RIVALS = ("1/modulus", "1/sqrt(modulus)")
_FALL = Of(NORMAL, phase.within(PowerTrend("modulus", _PSTAR.estimate), "boundary"))
_FIXED = "After a fixed number of steps, at one width and rate: longer or wider training moves the boundary."
_C1: Mapping[str, Any] = {"source": "theorem 4, figure 5", "group": "C1", "note": _FIXED, **_HERE}
_C2: Mapping[str, Any] = {"source": "section 3.2, figures 14 to 16", "group": "C2", **_HERE}
_C4: Mapping[str, Any] = {"source": "theorem 2 and corollary 2", "group": "C4"}
_C5: Mapping[str, Any] = {"source": "section 5.3, figure 8", "group": "C5", "scales": ("gpu", "paper"), "stands_on": ("floor",)}
_FREE: Mapping[str, Any] = {"null": 0.0, "bounds": UNBOUNDED}
_CONTROL: Mapping[str, Any] = {"source": "control", "kind": "control", "group": ""}
_CHECK: Mapping[str, Any] = {"source": "control", "kind": "check"}
_FACTOR = "The proof expands (u + v)^2 with u v where it is 2 u v (before equation 21), a factor of 4: see C4-derived."


_TITLE = "Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking"
_CODE = "https://github.com/facebookresearch/luckmatters"
_PAPER = Paper(arxiv="2509.21519", title=_TITLE, year=2025, authors="Yuandong Tian", code=_CODE)


def _claim(id: str, says: str, estimate: Estimate, holds: Region, **about: Any) -> Claim:
    given: dict[str, Any] = {"source": "figure 3", "bounds": SHARE, "unit": "share", "group": "C3", "scales": _HERE["scales"], **about}
    return Claim(id=id, statement=says, estimate=estimate, holds=holds, **given)


def _zero_init(view: str) -> list[Claim]:
    """At one rate, as the paper compares them, and each start at its best."""
    steps, control = race["steps_to_90"].at(view=view), {**_CONTROL, "source": "control: a start changes the best rate"}
    same = better(f"C2-{view}", ZERO, NORMAL, steps.untuned().at(lr=0.01), **_C2)
    return [*same, *better(f"C2-tuned-{view}", ZERO, NORMAL, steps, **{**_HERE, **control})]


def _exact(id: str, metric: str, says: str, method: str = ASCENT, holds: Region | None = None, **about: Any) -> list[Claim]:
    return exact(id, theory[metric], method=method, holds=holds, tolerance=None if holds else 1e-6, says=says, **about)


TASK = Task(
    id="li2-feature-emergence",
    version=1,
    paper=_PAPER,
    summary="Whether the data that addition modulo M needs grow as M log M, and what hidden units learn on the way.",
    methods=[
        Method(NORMAL, "baseline", "Adam with an L2 penalty; both layers start with the variance of torch.nn.Linear's"),
        Method(ZERO, "proposed", "the same from an output layer of zeros"),
        Method(MUON, "proposed", "Muon on the hidden layer, Adam on the output layer, at one rate, as in the authors' code"),
        Method(NO_DECAY, "control", "normal-init without weight decay"),
        Method(SHUFFLED, "floor", "normal-init, trained on random labels: chance on all other pairs"),
        Method(ASCENT, "proposed", "one hidden unit at a maximum of its energy on the unit sphere, from random starts; the worst is shown"),
        Method(RANDOM, "floor", "the same starts, not moved: what the measures say of no maximum"),
        Method(RIDGE, "proposed", "the output layer by ridge regression on a random hidden layer"),
    ],
    experiments=(phase, race, theory),
    scales=SCALES,
    claims=[
        *follows("C1", NORMAL, _PSTAR, over="modulus", law="log(modulus)/modulus", rivals=_RIVALS, primary=True, **_C1),
        _claim("C1-falls", "that fraction falls with M", _FALL, Below(0.0), unit="exponent", **_FREE, **_C1),
        *(claim for view in ("scarce", "plenty") for claim in _zero_init(view)),
        _claim("C3-decay", "with weight decay networks generalise", _TEST.of(NORMAL), Above(0.9)),
        _claim(
            "C3-none", "without weight decay networks do not generalise", _TEST.of(NO_DECAY), Below(0.5), null=0.5, stands_on=("C3-fits",)
        ),
        _claim("C3-fits", "without weight decay they fit", _AT["train_accuracy"].of(NO_DECAY), Above(0.9), **_CONTROL, null=0.05),
        _claim("C3-delay", "with it, generalising takes twice the steps of fitting", _DELAY, Above(0.3), unit="log10 of a ratio", **_FREE),
        *_exact("C4-frequency", "frequency_gap", "all maxima of the energy are single frequencies", **_C4),
        *_exact("C4-energy", "published_gap", "the maxima of the energy are M / 16", note=_FACTOR, **_C4),
        *_exact("C4-mirror", "mirror_gap", "at all maxima v is u or -u read backwards", **_C4),
        *better("C4-trained", NORMAL, SHUFFLED, _AT["frequency_share"], source="theorem 2, figure 7", group="C4", **_HERE),
        *_exact("C4-derived", "derived_gap", "the maxima of the energy are M / 4", **_CHECK),
        *_exact("C4-stationary", "slope", "the ascent of the energy has ended", **_CHECK),
        *_exact("C4-maximal", "curvature", "it ended at maxima, none a saddle", holds=Below(1e-6), **_CHECK),
        *_exact("C4-random", "frequency_gap", "random starts are no single frequencies", RANDOM, holds=Above(0.1), **_CHECK),
        *better("C5-steps", MUON, NORMAL, race["steps_to_90"].at(view="few-units"), **_C5),
        *better("C5-diversity", MUON, NORMAL, race["frequencies"].at(view="few-units"), **_C5),
        *_exact("C6-sent", "sent_gap", "V_ridge sends back what equation 4 says", RIDGE, source="proposition 1"),
        *_exact("C6-ridge", "ridge_gap", "V_ridge minimises the penalised loss", RIDGE, **_CHECK),
        *better("floor", NORMAL, SHUFFLED, _TEST, scales=_HERE["scales"], **_CONTROL),
    ],
)
