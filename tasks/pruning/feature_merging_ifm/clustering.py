"""k-means folding, the rival of the same kind: channels in clusters, each of which becomes its centre (Model Folding, 2502.10216)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.pruning.axes import Axis
from tasks.pruning.feature_merging_ifm.distances import Carrier
from tasks.pruning.feature_merging_ifm.merging import Groups

_STARTS = 5


def features(carriers: Mapping[str, Carrier], axis: str) -> Tensor:
    """Incoming and outgoing weights of each channel of an axis, float64 (channels, weights): what IFM's distance compares as well."""
    incoming = [carrier.weight.flatten(1) for carrier in carriers.values() if carrier.rows == axis]
    outgoing = [carrier.weight.transpose(0, 1).flatten(1) for carrier in carriers.values() if carrier.columns == axis]
    return torch.cat([*incoming, *outgoing], 1).to("cpu", torch.float64)


def clusters(points: Tensor, count: int, seed: int) -> Groups:
    """`count` clusters of the rows of `points` by k-means, none empty.

    Where equal rows leave a cluster without a member, the largest one gives up the member farthest from its centre.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        raise UsageError("k-means folding needs scikit-learn: install papertrial's extra `data`") from None
    if points.shape[1] > points.shape[0]:
        left, values, _ = torch.linalg.svd(points, full_matrices=False)
        points = left * values  # the same distances in as many dimensions as there are channels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct rows than clusters, which is dealt with below
        labels = KMeans(count, n_init=_STARTS, random_state=seed % 2**32).fit_predict(points.numpy())
    found = [[index for index, label in enumerate(labels) if label == cluster] for cluster in range(count)]
    groups = [group for group in found if group]
    while len(groups) < count:
        largest = max(groups, key=len)
        centre = points[largest].mean(0)
        farthest = largest[int((points[largest] - centre).square().sum(1).argmax())]
        largest.remove(farthest)
        groups.append([farthest])
    return tuple(sorted(tuple(group) for group in groups))


def repair(model: nn.Module, axes: Sequence[Axis], groups: Mapping[str, Groups], carriers: Mapping[str, Carrier]) -> None:
    """Give the mean of standardised channels its variance back, without data: gain x sqrt(n / (1 + (n - 1) rho)) for a cluster of n.

    rho is the mean cosine between the members' weights, the stand-in for the correlation of their outputs.
    """
    for axis in axes:
        points = features(carriers, axis.name)
        points = points / points.norm(dim=1, keepdim=True).clamp_min(1e-12)
        gains = [_gain(points[list(group)]) for group in sorted(groups[axis.name])]
        for module in axis.modules("norm"):
            norm = model.get_submodule(module)
            assert isinstance(norm, nn.BatchNorm2d)
            with torch.no_grad():
                norm.weight.mul_(torch.tensor(gains, dtype=norm.weight.dtype, device=norm.weight.device))


def _gain(directions: Tensor) -> float:
    """sqrt(n / (1 + (n - 1) rho)) of unit vectors (n, weights); rho below 0 counts as 0."""
    count = len(directions)
    if count == 1:
        return 1.0
    rho = (float(directions.sum(0).square().sum()) - count) / (count * (count - 1))
    return float((count / (1.0 + (count - 1) * max(0.0, rho))) ** 0.5)
