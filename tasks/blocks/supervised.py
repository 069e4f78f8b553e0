"""Training and evaluation of classifiers, the same for every method of a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.batches import Batches, TargetHook, images_of, laid_out
from tasks.blocks.optim import Schedule, sgd
from tasks.blocks.training import Loop, Trained, precision, train
from tasks.datasets.text_splits import Split

_EVAL_BATCH = 256


class BatchLoss(Protocol):
    """The scalar that is differentiated, from a batch on the model's device."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """inputs: (batch, channels, height, width); targets: (batch,) classes."""
        ...


def noisy_labels(count: int, classes: int, share: float, stream: torch.Generator) -> TargetHook:
    """Wrong labels for a fixed `share` of the `count` training images (rounded), each drawn evenly from the other classes, once."""
    wrong = torch.randperm(count, generator=stream)[: round(share * count)]
    shift = torch.zeros(count, dtype=torch.int64)
    shift[wrong] = torch.randint(1, classes, (len(wrong),), generator=stream)
    return lambda places, labels: (labels + shift[places]) % classes


@dataclass(frozen=True)
class Recipe:
    """How long and how fast. `warmup` is the share of the steps with a linear warm-up; cosine ends at 0."""

    epochs: float
    lr: float
    shape: Literal["constant", "cosine", "steps"] = "cosine"
    warmup: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)

    def schedule(self, images: int, batch: int) -> Schedule:
        """At least one step; epochs are rounded to whole steps."""
        steps = max(1, round(self.epochs * images / batch))
        return Schedule(steps, round(self.warmup * steps), self.shape, self.milestones, floor=0.0)


def cross_entropy(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats, in single precision."""
    return F.cross_entropy(model(inputs).float(), targets)


def fit(
    trial: Trial,
    model: nn.Module,
    recipe: Recipe,
    *,
    loss: BatchLoss = cross_entropy,
    targets: TargetHook | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    on_epoch: Callable[[int], None] | None = None,
    stage: str = "",
) -> Trained:
    """Train `model` in place on the trial's training images; the methods of a seed see the same batches.

    `optimizer` is SGD with momentum 0.9, the recipe's rate and the trial's decay unless given; the schedule scales each group's first rate.
    `targets` replaces labels image by image: label noise, a teacher's answers.
    `on_epoch(epoch)` is called before the first step of epoch 0, 1, ... A resumed run does not call it again for an epoch it is in.
    A trial that fits more than once names each `stage`, so that no stage goes on from the checkpoint of another.
    """
    params, device = trial.params, next(model.parameters()).device
    batches = Batches(trial, recipe.schedule, device, targets)
    schedule = batches.schedule
    optimizer = sgd(model, recipe.lr, decay=params.decay) if optimizer is None else optimizer

    def drawn(step: int) -> tuple[Tensor, Tensor]:
        epoch, fresh = batches.epoch(step)
        if fresh and on_epoch is not None:
            on_epoch(epoch)
            model.train()
        return batches(step)

    def batch_loss(inputs: Tensor, taught: Tensor) -> Tensor:
        with precision(device.type, params.precision):
            return loss(model, laid_out(model, inputs), taught)

    model.train()
    logged = max(1, min(50, schedule.steps // 20))
    streams = {"augmentation": batches.stream}
    step_loss = lambda step: batch_loss(*drawn(step))  # noqa: E731
    # A compiler would take a loss with a `batch`, and those of methods hook what it cannot follow.
    how: dict[str, Any] = {"loss": step_loss} if trial.world_size == 1 else {"loss": batch_loss, "batch": drawn}
    try:
        return train(
            trial, Loop(model=model, optimizer=optimizer, schedule=schedule, streams=streams, log_every=logged, stage=stage, **how)
        )
    finally:
        batches.stop()


def evaluate(trial: Trial, model: nn.Module, split: Split) -> dict[str, float]:
    """Mean cross-entropy (nats) and accuracy (percent) on a split as {"val_loss": ..., "val_accuracy": ...}; the mode is left as it was."""
    total, right, count = 0.0, 0, 0
    for logits, labels in answers(trial, model, split):
        total += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += int((logits.argmax(1) == labels).sum())
        count += len(labels)
    accuracy = 100.0 * right / count if math.isfinite(total) else math.nan
    return {f"{split}_loss": total / count, f"{split}_accuracy": accuracy}


@torch.no_grad()
def answers(trial: Trial, model: nn.Module, split: Split) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits, single precision, and labels of a split on the model's device, some hundred images at a time; the mode is left as it was."""
    images, params, device = images_of(trial), trial.params, next(model.parameters()).device
    training = model.training
    model.eval()
    for inputs, labels in images.batches(split, _EVAL_BATCH, params.eval_images or images.count(split), device):
        with precision(device.type, params.precision):
            logits = model(laid_out(model, inputs)).float()
        yield logits, labels
    model.train(training)
