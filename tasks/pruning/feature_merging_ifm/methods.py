"""The methods, and what kind each is."""

from __future__ import annotations

from harness.task import Method
from tasks.pruning.params import DENSE

METHODS = (
    Method(DENSE, "floor", "the network that all others start from, with all its channels"),
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

MERGING = ("ifm", "ifm-folded", "ifm-deviations")
"""Iterative Feature Merging; these alone have a threshold."""
CLUSTERING = ("kmeans", "kmeans-repair")
CUTTING = ("random", "l2", "l2-in-out", "fpgm", "group-norm")
"""Methods that cut channels out, by a criterion of `tasks.pruning.criteria`."""
NEED_BATCHNORM = ("ifm-folded", "ifm-deviations", "kmeans-repair")
"""Without BatchNorm the first two are ifm, and the last has no statistics to restore."""

REDUCING = (*MERGING, *CLUSTERING, *CUTTING)
"""All that make a network smaller."""
WITHOUT_NORM = tuple(method for method in REDUCING if method not in NEED_BATCHNORM)
