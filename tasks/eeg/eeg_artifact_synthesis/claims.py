"""What the paper claims, and what its own settings say to that, each as a number and the region in which the claim holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.claims import better, slope
from harness.estimates import Combined, Difference, Reading, paired
from harness.task import Above, Below, Claim, ClaimKind, Experiment
from tasks.eeg.bands import BANDS, band_error
from tasks.eeg.eeg_artifact_synthesis.methods import FLOOR, GAN, MENDED, NOISE, OTHERS, RELEASED, WORKING
from tasks.eeg.eeg_artifact_synthesis.scales import COMPUTE, MAIN, STEPS

_DDPM = {
    RELEASED: ("released", "The DDPM as released, its sampler included,"),
    MENDED: ("mended", "The DDPM trained as released, sampled by DDIM,"),
    WORKING: ("working", "The DDPM with v-prediction and decoder skips"),
}
_NAMED = {
    GAN: ("wgan", "WGAN-GP"),
    RELEASED: ("released", "the released DDPM"),
    WORKING: ("working", "the DDPM with v-prediction and skips"),
}
_COMPARED = {GAN: ("wgan", "WGAN-GP"), WORKING: ("ddpm", "the DDPM with v-prediction and skips")}
_WORDS = {"common": "both sides in one unit", "published": "the paper's evaluation"}

TABLE = {"delta": (197, 129), "theta": (1570, 275), "alpha": (4720, 443), "beta": (507, 38), "gamma": (21900, 1610)}
"""Published relative errors of band power, DDPM and WGAN-GP."""
_MEAN = tuple(sum(pair[side] for pair in TABLE.values()) / len(TABLE) for side in (0, 1))
RECOVERED, GAINED = 1 / 8, 1 / 2
"""Shares of what real windows show under which windows show nothing: class recovery, gain by augmentation."""
_EQUAL = "Equal training compute, same windows, same normalisation."
_DISTANCES = {
    "band": ("band_error", "band error"),
    "mmd2": ("mmd2", "MMD"),
    "psd": ("psd_distance", "distance of spectra"),
    "covariance": ("covariance_distance", "distance of covariances"),
    "autocorrelation": ("autocorrelation_distance", "distance of autocorrelations"),
    "c2st": ("c2st_accuracy", "two-sample accuracy"),
    "precision": ("precision", "precision"),
    "coverage": ("coverage", "coverage"),
}
"""All that says how near windows are to real ones: metric and words. The paper has the first three."""
_PAPERS = ("band", "mmd2", "psd")
_RATIOS = ("band_error", "psd_distance", "covariance_distance", "autocorrelation_distance")
"""Compared by their logarithms."""
_HALF, _LATER = (FLOOR, "Real windows of the test split's other half"), (OTHERS, "Real windows of the validation split")
_CONTROLS = (
    ("real", _HALF, (GAN, "WGAN-GP")),
    ("noise", _HALF, (NOISE, "white noise")),
    ("others", _LATER, (NOISE, "white noise")),
)
"""What a distance has to put first, and before what."""
_KERNELS = {
    "common": "Between features in units of the training windows; unbiased, so it may be below 0.",
    "published": "Between raw windows.",
}


def claims(common: Experiment, published: Experiment) -> list[Claim]:
    """All of them; each compares methods that had the scale's whole training compute, but for the sweeps."""
    readings = {
        protocol: {metric.name: experiment[metric.name].at(view=view) for metric in experiment.metrics}
        for protocol, experiment, view in (("common", common, MAIN), ("published", published, ""))
    }
    return [
        *_band_claims(readings),
        *_distance_claims(readings),
        *_trust_claims(readings),
        *_class_claims(readings["common"]),
        *_protocol_claims(*(readings[protocol]["band_error"].log10() for protocol in ("common", "published"))),
        *_rival_claims(readings["common"]["band_error"].log10()),
        *_sweep_claims(common["band_error"]),
    ]


def _larger(id: str, method: str, other: str, reading: Reading, statement: str, source: str, **about: Any) -> Claim:
    """`method` has the larger number."""
    estimate = paired(method, other, reading)
    return Claim(id=id, statement=statement, source=source, estimate=estimate, holds=Above(0.0), unit=reading.unit, null=0.0, **about)


def _whose(method: str, protocol: str) -> ClaimKind:
    """The paper sets its DDPM, as released or as configured, against the GAN; a mended or working one in its evaluation is our control."""
    return "control" if method == MENDED or (method, protocol) == (WORKING, "published") else "paper"


def _trusted(protocol: str, short: str) -> tuple[str, ...]:
    """What a claim on a distance stands on: that it puts real windows before the GAN's and before noise, of other times as well."""
    return tuple(f"X-{part}-{protocol}-{short}" for part, _, _ in _CONTROLS)


def _band_claims(readings: dict[str, dict[str, Reading]]) -> list[Claim]:
    bands = [(band.name, band_error(band), f"{band.name} power") for band in BANDS]
    by_band = [
        (method, protocol, *band)
        for method, protocol in ((RELEASED, "common"), (RELEASED, "published"), (WORKING, "common"))
        for band in bands
    ]
    means = [(method, protocol, "mean", "band_error", "mean band power") for method in _DDPM for protocol in _WORDS]
    return [
        _larger(
            f"C1-{_DDPM[method][0]}-{protocol}-{name}",
            method,
            GAN,
            readings[protocol][metric].log10(),
            f"{_DDPM[method][1]} has a larger error of {words} than WGAN-GP ({_WORDS[protocol]})",
            "table of band power (figs/table_bandpower.tex)",
            published=_published_ratio(name) if (method, protocol) == (RELEASED, "published") else None,
            note=f"{_EQUAL} Mean over the five bands." if name == "mean" else _EQUAL,
            kind=_whose(method, protocol),
            group="C1" if _whose(method, protocol) == "paper" else "",
            primary=(protocol, name) == ("common", "mean") and method != MENDED,
            stands_on=_trusted(protocol, "band"),
        )
        for method, protocol, name, metric, words in (*by_band, *means)
    ]


def _published_ratio(name: str) -> float:
    ddpm, wgan = TABLE.get(name, _MEAN)
    return round(math.log10(ddpm / wgan), 3)


def _distance_claims(readings: dict[str, dict[str, Reading]]) -> list[Claim]:
    """The paper's other three numbers: name, words, what it prints, and a note in each protocol."""
    white = "Real windows: 1.000, in the paper. Near 1 says little: white noise has 1."
    distances = [
        ("mmd2", "mmd2", "MMD", 0.588 - 0.396, _KERNELS),
        ("psd", "psd_distance", "distance of spectra", math.log10(533 / 82.7), {}),
        ("diversity", "diversity", "diversity (1 - mean correlation)", 1.000 - 0.957, dict.fromkeys(_WORDS, white)),
    ]
    return [
        _larger(
            f"C2-{_DDPM[method][0]}-{protocol}-{short}",
            method,
            GAN,
            readings[protocol][metric].log10() if short == "psd" else readings[protocol][metric],
            f"{_DDPM[method][1]} has a larger {words} than WGAN-GP ({_WORDS[protocol]})",
            "table of metrics (figs/table_metrics.tex)",
            published=round(value, 3) if (method, protocol) == (RELEASED, "published") else None,
            note=notes.get(protocol, ""),
            kind=_whose(method, protocol),
            group=f"C2-{short}" if _whose(method, protocol) == "paper" else "",
            primary=(protocol, short) == ("common", "mmd2"),
            stands_on=_trusted(protocol, short) if short != "diversity" else (),
        )
        for method in (RELEASED, WORKING)
        for protocol in _WORDS
        for short, metric, words, value, notes in distances
    ]


def _trust_claims(readings: dict[str, dict[str, Reading]]) -> list[Claim]:
    """A distance that puts real windows behind synthetic ones, or behind noise, says nothing of which are nearer to real ones.

    Windows of both halves may overlap in time where a recording is short, which makes them near by any measure: the paper's distances
    have to put other stretches of time before noise, too.
    """
    return [
        claim
        for protocol, words in _WORDS.items()
        for short in _DISTANCES
        for part, (real, says), (other, than) in _CONTROLS
        if short in _PAPERS or (protocol, part) == ("common", "noise")
        for claim in _nearer(f"X-{part}-{protocol}-{short}", real, other, readings[protocol], short, f"{says} {{}} than {than} ({words})")
    ]


def _nearer(id: str, real: str, other: str, readings: dict[str, Reading], short: str, says: str) -> list[Claim]:
    """The real windows are nearer to real ones than those of `other`; `says` has a gap for by what."""
    metric, name = _DISTANCES[short]
    reading = readings[metric].log10() if metric in _RATIOS else readings[metric]
    words = says.format(f"have a {'higher' if reading.better == 'higher' else 'smaller'} {name}")
    return better(id, real, other, reading, says=words, source="control of C1 and C2", kind="control")


def _beyond(share: float, reading: Reading, method: str) -> Combined:
    """A number of `method` less a share of that of real windows: below 0 only where real windows have something to show."""
    return Combined(partial(_less, share), (reading.of(method), reading.of(OTHERS)))


def _less(share: float, numbers: Sequence[float]) -> float:
    ours, real = numbers
    return ours - share * real


def _class_claims(readings: dict[str, Reading]) -> list[Claim]:
    source = "discussion; no number is printed"
    recovery = [
        Claim(
            id=f"C3-recovery-{short}",
            statement=f"The class that was asked for is found near chance in windows of {words}: under an eighth of what real ones show",
            source=source,
            estimate=_beyond(RECOVERED, readings["recovery_above_chance"], method),
            holds=Below(0.0),
            unit="accuracy above chance",
            group="C3-recovery",
            primary=method != RELEASED,
            aim="equivalent",
            margin_source="ours: an eighth of what is found above chance in real windows, a tenth where all of five classes are",
            null=0.0,
            stands_on=("X-real-recovery",),
            note="Nearest real windows in feature space, test split.",
        )
        for method, (short, words) in _NAMED.items()
    ]
    gain = [
        Claim(
            id=f"C3-augmentation-{short}",
            statement=f"Windows of {words} hardly help a classifier of real ones: by under half of what as many real windows do",
            source=source,
            estimate=_beyond(GAINED, readings["augmentation_gain"], method),
            holds=Below(0.0),
            unit="accuracy",
            group="C3-augmentation",
            aim="equivalent",
            margin_source="ours: half of the gain that as many real windows bring",
            null=0.0,
            stands_on=("X-real-augmentation",),
            note="Extremely randomised trees on features, taught a few training windows of each class; the generator has seen all of them.",
        )
        for method, (short, words) in _NAMED.items()
    ]
    return [*recovery, *gain, *_real_classes(readings)]


def _real_classes(readings: dict[str, Reading]) -> list[Claim]:
    """Real windows show that there is a class to find, and room for a gain."""
    about: dict[str, Any] = {"source": "control of C3", "kind": "control", "null": 0.0}
    return [
        Claim(
            id="X-real-recovery",
            statement="The class is found by over a tenth above chance in real windows of another split",
            estimate=readings["recovery_above_chance"].of(OTHERS),
            holds=Above(0.1),
            unit="accuracy above chance",
            **about,
        ),
        Claim(
            id="X-real-augmentation",
            statement="Real windows of another split help the classifier by over a point when added to its training set",
            estimate=readings["augmentation_gain"].of(OTHERS),
            holds=Above(0.01),
            unit="accuracy",
            note="Where more real windows bring nothing, synthetic ones have nothing to bring.",
            **about,
        ),
    ]


def _protocol_claims(common: Reading, published: Reading) -> list[Claim]:
    return [
        Claim(
            id=f"X-protocol-{_NAMED[method][0]}",
            statement=f"The paper's evaluation alone moves the comparison against {_NAMED[method][1]}, of the same windows",
            source="control of C1",
            estimate=Difference(paired(method, GAN, published), paired(method, GAN, common)),
            holds=Above(0.0),
            unit=common.unit,
            kind="control",
            null=0.0,
            note="log10 of the ratio of band errors, DDPM to WGAN-GP, in the paper's evaluation less the same on a common scale.",
        )
        for method in (RELEASED, WORKING)
    ]


def _beyond_half_way(logs: Sequence[float]) -> float:
    ours, real, noise = logs
    return ours - (real + noise) / 2


def _rival_claims(error: Reading) -> list[Claim]:
    worse = {
        "v": ("ddpm-eps", WORKING, "Noise prediction has a larger band error than v-prediction, all else equal"),
        "skips": ("ddpm-v-no-skips", WORKING, "Without the decoder's skips the band error is larger"),
        "sampler": (RELEASED, MENDED, "The released sampler has a larger band error than DDIM, of the same network"),
    }
    simple = {
        "surrogates": ("phase-randomised", "phase-randomised training windows"),
        "ar": ("ar", "an autoregressive process a class"),
    }
    control: dict[str, Any] = {"source": "control", "kind": "control", "note": _EQUAL}
    half = "The geometric mean of both band errors. Real windows: one half of the test split against the other."
    claimed = [_larger(f"X-{name}", method, other, error, says, **control) for name, (method, other, says) in worse.items()]
    for method, short, words in ((GAN, "wgan", "WGAN-GP"), (WORKING, "ddpm", "The DDPM")):
        for name, (other, of_it) in simple.items():
            claimed += better(
                f"X-{short}-{name}", method, other, error, says=f"{words} has spectra nearer to real ones than {of_it}", **control
            )
    for method, (short, words) in _COMPARED.items():
        claimed.append(
            Claim(
                id=f"X-floor-{short}",
                statement=f"The band error of {words} is nearer to that of real windows than to that of white noise",
                estimate=Combined(_beyond_half_way, tuple(error.of(name) for name in (method, FLOOR, NOISE))),
                holds=Below(0.0),
                unit=error.unit,
                null=0.0,
                **control | {"note": half},
            )
        )
    return claimed


def _sweep_claims(error: Reading) -> list[Claim]:
    falls: dict[str, Any] = {"holds": Below(0.0), "source": "ours: scaling", "kind": "extension", "null": 0.0}
    claimed: list[Claim] = []
    for method, (short, words) in _COMPARED.items():
        says = f"The band error of {words} falls with training compute"
        swept = error.at(view=COMPUTE)
        claimed += slope(f"X-budget-{short}", method, swept, over="budget", says=says, unit="log error / log FLOPs", **falls)
    says = f"The band error of {_COMPARED[WORKING][1]} falls with the number of sampling steps"
    return claimed + slope(
        "X-steps", WORKING, error.at(view=STEPS), over="sampling_steps", says=says, unit="log error / log steps", **falls
    )
