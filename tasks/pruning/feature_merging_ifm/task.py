"""WHAT: do channels that merge by similarity leave a network's function, and does what is left measure it? IFM, arXiv 2310.06756."""

from __future__ import annotations

from harness.task import Method, Paper, Task
from tasks.pruning.feature_merging_ifm.claims import CLAIMS
from tasks.pruning.feature_merging_ifm.columns import STATISTICS
from tasks.pruning.feature_merging_ifm.figures import FIGURES
from tasks.pruning.feature_merging_ifm.metrics import METRICS
from tasks.pruning.feature_merging_ifm.params import Params
from tasks.pruning.feature_merging_ifm.scales import SCALES, seconds
from tasks.pruning.params import requires_dense

METHODS = (
    Method("dense", "floor", "the network that all others start from, with all its channels"),
    Method(
        "ifm",
        "proposed",
        "closest pair of each layer in turn; incoming weights and all of BatchNorm added, outgoing weights averaged by counts",
    ),
    Method("ifm-folded", "control", "ifm after folding BatchNorm into the convolutions: exact on duplicates"),
    Method("ifm-deviations", "control", "ifm with the square of added deviations as the merged variance: exact on duplicates"),
    Method("kmeans", "rival", "k-means clusters of the same features, each becoming its centre (Model Folding without repair)"),
    Method("kmeans-repair", "rival", "the same on standardised channels, the variance that averaging takes given back without data"),
    Method("random", "floor", "channels cut at random"),
    Method("l2", "baseline", "channels with the smallest L2 norm of incoming weights cut"),
    Method("l2-in-out", "baseline", "channels with the smallest product of incoming and outgoing L2 norms cut"),
    Method("fpgm", "baseline", "channels nearest to the geometric median of their layer cut"),
    Method("group-norm", "baseline", "channels with the smallest group norm over all coupled layers cut (DepGraph)"),
)

TASK = Task(
    id="feature-merging-ifm",
    version=1,
    paper=Paper(
        arxiv="2310.06756",
        title="Going Beyond Neural Network Feature Similarity: The Network Feature Complexity and Its Interpretation Using Category Theory",
        year=2023,
        code="https://github.com/Ytchen981/Iterative-Feature-Merging",
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    requires=requires_dense,
    run="tasks.pruning.feature_merging_ifm.experiment:run",
    seconds=seconds,
    summary="Whether merging similar channels, without data or training, keeps accuracy, and whether what is left measures a network.",
)
