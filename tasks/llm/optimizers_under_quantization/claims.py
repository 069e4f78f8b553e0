"""What the paper claims, each as a number and the region in which the claim holds."""

from __future__ import annotations

from typing import Any

from harness.bounds import CORRELATION, POSITIVE, SHARE
from harness.claims import All, better, extreme, slope
from harness.correlations import Correlation, CorrelationGap
from harness.estimates import Difference, Estimate, Of, paired
from harness.task import Above, Below, Claim, Experiment, Region
from tasks.llm.optimizers_under_quantization.ladder import RATE, RISE
from tasks.llm.optimizers_under_quantization.measured import AtCommonLoss, Efficiency, QatDrop

OPTIMIZERS = ("adamw", "muon", "psgd", "scion", "shampoo", "soap")
SIX = ("laptop", "gpu", "paper")
BASE_RATES: dict[str, Any] = {"decay_multiplier": 1.0, "embedding_multiplier": 1.0}
"""Of what else is swept than the rate of all parameters."""
RHO = {"shampoo": 0.879, "adamw": 0.863, "scion": 0.856, "muon": 0.852, "soap": 0.822, "psgd": 0.739}
"""The paper's parameter efficiencies at 4 bits."""


def _others(method: str) -> list[str]:
    return [name for name in OPTIMIZERS if name != method]


def claims(base: Experiment) -> list[Claim]:
    """All claims; `base` is the sweep in full precision whose networks are quantized afterwards."""
    return [*_predictors(base), *_common_loss(base), *_training(), *_efficiencies(), *_errors(base), *_outliers(base)]


def _predictors(base: Experiment) -> list[Claim]:
    note = (
        "Published against accuracy after quantization, so its sign is turned here: more loss is less accuracy. Six points, one an "
        "optimizer, are what the interval counts: seeds make them sharper and no more. The paper's own r = 0.62 has [-0.4, 0.95]."
    )
    about: dict[str, Any] = {"scales": SIX, "note": note, "null": 0.0}
    rise, table = base["rise_w4a4"], "table of correlations at 760M"

    def correlates(id: str, words: str, metric: str, *, published: float | None = None) -> Claim:
        ranked, outliers = id.endswith("-rank"), metric != "r_l"
        return Claim(
            id=f"C1-{id}",
            statement=words,
            source=f"abstract and the {table}" if outliers else table,
            estimate=Correlation(base[metric], rise, ranked),
            holds=Below(0.0) if outliers else Above(0.5),
            published=published,
            unit="Spearman's r" if ranked else "Pearson's r",
            bounds=CORRELATION,
            group="C1-outliers" if outliers else "C1-residual",
            **about,
        )

    def beats(metric: str, name: str, published: float) -> Claim:
        return Claim(
            id=f"C1-residual-beats-{metric.split('_')[0]}",
            statement=f"R_L follows the rise of the loss under W4A4 more closely over the optimizers than {name} does",
            source=f"abstract: outlier metrics fail to predict; {table}",
            estimate=CorrelationGap(base["r_l"], base[metric], rise),
            holds=Above(0.0),
            published=published,
            unit="Pearson's r",
            group="C1-residual-beats",
            primary=True,
            **about,
        )

    fails = "More outliers do not go with more loss: over the optimizers {} {} where the loss under W4A4 rises"
    return [
        correlates("residual", "R_L predicts the loss under W4A4 over the optimizers", "r_l", published=0.89),
        correlates("residual-rank", "R_L ranks the optimizers under W4A4", "r_l"),
        correlates("mmr", fails.format("the max-to-median ratio (the body's MMR)", "falls"), "mmr_median", published=-0.62),
        correlates("mmr-mean", fails.format("the max-to-mean ratio (the abstract's MMR)", "falls"), "mmr_mean"),
        correlates("mmr-rank", fails.format("the rank of the max-to-median ratio", "falls"), "mmr_median"),
        correlates("kurtosis", fails.format("kurtosis", "falls"), "kurtosis", published=-0.70),
        beats("mmr_median", "the max-to-median ratio", 1.51),
        beats("kurtosis", "kurtosis", 1.59),
    ]


def _common_loss(base: Experiment) -> list[Claim]:
    accuracies = (
        "Ours is the rise of the validation loss; the paper has zero-shot accuracy after W4A4, mean of PIQA, HellaSwag and ARC-E: AdamW, "
        "Muon, Shampoo 49.23, 47.42, 53.93 (350M), 55.17, 50.60, 55.65 (500M), 59.22, 50.00, 59.26 (760M), 62.51, 47.75, 63.88 (1.5B)."
    )
    disagrees = "At 760M SOAP has 46.22, below Muon's 50.00: the paper's own table disagrees with the sentence there."
    table = "table of post-training quantization"
    mmr = "Muon-trained networks have a lower max-to-median ratio than AdamW-trained ones"

    def against_adamw(method: str, words: str, holds: Region) -> Claim:
        return Claim(
            id=f"C2-{method}",
            statement=f"At the same loss before quantization, rates taken to zero, {words} under W4A4 than an AdamW-trained one",
            estimate=Difference(AtCommonLoss(method), AtCommonLoss("adamw")),
            holds=holds,
            source=table,
            group=f"C2-{method}",
            null=0.0,
            unit="nats/token",
            note=accuracies,
        )

    def on_the_way(method: str, holds: Region) -> Claim:
        words = "loses less" if method == "shampoo" else "loses more"
        return Claim(
            id=f"C2-{method}-on-the-way",
            kind="control",
            statement=f"At the same loss, its rate left as it was, a {method}-trained network {words} under W4A4 than an AdamW-trained one",
            estimate=Difference(AtCommonLoss(method, RISE), AtCommonLoss("adamw", RISE)),
            holds=holds,
            source="ours: the comparison of checkpoints as it is usually made",
            null=0.0,
            unit="nats/token",
            note="A network that comes to the common loss early has most of its rate left, and is compared with one that has hardly any.",
        )

    rate_left = Claim(
        id="C2-rate-left",
        kind="control",
        statement="On its way Muon comes to the common loss with more of its rate left than AdamW",
        estimate=Difference(AtCommonLoss("muon", RATE), AtCommonLoss("adamw", RATE)),
        holds=Above(0.0),
        source="ours: why networks are annealed before they are compared",
        null=0.0,
        unit="share of the peak rate",
    )
    of_all = "At the same loss before quantization, rates taken to zero, {} under W4A4 than any of the other five"
    about: dict[str, Any] = {"unit": "nats/token", "scales": SIX}
    shampoo: dict[str, Any] = {"group": "C2-shampoo", "source": f"notes on the paper; {table}", "note": accuracies, **about}
    muon: dict[str, Any] = {"group": "C2-muon", "source": "notes on the paper; at 350M by the table", "note": disagrees, **about}
    less, more = of_all.format("Shampoo loses less"), of_all.format("Muon loses more")
    return [
        against_adamw("shampoo", "a Shampoo-trained network loses less", Below(0.0)),
        against_adamw("muon", "a Muon-trained network loses more", Above(0.0)),
        on_the_way("shampoo", Below(0.0)),
        on_the_way("muon", Above(0.0)),
        rate_left,
        *extreme("C2-shampoo-least", "shampoo", _others("shampoo"), AtCommonLoss, most="lowest", says=less, **shampoo),
        *extreme("C2-muon-most", "muon", _others("muon"), AtCommonLoss, most="highest", says=more, **muon),
        *better("C2-muon-mmr", "muon", "adamw", base["mmr_median"], says=mmr, source="notes on the paper"),
    ]


def _training() -> list[Claim]:
    note = (
        "Ours is the relative rise of the loss; the paper has the relative fall of accuracy in percent, AdamW, Muon, Shampoo: 3.43, 4.98, "
        "2.64 (350M), 0.53, 0.73, 0.38 (500M), 2.63, 3.57, 0.46 (760M), 1.63, 2.11, 1.20 (1.5B). Muon's 2.11 at 1.5B is the gap in points; "
        "relative, as the others are, it is 3.05."
    )

    words = "Under 4-bit QAT Shampoo falls back less behind its own full-precision baseline than {}"
    about: dict[str, Any] = {"unit": "percent of the loss", "group": "C3-shampoo", "note": note}
    table = "table of quantization-aware training"
    return [
        Claim(
            id="C3-shampoo",
            statement=words.format("AdamW"),
            estimate=paired("shampoo", "adamw", QatDrop()),
            holds=Below(0.0),
            source=table,
            null=0.0,
            **about,
        ),
        *extreme(
            "C3-shampoo-least",
            "shampoo",
            _others("shampoo"),
            lambda name: Of(name, QatDrop()),
            most="lowest",
            says=words.format("any of the other five"),
            source=f"abstract: Shampoo shows the lowest degradation; {table}",
            primary=True,
            scales=SIX,
            **about,
        ),
    ]


def _efficiencies() -> list[Claim]:
    note = (
        "L = A / (N rho)^alpha + E over the sizes of one seed, E and alpha shared between the optimizers. The paper fits E by optimizer "
        "(AdamW 1.40, Muon 1.85, PSGD 1.39, Scion 1.75, Shampoo 1.72, SOAP 2.22): E then absorbs what rho should show."
    )

    about: dict[str, Any] = {"unit": "rho", "scales": SIX, "note": note}
    keeps, table = "At 4 bits Shampoo keeps a larger share of its parameters' worth than", "table of scaling laws"
    lead: dict[str, Any] = {"published": 0.016, "group": "C4-shampoo", **about}
    over_adamw = Difference(Efficiency("shampoo"), Efficiency("adamw"))
    costs = "4-bit QAT with {} costs parameters: a network of N is worth one of less than N"
    return [
        Claim(id="C4-shampoo", statement=f"{keeps} AdamW", estimate=over_adamw, holds=Above(0.0), source=table, null=0.0, **lead),
        *extreme(
            "C4-shampoo-most",
            "shampoo",
            _others("shampoo"),
            Efficiency,
            most="highest",
            says=f"{keeps} any of the other five",
            source=f"abstract: the highest parameter efficiency of all tested optimizers; {table}",
            primary=True,
            **lead,
        ),
        *(
            Claim(
                id=f"C4-rho-{name}",
                statement=costs.format(name),
                estimate=Efficiency(name),
                holds=Below(1.0),
                source=table,
                published=RHO[name],
                null=1.0,
                bounds=POSITIVE,
                group="C4-rho",
                **about,
            )
            for name in OPTIMIZERS
        ),
    ]


def _errors(base: Experiment) -> list[Claim]:
    alignment, spectral = (base[metric].untuned() for metric in ("log_alignment", "log_spectral"))
    source = "section on the error decomposition"
    return [
        Claim(
            id="C5-accumulation",
            statement="In most linear layers and blocks the error under W4A4 is mainly carried over: A exceeds B and |C|",
            source=f"abstract: errors accumulate and propagate; {source}",
            estimate=base["accumulated"].untuned(),
            holds=Above(0.5),
            unit="share of the layers",
            null=1 / 3,
            bounds=SHARE,
            primary=True,
            note="Of three terms alike each is the largest in a third. The first block's projections have no incoming error and count "
            "against the claim: with few blocks they weigh more.",
        ),
        Claim(
            id="C5-alignment",
            statement="The gain of linear layers is driven by alignment: |log G2| exceeds |log G1|",
            source=source,
            estimate=Difference(alignment, spectral),
            holds=Above(0.0),
            null=0.0,
            unit="nats",
            note="G = G1 G2 holds where only weights are rounded. Rounding a layer's own inputs adds a third factor: gain_rounding.",
        ),
        *extreme(
            "C5-muon-gain",
            "muon",
            _others("muon"),
            base["gain"].of,
            most="highest",
            says="Linear layers of Muon-trained networks have a higher gain than those of any of the other five",
            source=source,
            unit="ratio",
            scales=SIX,
        ),
    ]


def _outliers(base: Experiment) -> list[Claim]:
    about: dict[str, Any] = {
        "source": "section on outliers",
        "unit": "slope",
        "scales": SIX,
        "holds": Above(0.0),
        "null": 0.0,
        "group": "C6",
    }
    ratio, gives = (
        base["mmr_median"].at(**BASE_RATES),
        "A higher learning rate gives {} a higher max-to-median ratio",
    )
    rises = [
        claim for name in OPTIMIZERS for claim in slope(f"C6-{name}", name, ratio, over="lr_multiplier", says=gives.format(name), **about)
    ]
    every: tuple[Estimate, ...] = tuple(claim.estimate for claim in rises)
    return [*rises, Claim(id="C6-every", statement=gives.format("every one of the six optimizers"), estimate=All(every), **about)]
