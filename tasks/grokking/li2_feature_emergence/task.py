"""Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking: Li2 (Tian, arXiv 2509.21519)."""

from collections.abc import Hashable, Mapping, Sequence

from harness.claims import CONTROL, better, contrast, exact, follows, level, slope
from harness.params import Point
from harness.sweeps import Sweep
from harness.task import Above, Below, Experiment, Figure, Grid, Method, Metric, Paper, Params, Phase, Scale, Task, param
from harness.thresholds import Threshold
from tasks.blocks.hardware import costs, h100
from tasks.blocks.supervision import ACCURACIES, FREQUENCIES, share, steps

_MODULE = "tasks.grokking.li2_feature_emergence.experiment"
NORMAL, ZERO, NO_DECAY, MUON, SHUFFLED = "normal-init", "zero-init", "no-decay", "muon", "shuffled-labels"
ASCENT, RANDOM, RIDGE = "ascent", "random-weights", "ridge"


class Train(Params):
    """Parameters of a training: full-batch Adam whose weight decay is an L2 penalty, on the squared error of centred outputs."""

    modulus: int = param(23, "M of the addition modulo M", low=3, high=1000)
    fraction: float = param(0.46, "share of the M^2 pairs that is trained on; a tenth is for validation", low=0.01, high=0.89)
    width: int = param(512, "hidden units, K", unit="units", low=1)
    lr: float = param(0.01, "learning rate", low=1e-6, high=10.0)
    decay: float = param(2e-4, "coefficient of the L2 penalty, eta; no-decay trains without", low=0.0, high=1.0)
    steps: int = param(1500, "full-batch steps", unit="steps", low=1)


class Theory(Params):
    """Parameters of the statements on one hidden unit, for odd M, and on the output layer."""

    modulus: int = param(23, "M of the addition modulo M", low=3, high=127)
    starts: int = param(32, "random starts of a hidden unit on the unit sphere", low=1)
    ascent: int = param(400, "steps of the ascent", unit="steps", low=1)
    decay: float = param(2e-4, "ridge, eta, of a regression of half of the pairs on 128 hidden units", low=1e-12, high=1.0)


METRICS = (
    *ACCURACIES,
    steps("steps_to_90", "until 90 % of the test pairs are right", split="test"),
    steps("steps_to_fit", "until 90 % of the training pairs are right"),
    share("val_area", "mean validation accuracy over all steps: large where generalisation comes early", counted=False),
    *FREQUENCIES,
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


def _costs(cpu: bool, method: str, p: Point) -> tuple[float, float]:
    """Share of a program by the products of a step, and a hundred passes of all pairs; weights with moments, and what backward keeps."""
    m, k = p["modulus"], p["width"]
    work = (p["fraction"] * p["steps"] + 33.0) * m**2 * k * (m + 60.0) * (3.0 if method == MUON else 1.0)
    return 0.01 + work / (6e9 if cpu else 3e12), 6.0 * m * k + 2.0 * m**2 * (k + m)


def _alike(method: str, p: Point) -> Hashable:
    start = method if method in (ZERO, MUON) else NORMAL
    return start, p["modulus"], p["width"], p["steps"], round(p["fraction"] * p["modulus"] ** 2)


_PACKED: Point = {"params": Train, "metrics": METRICS, "run_batch": f"{_MODULE}:train", "alike": _alike, **costs(_costs)}
phase = Experiment(
    "phase", methods=(NORMAL, NO_DECAY, SHUFFLED), summary="what generalises, at one rate", **_PACKED,
    figures=[Phase(id="boundary", title="Where networks generalise: training fraction and modulus", x="fraction", y="modulus",
                   z="test_accuracy", along="rises", view="boundary", methods=(NORMAL,)),
             *(Figure(id=f"grokking-{split}", title="With and without weight decay", x="step", y=f"{split}_accuracy", view="grokking",
                      log_x=True) for split in ("test", "train"))])  # fmt: skip
race = Experiment("race", methods=(NORMAL, ZERO, MUON), tuned=Sweep("lr", by="val_area"), **_PACKED,
                  summary="the way to 90 %, each method at its best rate")  # fmt: skip
theory = Experiment(
    "theory", params=Theory, methods=(ASCENT, RANDOM, RIDGE), run=f"{_MODULE}:theory", exact=True,
    metrics=[Metric(name, "", "zero", about, methods=methods, split="none")
             for gaps, methods in ((_OF_UNITS, (ASCENT, RANDOM)), (_OF_RIDGE, (RIDGE,))) for name, about in gaps.items()],
    **costs(lambda _cpu, _method, p: (0.1 + 4e-7 * p["starts"] * p["modulus"] ** 3, 8.0 * p["starts"] * p["modulus"] ** 3)))  # fmt: skip


def _grids(fractions: Mapping[int, Sequence[float]], base: Point, arms: Point, *races: tuple[str, str, Sequence[float], Point],
           moduli: Sequence[int] = (7, 11, 23)) -> list[Grid]:  # fmt: skip
    """The boundary at `base`, `arms` with and without decay, races, and the theory of units and of the output layer."""
    boundary = [({**base, "modulus": modulus}, {"fraction": values}) for modulus, values in fractions.items()]
    return [
        *(Grid(phase, view="boundary", methods=(NORMAL,), points=[point], axes=axes) for point, axes in boundary),
        Grid(phase, view="grokking", methods=(NORMAL, SHUFFLED), points=[arms]),
        Grid(phase, view="grokking", methods=(NO_DECAY,), points=[{**arms, "decay": 0.0}]),
        *(Grid(race, view=view, methods=(NORMAL, rival), points=[point], axes={"lr": rates}) for view, rival, rates, point in races),
        Grid(theory, methods=(ASCENT, RANDOM), axes={"modulus": moduli}),
        Grid(theory, methods=(RIDGE,)),
    ]


_FROM = {11: (0.49, 0.04), 17: (0.36, 0.04), 23: (0.3, 0.03), 31: (0.24, 0.02), 43: (0.2, 0.02), 59: (0.16, 0.02)}
_LAPTOP = {modulus: [round(low + step * place, 2) for place in range(5)] for modulus, (low, step) in _FROM.items()}
_PRIMES, _FINE = (7, 11, 17, 23, 31, 41, 53, 71, 89, 107, 127), [round(0.05 + 0.025 * place, 3) for place in range(32)]
_COARSE, _PUBLISHED, _LARGE = (1e-3, 3e-3, 0.01, 0.03), (1e-3, 2e-3, 5e-3, 0.01), (0.1, 0.3, 1.0)
_SMALL, _FIGURE_16 = {"width": 32, "steps": 40}, {"modulus": 127, "width": 1024, "decay": 5e-5}
_SMALL_ARM, _FEW_UNITS = {"modulus": 7, "fraction": 0.7, **_SMALL}, {"modulus": 71, "fraction": 0.4, "width": 128}
_FIGURE_3: Point = {"modulus": 71, "fraction": 0.4, "width": 2048, "lr": 1e-3, "steps": 400}
_SCALES = {
    "smoke": Scale(description="moduli of 7 and 11, 40 steps: does it run", seeds=2, time_limit_s=60.0, grids=_grids(
        {7: (0.4, 0.8), 11: (0.4, 0.8)}, _SMALL, _SMALL_ARM, ("scarce", ZERO, (0.01, 0.1), _SMALL_ARM), moduli=(7, 11))),
    "laptop": Scale(description="moduli of 11 to 59, 512 hidden units, 1,500 steps; 2 CPU cores", seeds=5, time_limit_s=300.0, grids=_grids(
        _LAPTOP, {}, {}, ("scarce", ZERO, (0.003, 0.01, 0.03, 0.1), {"fraction": 0.42, "width": 256, "steps": 1000}),
        ("plenty", ZERO, (0.01, 0.03, 0.1, 0.3), {"fraction": 0.7, "width": 256, "steps": 300}))),
    "gpu": h100(seeds=10, time_limit_s=600.0, grids=_grids(
        {m: _FINE[:16] if m > 40 else _FINE for m in _PRIMES}, {"width": 1024, "steps": 2000}, _FIGURE_3,
        ("scarce", ZERO, _COARSE, {"fraction": 0.25, "modulus": 71}), ("plenty", ZERO, _COARSE, {"fraction": 0.5, "modulus": 71}),
        ("few-units", MUON, (*_COARSE, *_LARGE), _FEW_UNITS)),
        description="moduli of 7 to 127 by up to 32 fractions, 1,024 hidden units, 2,000 steps; one GPU"),
    "paper": h100(seeds=20, time_limit_s=6 * 3600.0, grids=_grids(
        dict.fromkeys(_PRIMES, _FINE), {"width": 2048, "lr": 5e-4, "steps": 10000}, _FIGURE_3,
        ("scarce", ZERO, _PUBLISHED, {"fraction": 0.2, **_FIGURE_16}), ("plenty", ZERO, _PUBLISHED, {"fraction": 0.5, **_FIGURE_16}),
        ("few-units", MUON, (*_COARSE, *_LARGE), {**_FEW_UNITS, "steps": 10000})),
        description="the published settings: 2,048 hidden units, 10,000 steps; a cluster"),
}  # fmt: skip

_AT = {metric.name: phase[metric.name].at("grokking") for metric in METRICS}
_PSTAR = phase.within(Threshold("fraction", phase["test_accuracy"]), "boundary")
_WIDER: Point = {"scales": ("laptop", "gpu", "paper")}
_HERE: Point = {**_WIDER, "stands_on": ("floor",)}
_C1: Point = {"source": "theorem 4, figure 5", "group": "C1", **_HERE,
               "note": "After a fixed number of steps, at one width and rate: longer or wider training moves the boundary."}  # fmt: skip
_C2: Point = {"source": "section 3.2, figures 14 to 16", "group": "C2", **_HERE}
_C3: Point = {"source": "figure 3", "group": "C3", **_WIDER}
_C4: Point = {"source": "theorem 2 and corollary 2", "group": "C4", "method": ASCENT, "tolerance": 1e-6}
_C5: Point = {"source": "section 5.3, figure 8", "group": "C5", "scales": ("gpu", "paper"), "stands_on": ("floor",)}
_CHECK: Point = {"source": "control", "kind": "check"}
_FACTOR = "The proof expands (u + v)^2 with u v where it is 2 u v (before equation 21), a factor of 4: see C4-derived."

TASK = Task(
    id="li2-feature-emergence", version=1,
    paper=Paper(arxiv="2509.21519", title="Provable Scaling Laws of Feature Emergence from Learning Dynamics of Grokking", year=2025,
                authors="Yuandong Tian", code="https://github.com/facebookresearch/luckmatters"),
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
    experiments=(phase, race, theory), scales=_SCALES,
    claims=[
        *follows("C1", NORMAL, _PSTAR, over="modulus", law="log(modulus)/modulus", rivals=("1/modulus", "1/sqrt(modulus)"),
                 primary=True, **_C1),
        *slope("C1-falls", NORMAL, _PSTAR, over="modulus", holds=Below(0.0), says="that fraction falls with M", null=0.0, **_C1),
        *(claim for view in ("scarce", "plenty") for steps in [race["steps_to_90"].at(view)] for claim in (
            *better(f"C2-{view}", ZERO, NORMAL, steps.untuned().at(lr=0.01), **_C2),
            *better(f"C2-tuned-{view}", ZERO, NORMAL, steps, source="control: a start changes the best rate", kind="control", **_HERE))),
        *level("C3-decay", NORMAL, _AT["test_accuracy"], holds=Above(0.9), says="with weight decay networks generalise", **_C3),
        *level("C3-none", NO_DECAY, _AT["test_accuracy"], holds=Below(0.5), says="without weight decay networks do not generalise",
               null=0.5, stands_on=("C3-fits",), **_C3),
        *level("C3-fits", NO_DECAY, _AT["train_accuracy"], holds=Above(0.9), says="without weight decay they fit", null=0.05,
               **CONTROL, **_WIDER),
        *contrast("C3-delay", NORMAL, (_AT["steps_to_90"].log10(), _AT["steps_to_fit"].log10()), holds=Above(0.3),
                  says="with it, generalising takes twice the steps of fitting", **_C3),
        *exact("C4-frequency", theory["frequency_gap"], says="all maxima of the energy are single frequencies", **_C4),
        *exact("C4-energy", theory["published_gap"], says="the maxima of the energy are M / 16", note=_FACTOR, **_C4),
        *exact("C4-mirror", theory["mirror_gap"], says="at all maxima v is u or -u read backwards", **_C4),
        *better("C4-trained", NORMAL, SHUFFLED, _AT["frequency_share"], source="theorem 2, figure 7", group="C4", **_HERE),
        *exact("C4-derived", theory["derived_gap"], says="the maxima of the energy are M / 4", method=ASCENT, tolerance=1e-6, **_CHECK),
        *exact("C4-stationary", theory["slope"], says="the ascent of the energy has ended", method=ASCENT, tolerance=1e-6, **_CHECK),
        *exact("C4-maximal", theory["curvature"], says="it ended at maxima, none a saddle", method=ASCENT, holds=Below(1e-6), **_CHECK),
        *exact("C4-random", theory["frequency_gap"], says="random starts are no single frequencies", method=RANDOM, holds=Above(0.1),
               **_CHECK),
        *better("C5-steps", MUON, NORMAL, race["steps_to_90"].at("few-units"), **_C5),
        *better("C5-diversity", MUON, NORMAL, race["frequencies"].at("few-units"), **_C5),
        *exact("C6-sent", theory["sent_gap"], says="V_ridge sends back what equation 4 says", method=RIDGE, tolerance=1e-6,
               source="proposition 1"),
        *exact("C6-ridge", theory["ridge_gap"], says="V_ridge minimises the penalised loss", method=RIDGE, tolerance=1e-6, **_CHECK),
        *better("floor", NORMAL, SHUFFLED, _AT["test_accuracy"], **CONTROL, **_WIDER),
    ],
)  # fmt: skip
