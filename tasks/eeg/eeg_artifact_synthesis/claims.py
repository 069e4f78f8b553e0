"""What the paper claims, and what its own settings say to that, each as a number and the region in which the claim holds."""

from __future__ import annotations

import math
from typing import Any

from harness.claims import better, non_inferior, slope
from harness.estimates import Difference, Reading, paired
from harness.task import Above, Below, Claim, Experiment, Within
from tasks.eeg.bands import BANDS, band_error
from tasks.eeg.eeg_artifact_synthesis.methods import FLOOR, GAN, MENDED, RELEASED, WORKING
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
_EQUAL = "Equal training compute, same windows, same normalisation."


def claims(common: Experiment, published: Experiment) -> list[Claim]:
    """All of them; each compares methods that had the scale's whole training compute, but for the sweeps."""
    readings = {
        protocol: {metric.name: experiment[metric.name].at(view=view) for metric in experiment.metrics}
        for protocol, experiment, view in (("common", common, MAIN), ("published", published, ""))
    }
    return [
        *_band_claims(readings),
        *_distance_claims(readings),
        *_class_claims(readings["common"]),
        *_protocol_claims(*(readings[protocol]["band_error"].log10() for protocol in ("common", "published"))),
        *_rival_claims(readings["common"]["band_error"].log10()),
        *_sweep_claims(common["band_error"]),
    ]


def _larger(id: str, method: str, other: str, reading: Reading, statement: str, source: str, **about: Any) -> Claim:
    """`method` has the larger number."""
    estimate = paired(method, other, reading)
    return Claim(id=id, statement=statement, source=source, estimate=estimate, holds=Above(0.0), unit=reading.unit, **about)


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
            "table of band power",
            published=_published_ratio(name) if (method, protocol) == (RELEASED, "published") else None,
            note=f"{_EQUAL} Mean over the five bands." if name == "mean" else _EQUAL,
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
        ("mmd2", "mmd2", "MMD", 0.588 - 0.396, {"common": "Unbiased, so it may be below 0."}),
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
            "table of metrics",
            published=round(value, 3) if (method, protocol) == (RELEASED, "published") else None,
            note=notes.get(protocol, ""),
        )
        for method in (RELEASED, WORKING)
        for protocol in _WORDS
        for short, metric, words, value, notes in distances
    ]


def _class_claims(readings: dict[str, Reading]) -> list[Claim]:
    source = "discussion; no number is printed"
    recovery = [
        Claim(
            id=f"C3-recovery-{short}",
            statement=f"The class that was asked for is found near chance in windows of {words}",
            source=source,
            estimate=readings["recovery_above_chance"].of(method),
            holds=Within(-0.1, 0.1),
            unit="accuracy above chance",
            note="Nearest real windows in feature space, test split. `Near` is ours: within 0.1.",
        )
        for method, (short, words) in _NAMED.items()
    ]
    gain = [
        Claim(
            id=f"C3-augmentation-{short}",
            statement=f"Windows of {words} do not help a classifier of real ones when added to its training set",
            source=source,
            estimate=readings["augmentation_gain"].of(method),
            holds=Below(0.01),
            unit="accuracy",
            note="Extremely randomised trees on features. A gain of under a point counts as none.",
        )
        for method, (short, words) in _NAMED.items()
    ]
    return [*recovery, *gain]


def _protocol_claims(common: Reading, published: Reading) -> list[Claim]:
    flips = [
        Claim(
            id=f"X-protocol-{_NAMED[method][0]}",
            statement=f"The paper's evaluation alone moves the comparison against {_NAMED[method][1]}, of the same windows",
            source="control of C1",
            estimate=Difference(paired(method, GAN, published), paired(method, GAN, common)),
            holds=Above(0.0),
            unit=common.unit,
            note="log10 of the ratio of band errors, DDPM to WGAN-GP, in the paper's evaluation less the same on a common scale.",
        )
        for method in (RELEASED, WORKING)
    ]
    real = _larger(
        "X-real-loses",
        FLOOR,
        GAN,
        published,
        "In the paper's evaluation real windows, left in z-scores like the DDPM's, have a larger band error than WGAN-GP",
        "control of C1",
        note="Real windows of the validation split in the place of synthetic ones: nothing can be nearer to real ones.",
    )
    return [*flips, real]


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
    control: dict[str, Any] = {"source": "control", "note": _EQUAL}
    floor: dict[str, Any] = {
        "source": "control",
        "note": "Real windows: validation against test split, which hold other stretches of time or other people.",
    }
    claimed = [_larger(f"X-{name}", method, other, error, says, **control) for name, (method, other, says) in worse.items()]
    for method, short, words in ((GAN, "wgan", "WGAN-GP"), (WORKING, "ddpm", "The DDPM")):
        for name, (other, of_it) in simple.items():
            claimed += better(
                f"X-{short}-{name}", method, other, error, says=f"{words} has spectra nearer to real ones than {of_it}", **control
            )
    for method, (short, words) in _COMPARED.items():
        says = f"The band error of {words} is under twice that of real windows"
        claimed += non_inferior(f"X-floor-{short}", method, FLOOR, error, margin=math.log10(2.0), says=says, **floor)
    return claimed


def _sweep_claims(error: Reading) -> list[Claim]:
    falls: dict[str, Any] = {"holds": Below(0.0), "source": "control"}
    claimed: list[Claim] = []
    for method, (short, words) in _COMPARED.items():
        says = f"The band error of {words} falls with training compute"
        swept = error.at(view=COMPUTE)
        claimed += slope(f"X-budget-{short}", method, swept, over="budget", says=says, unit="log error / log FLOPs", **falls)
    says = f"The band error of {_COMPARED[WORKING][1]} falls with the number of sampling steps"
    return claimed + slope(
        "X-steps", WORKING, error.at(view=STEPS), over="sampling_steps", says=says, unit="log error / log steps", **falls
    )
