"""What the paper claims, and what its own settings say to that, each as a number and the region in which the claim holds."""

from __future__ import annotations

import math

from harness.estimates import Difference
from harness.task import Above, Below, Claim, Within
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_artifact_synthesis.designs import FLOOR, GAN, RELEASED
from tasks.eeg.eeg_artifact_synthesis.estimates import of, ratio, trend
from tasks.eeg.eeg_artifact_synthesis.metrics import band_metric
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED

MENDED, WORKING = "ddpm-eps-no-skips", "ddpm-v"
PROTOCOLS = (COMMON, PUBLISHED)
_DDPM = {
    RELEASED: "The DDPM as released, its sampler included,",
    MENDED: "The DDPM trained as released, sampled by DDIM,",
    WORKING: "The DDPM with v-prediction and decoder skips",
}
_SHORT = {RELEASED: "released", MENDED: "mended", WORKING: "working", COMMON: "common", PUBLISHED: "published"}
_WORDS = {COMMON: "both sides in one unit", PUBLISHED: "the paper's evaluation"}

TABLE = {"delta": (197, 129), "theta": (1570, 275), "alpha": (4720, 443), "beta": (507, 38), "gamma": (21900, 1610)}
"""Published relative errors of band power, DDPM and WGAN-GP."""
_MEAN = tuple(sum(pair[side] for pair in TABLE.values()) / len(TABLE) for side in (0, 1))
_LOG = "log10 of a ratio"
_EQUAL = "Equal training compute, same windows, same normalisation."


def _band_claims() -> list[Claim]:
    compared = [
        *(
            (method, protocol, band.name)
            for method, protocol in ((RELEASED, COMMON), (RELEASED, PUBLISHED), (WORKING, COMMON))
            for band in BANDS
        ),
        *((method, protocol, "") for method in _DDPM for protocol in PROTOCOLS),
    ]
    return [_band_claim(method, protocol, band) for method, protocol, band in compared]


def _band_claim(method: str, protocol: str, band: str) -> Claim:
    ddpm, wgan = TABLE[band] if band else _MEAN
    own = protocol == PUBLISHED and method == RELEASED
    return Claim(
        id=f"C1-{_SHORT[method]}-{_SHORT[protocol]}-{band or 'mean'}",
        statement=f"{_DDPM[method]} has a larger error of {band or 'mean band'} power than WGAN-GP ({_WORDS[protocol]})",
        source="table of band power",
        estimate=ratio(method, GAN, band_metric(band) if band else "band_error", protocol),
        holds=Above(0.0),
        published=round(math.log10(ddpm / wgan), 3) if own else None,
        unit=_LOG,
        note=_EQUAL if band else f"{_EQUAL} Mean over the five bands.",
    )


def _distance_claims() -> list[Claim]:
    published = {"mmd2": 0.588 - 0.396, "psd_distance": math.log10(533 / 82.7), "diversity": 1.000 - 0.957}
    words = {"mmd2": "MMD", "psd_distance": "distance of spectra", "diversity": "diversity (1 - mean correlation)"}
    claims = []
    for method in (RELEASED, WORKING):
        for protocol in PROTOCOLS:
            for metric, value in published.items():
                spectral = metric == "psd_distance"
                claims.append(
                    Claim(
                        id=f"C2-{_SHORT[method]}-{_SHORT[protocol]}-{metric.split('_')[0]}",
                        statement=f"{_DDPM[method]} has a larger {words[metric]} than WGAN-GP ({_WORDS[protocol]})",
                        source="table of metrics",
                        estimate=ratio(method, GAN, metric, protocol)
                        if spectral
                        else Difference(of(method, metric, protocol), of(GAN, metric, protocol)),
                        holds=Above(0.0),
                        published=round(value, 3) if method == RELEASED and protocol == PUBLISHED else None,
                        unit=_LOG if spectral else "",
                        note="Real windows: 1.000, in the paper. Near 1 says little: white noise has 1."
                        if metric == "diversity"
                        else "Unbiased, so it may be below 0."
                        if metric == "mmd2" and protocol == COMMON
                        else "",
                    )
                )
    return claims


def _class_claims() -> list[Claim]:
    named = {
        GAN: ("wgan", "WGAN-GP"),
        RELEASED: ("released", "the released DDPM"),
        WORKING: ("working", "the DDPM with v-prediction and skips"),
    }
    recovery = [
        Claim(
            id=f"C3-recovery-{short}",
            statement=f"The class that was asked for is found near chance in windows of {words}",
            source="discussion; no number is printed",
            estimate=of(method, "recovery_above_chance"),
            holds=Within(-0.1, 0.1),
            unit="accuracy above chance",
            note="Nearest real windows in feature space, test split. `Near` is ours: within 0.1.",
        )
        for method, (short, words) in named.items()
    ]
    gain = [
        Claim(
            id=f"C3-augmentation-{short}",
            statement=f"Windows of {words} do not help a classifier of real ones when added to its training set",
            source="discussion; no number is printed",
            estimate=of(method, "augmentation_gain"),
            holds=Below(0.01),
            unit="accuracy",
            note="Extremely randomised trees on features. A gain of under a point counts as none.",
        )
        for method, (short, words) in named.items()
    ]
    return [*recovery, *gain]


def _protocol_claims() -> list[Claim]:
    flips = [
        Claim(
            id=f"X-protocol-{_SHORT[method]}",
            statement=f"The paper's evaluation alone moves the comparison against {words}, of the same windows",
            source="control of C1",
            estimate=Difference(ratio(method, GAN, protocol=PUBLISHED), ratio(method, GAN)),
            holds=Above(0.0),
            unit=_LOG,
            note="log10 of the ratio of band errors, DDPM to WGAN-GP, in the paper's evaluation less the same on a common scale.",
        )
        for method, words in ((RELEASED, "the released DDPM"), (WORKING, "the DDPM with v-prediction and skips"))
    ]
    return [
        *flips,
        Claim(
            id="X-real-loses",
            statement="In the paper's evaluation real windows, left in z-scores like the DDPM's, have a larger band error than WGAN-GP",
            source="control of C1",
            estimate=ratio(FLOOR, GAN, protocol=PUBLISHED),
            holds=Above(0.0),
            unit=_LOG,
            note="Real windows of the validation split in the place of synthetic ones: nothing can be nearer to real ones.",
        ),
    ]


def _rival_claims() -> list[Claim]:
    pairs = {
        "v": ("ddpm-eps", WORKING, "Noise prediction has a larger band error than v-prediction, all else equal", Above(0.0)),
        "skips": ("ddpm-v-no-skips", WORKING, "Without the decoder's skips the band error is larger", Above(0.0)),
        "sampler": (RELEASED, MENDED, "The released sampler has a larger band error than DDIM, of the same network", Above(0.0)),
        "wgan-surrogates": (
            GAN,
            "phase-randomised",
            "WGAN-GP has spectra nearer to real ones than phase-randomised training windows",
            Below(0.0),
        ),
        "wgan-ar": (GAN, "ar", "WGAN-GP has spectra nearer to real ones than an autoregressive process a class", Below(0.0)),
        "ddpm-surrogates": (
            WORKING,
            "phase-randomised",
            "The DDPM has spectra nearer to real ones than phase-randomised training windows",
            Below(0.0),
        ),
        "ddpm-ar": (WORKING, "ar", "The DDPM has spectra nearer to real ones than an autoregressive process a class", Below(0.0)),
    }
    rivals = [
        Claim(id=f"X-{name}", statement=statement, source="control", estimate=ratio(left, right), holds=holds, unit=_LOG, note=_EQUAL)
        for name, (left, right, statement, holds) in pairs.items()
    ]
    floors = [
        Claim(
            id=f"X-floor-{short}",
            statement=f"The band error of {words} is under twice that of real windows",
            source="control",
            estimate=ratio(method, FLOOR),
            holds=Below(math.log10(2.0)),
            unit=_LOG,
            note="Real windows: validation against test split, which hold other stretches of time or other people.",
        )
        for method, short, words in ((GAN, "wgan", "WGAN-GP"), (WORKING, "ddpm", "the DDPM with v-prediction and skips"))
    ]
    return [*rivals, *floors]


def _scaling_claims() -> list[Claim]:
    budgets = [
        Claim(
            id=f"X-budget-{short}",
            statement=f"The band error of {words} falls with training compute",
            source="control",
            estimate=trend(method, "budget"),
            holds=Below(0.0),
            unit="log error / log FLOPs",
        )
        for method, short, words in ((GAN, "wgan", "WGAN-GP"), (WORKING, "ddpm", "the DDPM with v-prediction and skips"))
    ]
    return [
        *budgets,
        Claim(
            id="X-steps",
            statement="The band error of the DDPM with v-prediction and skips falls with the number of sampling steps",
            source="control",
            estimate=trend(WORKING, "sampling_steps"),
            holds=Below(0.0),
            unit="log error / log steps",
        ),
    ]


CLAIMS = (*_band_claims(), *_distance_claims(), *_class_claims(), *_protocol_claims(), *_rival_claims(), *_scaling_claims())
