"""Soft filter pruning (He et al. 2018): filters are zeroed before the first epoch and after each, stay in training, and go at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.complexity import Shape
from tasks.blocks.optim import sgd
from tasks.blocks.supervised import fit
from tasks.blocks.training import Trained
from tasks.datasets.images import spread
from tasks.pruning.axes import Dim, channel_axes, remove
from tasks.pruning.budget import keep_at_reduction
from tasks.pruning.criteria import scores
from tasks.pruning.dynamic_pruning_ftwt.recipe import after_dense


class Softly(nn.Module):
    """A network whose filters of least L2 norm are silent: free to grow until it is `settled`, then gone in all but shape.

    Free filters lose their convolution alone, as published: they still pass on what BatchNorm makes of nothing. Settled ones lose its
    scale and shift too, so that they pass on nothing and their removal changes no logit.
    """

    steps: Tensor

    def __init__(self, model: nn.Module, shape: Shape, reduction: float, settling: int) -> None:
        """`settling`: the training step from which on silent filters stay so."""
        super().__init__()
        self.model, self._shape, self._reduction, self._settling = model, shape, reduction, settling
        self._axes = channel_axes(model, shape)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for place, axis in enumerate(self._axes):
            self.register_buffer(f"silent{place}", torch.zeros(axis.size, dtype=torch.bool, device=next(model.parameters()).device))
        self._taken: int | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the classes."""
        logits: Tensor = self.model(images)
        return logits

    @property
    def settled(self) -> bool:
        """Whether silent filters stay silent from now on."""
        # A run that resumes has its count in the buffer; after that it is kept here, because reading it would wait for the device.
        self._taken = int(self.steps) if self._taken is None else self._taken
        return self._taken >= self._settling

    @property
    def kept(self) -> Mapping[str, Tensor]:
        """The filters that are not silent, by axis."""
        return {axis.name: (~self._silent(place)).nonzero().flatten() for place, axis in enumerate(self._axes)}

    def silence(self) -> None:
        """Zero the filters of least L2 norm, the same share of every layer; those that were silent before are free again."""
        keep = keep_at_reduction(self.model, self._shape, scores(self.model, self._shape, "l2"), self._reduction)
        for place, axis in enumerate(self._axes):
            silent = self._silent(place)
            silent.fill_(True)[keep[axis.name].to(silent.device)] = False
        self._zero("weight", "out", "depthwise")

    @torch.no_grad()
    def after_step(self) -> None:
        """Bound what grew again, or hold it at nothing."""
        self.steps += 1
        self._taken = int(self.steps) if self._taken is None else self._taken + 1
        if not self.settled:
            self._bound()
            return
        self._zero("weight", "out", "depthwise", "norm")
        self._zero("bias", "out", "depthwise", "norm")

    def _bound(self) -> None:
        """Shrink filters that grew again to at most the least norm that is kept in their layer, which BatchNorm makes no difference of.

        It divides by the root of its epsilon where a filter gives nothing, so that its first steps are huge. Unbounded it ends ten times as
        large as any trained filter, too large to learn, and at the next pruning the trained ones go in its place: what stays in the
        end has hardly been trained. So bounded, a filter comes back once one that was kept has fallen below it.
        """
        for weight, silent in self._silenced("weight", "out", "depthwise"):
            norms = weight.flatten(1).norm(dim=1)
            factor = (norms[~silent].min() / norms.clamp_min(torch.finfo(norms.dtype).tiny)).clamp_max(1.0)
            weight *= torch.where(silent, factor, 1.0).view(-1, *[1] * (weight.dim() - 1))

    @torch.no_grad()
    def _zero(self, name: str, *dims: Dim) -> None:
        for parameter, silent in self._silenced(name, *dims):
            parameter[silent] = 0.0

    def _silenced(self, name: str, *dims: Dim) -> Iterator[tuple[Tensor, Tensor]]:
        """A parameter of every member of these kinds that has it, with the mask of what is silent there."""
        for place, axis in enumerate(self._axes):
            for module in axis.modules(*dims):
                parameter = getattr(self.model.get_submodule(module), name)
                if parameter is not None:
                    yield parameter, self._silent(place)

    def _silent(self, place: int) -> Tensor:
        return self.get_buffer(f"silent{place}")


def soft_filter_pruning(trial: Trial, model: nn.Module, shape: Shape) -> tuple[nn.Module, Trained]:
    """The trained, physically smaller network.

    Filters are free for half of the steps, and settled for the other: as published they may grow to the end, which takes hundreds of
    epochs to come to rest, and what was free a moment ago would be removed untrained or missed.
    """
    params, recipe, images = trial.params, after_dense(trial.params), trial.dataset()
    count = len(spread(images.count("train"), params.train_images or images.count("train")))
    softly = Softly(model, shape, params.reduction, settling=recipe.schedule(count, params.batch).steps // 2)
    optimizer = sgd(softly, params.lr, decay=params.decay)
    optimizer.register_step_post_hook(lambda *_: softly.after_step())
    trained = fit(trial, softly, recipe, optimizer=optimizer, on_epoch=lambda _: None if softly.settled else softly.silence())
    return (model if trained.diverged else remove(model, shape, softly.kept)), trained
