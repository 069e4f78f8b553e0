"""Soft filter pruning (He et al. 2018): filters are zeroed after every epoch but stay in training, and go at the end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.complexity import Shape
from tasks.blocks.optim import sgd
from tasks.blocks.supervised import fit
from tasks.blocks.training import Trained
from tasks.pruning.axes import Axis, channel_axes, remove
from tasks.pruning.budget import keep_at_reduction
from tasks.pruning.criteria import scores
from tasks.pruning.dynamic_pruning_ftwt.recipe import after_dense
from tasks.pruning.dynamic_pruning_ftwt.task import Params


class Softly(nn.Module):
    """A network whose filters of least L2 norm are silenced: for the moment, and for good once it is `settled`.

    Only convolutions are zeroed, as published: a zeroed filter still passes on what its norm makes of nothing.
    """

    settled: Tensor

    def __init__(self, model: nn.Module, shape: Shape, reduction: float) -> None:
        super().__init__()
        self.model, self._shape, self._reduction = model, shape, reduction
        self._axes = channel_axes(model, shape)
        self._dropped: list[tuple[nn.Parameter, Tensor]] = []
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the classes."""
        logits: Tensor = self.model(images)
        return logits

    def least(self) -> Mapping[str, Tensor]:
        """The filters to keep: those of the greatest L2 norm, the same share of every layer."""
        return keep_at_reduction(self.model, self._shape, scores(self.model, self._shape, "l2"), self._reduction)

    def silence(self) -> None:
        """Zero the filters that are least now."""
        self._dropped = _filters(self.model, self._axes, self.least())
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Zero them again. A run that resumes finds them by their norm, which is still zero."""
        if not self._dropped:
            self._dropped = _filters(self.model, self._axes, self.least())
        for weight, index in self._dropped:
            weight[index] = 0.0

    @torch.no_grad()
    def bound(self) -> None:
        """Shrink filters that grew again to at most the mean norm of their layer's others, which BatchNorm makes no difference of.

        It divides by the root of its epsilon where a filter gives nothing, so that their first steps are huge: unbounded they end ten
        times as large as any trained filter, too large to learn, and the trained ones are pruned next.
        """
        for weight, index in self._dropped:
            norms = weight.flatten(1).norm(dim=1)
            others = torch.ones_like(norms, dtype=torch.bool).index_fill_(0, index, False)
            factor = (norms[others].mean() / norms[index].clamp_min(torch.finfo(norms.dtype).tiny)).clamp_max(1.0)
            weight[index] *= factor.view(-1, *[1] * (weight.dim() - 1))


def _filters(model: nn.Module, axes: list[Axis], keep: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    """The convolutions' weights with the indices of the filters that are not kept."""
    found = []
    for axis in axes:
        dropped = torch.ones(axis.size, dtype=torch.bool)
        dropped[keep[axis.name].cpu()] = False
        for name in axis.modules("out", "depthwise"):
            weight = model.get_submodule(name).get_parameter("weight")
            found.append((weight, dropped.nonzero().flatten().to(weight.device)))
    return found


def soft_filter_pruning(trial: Trial, model: nn.Module, shape: Shape, images: Tensor) -> tuple[nn.Module, Trained]:
    """The trained, physically smaller network; `images` are training images.

    In the second half of the epochs the silenced filters stay so. As published they may grow to the end, which takes hundreds of epochs
    to settle: BatchNorm brings a filter back to full scale within a few steps, however small its weights, and its removal then hurts.
    Removal takes away the constants that silent filters passed on; measuring the norms anew absorbs these in the next layer.
    """
    params: Params = trial.params
    softly = Softly(model, shape, params.reduction)
    optimizer = sgd(softly, params.lr, decay=params.decay)

    def after_epoch(epoch: int) -> None:
        if epoch > 0:
            softly.silence()
        softly.settled.fill_(epoch >= params.epochs / 2)

    optimizer.register_step_post_hook(lambda *_: softly.hold() if softly.settled else softly.bound())
    trained = fit(trial, softly, after_dense(params), optimizer=optimizer, on_epoch=after_epoch)
    if trained.diverged:
        return model, trained
    smaller = remove(model, shape, softly.least())
    remeasure_norms(smaller, images)
    return smaller, trained


@torch.no_grad()
def remeasure_norms(model: nn.Module, images: Tensor) -> None:
    """Replace every BatchNorm's running statistics by those of `images`."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    model(images)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
