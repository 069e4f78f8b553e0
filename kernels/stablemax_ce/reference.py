"""StableMax cross-entropy in plain torch: the truth that the kernels are held to, and the form that compiles well."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor


def stablemax_ce_reference(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """log sum_k s(x_k) - log s(x_y) with s(x) = x + 1 for x >= 0 and 1/(1 - x) for x < 0, in float64 as the authors compute it.

    logits (..., R, C) of any floating dtype, labels (..., R). Losses (..., R), or with reduction `mean` their means (...), in float32
    (float64 for float64). Without the authors' 1e-30 in the denominator, which keeps autograd finite at x = 1; a clamp does that here.
    Source: arXiv 2501.04697 and the authors' utils.py.
    """
    x = logits.double()
    s = torch.where(x < 0, 1.0 / (1.0 - x.clamp(max=0.0)), x + 1.0)
    loss = s.sum(-1).log() - s.gather(-1, labels[..., None]).squeeze(-1).log()
    reduced = loss.mean(-1) if reduction == "mean" else loss
    return reduced.to(torch.promote_types(logits.dtype, torch.float32))


def softmax_form(logits: Tensor, labels: Tensor, reduction: str = "mean", cross_entropy: Callable[..., Tensor] = F.cross_entropy) -> Tensor:
    """The same loss as the softmax cross-entropy of log s(x) = sgn(x) log(1 + |x|), in float32 (float64 for float64).

    What torch has kernels for, so that it is what `backend="compile"` compiles. A loss under about 1e-7 is lost to rounding in float32.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # clamp passes a gradient at 0 and relu does not: together the slope there is 1.
    mapped = torch.log1p(x.clamp(min=0.0)) - torch.log1p(F.relu(-x))
    loss = cross_entropy(mapped.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
    return loss.mean(-1) if reduction == "mean" else loss
