"""What classifiers say of generated windows: is the asked-for class found, do they teach, can they be told apart.

All on `features` of windows (n, channels, samples), in one unit on both sides; labels are class indices (n,). Accuracies are means over the
classes, so that chance is 1 / classes however unequal their sizes. A window that is not finite makes a result NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.eeg.features import features

TREES = 100
"""Of the extremely randomised forest (Geurts et al., Machine Learning 63, 2006): quick, and blind to the scale of a feature."""


class Recovery(NamedTuple):
    """Which class each generated window looks like."""

    accuracy: float
    confusion: NDArray[np.float64]
    """(classes, classes): the row of an asked-for class holds the shares found for each class; NaN where none was asked for."""


def recovery(real_x: Tensor, real_y: Tensor, fake_x: Tensor, fake_y: Tensor, rate: float, *, classes: int, neighbours: int = 5) -> Recovery:
    """Classes of the fakes by their nearest real windows, features standardised by the real ones' mean and deviation."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known, asked = _features(real_x, rate), _features(fake_x, rate)
    if not _finite(known, asked):
        return Recovery(math.nan, np.full((classes, classes), math.nan))
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(min(neighbours, len(known))))
    found = model.fit(known, _labels(real_y)).predict(asked)
    confusion = _shares(_labels(fake_y), found, classes)
    return Recovery(float(np.nanmean(confusion.diagonal())), confusion)


def tstr(real_x: Tensor, real_y: Tensor, fake_x: Tensor, fake_y: Tensor, rate: float, *, seed: int) -> float:
    """Train on synthetic, test on real: accuracy on the real windows of a forest that saw the fakes (Esteban et al., arXiv 1706.02633)."""
    train, test = _features(fake_x, rate), _features(real_x, rate)
    if not _finite(train, test):
        return math.nan
    asked, found = _labels(real_y), _forest(seed).fit(train, _labels(fake_y)).predict(test)
    return float(np.mean([np.mean(found[asked == label] == label) for label in np.unique(asked)]))


def c2st(real: Tensor, fake: Tensor, rate: float, *, seed: int, folds: int = 5) -> float:
    """Classifier two-sample test: cross-validated accuracy in telling real from fake; 0.5 when they cannot be told apart, 1 when always.

    The larger side is cut to the smaller's size by the seed (Lopez-Paz and Oquab, ICLR 2017). A window that comes twice on one side can be
    recognised by its copy. ValueError for fewer windows than folds on a side.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    size = min(len(real), len(fake))
    if size < folds:
        raise ValueError(f"c2st: {len(real)} real and {len(fake)} fake windows for {folds} folds")
    rng = np.random.default_rng(seed)
    sides = [_features(x[torch.from_numpy(np.sort(rng.permutation(len(x))[:size])).to(x.device)], rate) for x in (real, fake)]
    if not _finite(*sides):
        return math.nan
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return float(cross_val_score(_forest(seed), np.concatenate(sides), np.repeat([0, 1], size), cv=split).mean())


def _forest(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(TREES, random_state=seed)


def _shares(asked: NDArray[np.int64], found: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Row-wise shares of (asked, found) pairs."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (asked, found), 1.0)
    totals = counts.sum(1, keepdims=True)
    shares = np.full((classes, classes), math.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def _features(windows: Tensor, rate: float) -> NDArray[np.float64]:
    described: NDArray[np.float64] = features(windows, rate).double().cpu().numpy()
    return described


def _labels(labels: Tensor) -> NDArray[np.int64]:
    listed: NDArray[np.int64] = labels.cpu().numpy()
    return listed


def _finite(*arrays: NDArray[np.float64]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)
