"""The methods by what they do, without torch."""

from __future__ import annotations

MERGING = ("ifm", "ifm-folded", "ifm-deviations")
"""Iterative Feature Merging; these alone have a threshold."""
CLUSTERING = ("kmeans", "kmeans-repair")
CUTTING = ("random", "l2", "l2-in-out", "fpgm", "group-norm")
"""Methods that cut channels out, by a criterion of `tasks.pruning.criteria`."""
NEED_BATCHNORM = ("ifm-folded", "ifm-deviations", "kmeans-repair")
"""Without BatchNorm the first two are ifm, and the last has no statistics to restore."""

WITH_NORM = (*MERGING, *CLUSTERING, *CUTTING)
WITHOUT_NORM = tuple(method for method in WITH_NORM if method not in NEED_BATCHNORM)
