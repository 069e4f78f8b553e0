"""Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking: Li2 (Tian, arXiv 2509.21519)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE, SHARE, UNBOUNDED
from harness.claims import better, exact
from harness.estimates import Difference, Estimate, Of, PowerTrend
from harness.model_selection import AiccGain
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
    width: int = param(256, "hidden units, K", unit="units", low=1)
    lr: float = param(0.01, "learning rate", low=1e-6, high=10.0)
    decay: float = param(2e-4, "coefficient of the L2 penalty, eta; no-decay trains without", low=0.0, high=1.0)
    steps: int = param(2000, "full-batch steps", unit="steps", low=1)


@dataclass(frozen=True)
class Theory:
    """Parameters of the statements on one hidden unit, for odd M, and on the output layer."""

    modulus: int = param(23, "M of the addition modulo M", low=3, high=127)
    starts: int = param(32, "random starts of a hidden unit on the unit sphere", low=1)
    ascent: int = param(400, "steps of the ascent", unit="steps", low=1)
    fraction: float = param(0.46, "share of the pairs that the ridge regression is of", low=0.01, high=1.0)
    width: int = param(128, "hidden units of the ridge regression", unit="units", low=1)
    decay: float = param(2e-4, "ridge, eta", low=1e-12, high=1e3)


def _metric(name: str, about: str = "", unit: str = "share", better: Any = "higher", bounds: Any = SHARE, **more: Any) -> Metric:
    return Metric(name, unit, better, about, bounds=bounds, **more)


def _gap(name: str, about: str, *methods: str) -> Metric:
    return Metric(name, "", "zero", about, methods=methods, split="none")


METRICS = (
    _metric("test_accuracy", "after the last step, as the other accuracies", counted=True),
    _metric("steps_to_90", "until 90 % of the test pairs are right", "steps", "lower", POSITIVE, split="test", censored=True),
    _metric("steps_to_fit", "until 90 % of the training pairs are right", "steps", "lower", POSITIVE, censored=True),
    *(_metric(f"{split}_accuracy", counted=True) for split in ("val", "train")),
    _metric("val_area", "mean validation accuracy over all steps: large where generalisation comes early"),
    _metric("frequency_share", "of a hidden unit's power in its strongest frequency, mean over units"),
    _metric("frequencies", "of all frequencies that are the strongest of some hidden unit"),
)
GAPS = (
    _gap("frequency_gap", "power outside of the strongest frequency", ASCENT, RANDOM),
    _gap("published_gap", "relative distance of the energy from M / 16", ASCENT, RANDOM),
    _gap("derived_gap", "relative distance of the energy from M / 4", ASCENT, RANDOM),
    _gap("mirror_gap", "relative distance of v from u or -u read backwards, the nearer one", ASCENT, RANDOM),
    _gap("slope", "gradient of the energy along the sphere, relative", ASCENT, RANDOM),
    _gap("curvature", "largest second derivative along the sphere, over the energy", ASCENT, RANDOM),
    _gap("sent_gap", "between equation 4 and the gradient that V_ridge sends back, relative", RIDGE),
    _gap("ridge_gap", "gradient of the penalised loss at V_ridge, relative", RIDGE),
)


def _alike(method: str, params: Mapping[str, Any]) -> Hashable:
    start = method if method in (ZERO, MUON) else NORMAL
    return start, params["modulus"], params["width"], round(params["fraction"] * params["modulus"] ** 2), params["steps"]


def _seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Share of a program, by the activations and products of a step; every fiftieth step is followed by a forward pass of all pairs."""
    work = (params["fraction"] * params["steps"] + 17.0) * params["modulus"] ** 2 * params["width"] * (params["modulus"] + 60.0)
    return float(0.01 + work * (3.0 if method == MUON else 1.0) / (3e12 if scale in ("gpu", "paper") else 6e9))


def _memory(_scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Weights with gradient and moments; hidden layers and outputs of all pairs with what backward keeps."""
    return gib(48.0 * params["modulus"] * params["width"] + 16.0 * params["modulus"] ** 2 * (params["width"] + params["modulus"]))


def _train(name: str, *methods: str, **how: Any) -> Experiment:
    packed: dict[str, Any] = {"run_batch": f"{_MODULE}:train", "alike": _alike, "seconds": _seconds, "memory": _memory}
    return Experiment(name, params=Train, metrics=METRICS, methods=methods, **packed, **how)


def _phase(id: str, y: str, **how: Any) -> Phase:
    """Where the test accuracy crosses one half along the training fraction."""
    title = f"Where networks generalise: training fraction and {y}"
    return Phase(id=id, title=title, x="fraction", y=y, z="test_accuracy", along="rises", view=id, methods=(NORMAL,), **how)


_CURVES = [(f"grokking-{y}", y) for y in ("test_accuracy", "train_accuracy")]
_FIGURES = [Figure(id=id, title="With and without weight decay", x="step", y=y, view="grokking", log_x=True) for id, y in _CURVES]
phase = _train(
    "phase", NORMAL, NO_DECAY, SHUFFLED, figures=(_phase("boundary", "modulus"), _phase("decay", "decay", log_y=True), *_FIGURES)
)
race = _train("race", NORMAL, ZERO, MUON, tuned=Sweep("lr", by="val_area"), summary="the way to 90 %, each method at its best rate")
theory = Experiment(
    "theory",
    params=Theory,
    metrics=GAPS,
    methods=(ASCENT, RANDOM, RIDGE),
    run=f"{_MODULE}:theory",
    seconds=lambda _scale, _method, params: 0.1 + 4e-7 * params["starts"] * params["modulus"] ** 3,
    memory=lambda _scale, _method, params: gib(64.0 * params["starts"] * params["modulus"] ** 3),
    exact=True,
)


def _grids(boundary: Mapping[int, Sequence[float]], decays: Mapping[str, Sequence[float]], base: Mapping[str, Any]) -> list[Grid]:
    """Two phase diagrams: fractions of each modulus, and fractions by decays."""
    axes = [(modulus, "boundary", {"fraction": values}) for modulus, values in boundary.items()]
    axes += [(23, "decay", dict(decays))] if decays else []
    return [Grid(phase, view=view, methods=(NORMAL,), points=[{**base, "modulus": m}], axes=varied) for m, view, varied in axes]


def _grokking(**base: Any) -> list[Grid]:
    grid = Grid(phase, view="grokking", methods=(NORMAL, SHUFFLED), points=[base])
    return [grid, Grid(phase, view="grokking", methods=(NO_DECAY,), points=[{**base, "decay": 0.0}])]


def _race(rates: Sequence[float], fractions: Mapping[str, float], *methods: str, **base: Any) -> list[Grid]:
    return [Grid(race, view=v, methods=methods, points=[{**base, "fraction": f}], axes={"lr": rates}) for v, f in fractions.items()]


def _scale(what: str, seeds: int, limit: float, *grids: Sequence[Grid], gpus: float = 0.0) -> Scale:
    held = [*(grid for part in grids for grid in part), Grid(theory, axes={"modulus": (7, 11, 23)}, methods=(ASCENT, RANDOM))]
    held += [Grid(theory, methods=(RIDGE,))]
    what_for = H100 if gpus else None
    return Scale(description=what, grids=held, seeds=seeds, time_limit_s=limit, resources=Resources(gpus=gpus), hardware=what_for)


_LAPTOP = {
    11: (0.45, 0.5, 0.55, 0.6, 0.65, 0.7),
    17: (0.36, 0.4, 0.44, 0.48, 0.52),
    23: (0.3, 0.34, 0.38, 0.42, 0.46),
    31: (0.24, 0.28, 0.32, 0.36, 0.4),
    43: (0.22, 0.26, 0.3, 0.34),
    59: (0.2, 0.24, 0.28, 0.32),
}
_PRIMES = (7, 11, 17, 23, 31, 41, 53, 71, 89, 107, 127)
_FINE = tuple(round(0.05 + 0.025 * step, 3) for step in range(32))
_FEW = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0], {"few-units": 0.4}, NORMAL, MUON
_ZERO = [0.003, 0.01, 0.03, 0.1], {"scarce": 0.42, "plenty": 0.7}, NORMAL, ZERO
_FIGURE_3: Mapping[str, Any] = {"modulus": 71, "fraction": 0.4, "width": 2048, "lr": 1e-3, "steps": 400}
_SMALL: Mapping[str, Any] = {"width": 32, "steps": 40}
_GPU: Mapping[str, Any] = {"width": 512, "lr": 0.01}
_PAPER: Mapping[str, Any] = {"width": 2048, "lr": 5e-4, "steps": 10000}
SCALES = {
    "smoke": _scale(
        "moduli of 7 and 11, 40 steps: does it run",
        2,
        60.0,
        _grids({7: (0.4, 0.8), 11: (0.4, 0.8)}, {}, _SMALL),
        _grokking(modulus=7, fraction=0.7, **_SMALL),
        _race([0.01, 0.1], {"scarce": 0.7}, NORMAL, ZERO, modulus=7, **_SMALL),
    ),
    "laptop": _scale(
        "moduli of 11 to 59, 256 hidden units, 2,000 steps; 2 CPU cores",
        5,
        300.0,
        _grids(_LAPTOP, {"fraction": (0.3, 0.38, 0.46, 0.54), "decay": (5e-5, 2e-4, 8e-4)}, {}),
        _grokking(),
        _race(*_ZERO, steps=1000),
    ),
    "gpu": _scale(
        "moduli of 7 to 127 by up to 32 fractions, 512 hidden units, 2,000 steps; one GPU",
        10,
        600.0,
        _grids({m: _FINE[:16] if m > 40 else _FINE for m in _PRIMES}, {"fraction": _FINE, "decay": (0.0, 2e-5, 5e-5, 2e-4, 8e-4)}, _GPU),
        _grokking(**_FIGURE_3),
        _race([1e-3, 3e-3, 0.01, 0.03], {"scarce": 0.25, "plenty": 0.5}, NORMAL, ZERO, modulus=71, width=512),
        _race(*_FEW, modulus=71, width=128),
        gpus=1.0,
    ),
    "paper": _scale(
        "the published settings: 2,048 hidden units, 10,000 steps at a rate of 0.0005; a cluster",
        20,
        6 * 3600.0,
        _grids(dict.fromkeys(_PRIMES, _FINE), {}, _PAPER),
        _grokking(**_FIGURE_3),
        _race([1e-3, 2e-3, 5e-3, 0.01], {"scarce": 0.2, "plenty": 0.5}, NORMAL, ZERO, modulus=127, width=1024, decay=5e-5),
        _race(*_FEW, modulus=71, width=128, steps=10000),
        gpus=1.0,
    ),
}
_PSTAR, _GROK = Threshold("fraction", phase["test_accuracy"]), {name.name: phase[name.name].at(view="grokking") for name in METRICS}
_DELAY = Difference(*(Of(NORMAL, _GROK[name].log10()) for name in ("steps_to_90", "steps_to_fit")))
_HERE: Mapping[str, Any] = {"scales": ("laptop", "gpu", "paper"), "stands_on": ("floor",)}
_MUON: Mapping[str, Any] = {"scales": ("gpu", "paper"), "stands_on": ("floor",), "source": "section 5.3, figure 8", "group": "C5"}
_MAXIMA: Mapping[str, Any] = {"method": ASCENT, "source": "theorem 2 and corollary 2", "group": "C4", "tolerance": 1e-6}
_FACTOR = "The proof expands (u + v)^2 with u v instead of 2 u v (before equation 21), a factor of 4: see C4-derived."
_CHECK: Mapping[str, Any] = {"method": ASCENT, "source": "control", "kind": "check"}


def _of_boundary(id: str, says: str, estimate: Estimate, holds: Region, unit: str, primary: bool) -> Claim:
    note = "After a fixed number of steps, at one width and rate: longer training moves the boundary."
    about: dict[str, Any] = {"source": "theorem 4, figure 5", "null": 0.0, "group": "C1", "note": note, "primary": primary, **_HERE}
    return Claim(id=id, statement=says, estimate=Of(NORMAL, phase.within(estimate, "boundary")), holds=holds, unit=unit, **about)


def _against(id: str, rival: str) -> Claim:
    says = f"the fraction from which networks generalise follows log M / M rather than {rival.replace('modulus', 'M')}"
    return _of_boundary(id, says, AiccGain("modulus", _PSTAR, law="log(modulus)/modulus", rival=rival), Above(0.0), "AICc", True)


def _of_grokking(id: str, says: str, estimate: Estimate, holds: Region, source: str = "figure 3", **about: Any) -> Claim:
    given: dict[str, Any] = {"bounds": SHARE, "unit": "share", "group": "C3", "scales": _HERE["scales"], **about}
    return Claim(id=id, statement=says, source=source, estimate=estimate, holds=holds, **given)


def _zero(view: str) -> list[Claim]:
    says = f"an output layer of zeros shortens the way to 90 %, each start at its best rate; {view} data"
    about: dict[str, Any] = {"says": says, "source": "section 3.2, figures 14 to 16", "group": "C2", **_HERE}
    return better(f"C2-{view}", ZERO, NORMAL, race["steps_to_90"].at(view=view), **about)


TASK = Task(
    id="li2-feature-emergence",
    version=1,
    paper=Paper(
        arxiv="2509.21519",
        title="Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking",
        year=2025,
        authors="Yuandong Tian",
        code="https://github.com/facebookresearch/luckmatters",
    ),
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
        _against("C1-inverse", "1/modulus"),
        _against("C1-root", "1/sqrt(modulus)"),
        _of_boundary("C1-falls", "that fraction falls with M", PowerTrend("modulus", _PSTAR), Below(0.0), "exponent", False),
        *(claim for view in ("scarce", "plenty") for claim in _zero(view)),
        _of_grokking("C3-decay", "with weight decay networks generalise", _GROK["test_accuracy"].of(NORMAL), Above(0.9)),
        _of_grokking("C3-none", "without they do not", _GROK["test_accuracy"].of(NO_DECAY), Below(0.5), stands_on=("C3-fits",)),
        _of_grokking(
            "C3-fits", "without they fit", _GROK["train_accuracy"].of(NO_DECAY), Above(0.9), "control", kind="control", group="", null=0.05
        ),
        _of_grokking(
            "C3-delay",
            "with weight decay they generalise after at least twice the steps that fitting takes",
            _DELAY,
            Above(0.3),
            "figure 3; the factor is ours",
            **{"null": 0.0, "unit": "log10 of a ratio", "bounds": UNBOUNDED},
        ),
        *exact("C4-frequency", theory["frequency_gap"], says="all maxima of the energy are single frequencies", **_MAXIMA),
        *exact("C4-energy", theory["published_gap"], says="their energy is M / 16", note=_FACTOR, **_MAXIMA),
        *exact("C4-mirror", theory["mirror_gap"], says="v is u or -u read backwards: there are no other maxima", **_MAXIMA),
        *better("C4-trained", NORMAL, SHUFFLED, _GROK["frequency_share"], source="theorem 2, figure 7", group="C4", **_HERE),
        *exact("C4-derived", theory["derived_gap"], tolerance=1e-6, says="their energy is M / 4", **_CHECK),
        *exact("C4-stationary", theory["slope"], tolerance=1e-6, says="the ascent has ended", **_CHECK),
        *exact("C4-maximal", theory["curvature"], holds=Below(1e-6), says="it ended at maxima, none a saddle", **_CHECK),
        *exact("C4-random", theory["frequency_gap"], holds=Above(0.1), says="the starts are none", **{**_CHECK, "method": RANDOM}),
        *better("C5-steps", MUON, NORMAL, race["steps_to_90"].at(view="few-units"), **_MUON),
        *better("C5-diversity", MUON, NORMAL, race["frequencies"].at(view="few-units"), **_MUON),
        *exact(
            "C6-sent",
            theory["sent_gap"],
            method=RIDGE,
            tolerance=1e-6,
            says="equation 4 is what V_ridge sends back",
            source="proposition 1",
        ),
        *exact("C6-ridge", theory["ridge_gap"], method=RIDGE, tolerance=1e-6, says="V_ridge minimises", source="control", kind="check"),
        *better("floor", NORMAL, SHUFFLED, _GROK["test_accuracy"], source="control", kind="control", scales=_HERE["scales"]),
    ],
)
