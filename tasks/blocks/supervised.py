"""Training and evaluation of classifiers, the same for every method of a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.optim import Schedule, sgd
from tasks.blocks.training import Loop, Trained, generator, precision, train
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.images import Images, spread
from tasks.datasets.text_splits import Split

_EVAL_BATCH = 256
_SHIFT = 4


class BatchLoss(Protocol):
    """The scalar that is differentiated, from a batch on the model's device."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """inputs: (batch, channels, height, width); targets: (batch,) classes."""
        ...


TargetHook = Callable[[Tensor, Tensor], Tensor]
"""What a batch is taught instead of its labels: from the places of its images in the training split, int64 (batch,), and their labels."""


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
    batches = _Batches(trial)
    schedule = recipe.schedule(len(batches.index), params.batch)
    optimizer = sgd(model, recipe.lr, decay=params.decay) if optimizer is None else optimizer

    def step_loss(step: int) -> Tensor:
        epoch, fresh = batches.epoch(step)
        if fresh and on_epoch is not None:
            on_epoch(epoch)
            model.train()
        places, inputs, labels = batches(step)
        taught = labels if targets is None else targets(places, labels)
        with precision(device.type, params.precision):
            return loss(model, _placed(inputs, device), taught.to(device))

    model.train()
    logged = max(1, min(50, schedule.steps // 20))
    streams = {"augmentation": batches.stream}
    loop = Loop(model=model, optimizer=optimizer, schedule=schedule, loss=step_loss, streams=streams, log_every=logged, stage=stage)
    return train(trial, loop)


class _Batches:
    """The trial's training images, a permutation of them an epoch. Orders follow from the seed and the epoch, so that a run can resume."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.params, self.images = trial, trial.params, _images(trial)
        self.index = spread(self.images.count("train"), self.params.train_images or self.images.count("train"))
        self.stream = generator(trial.seed_for("batches"))
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def epoch(self, step: int) -> tuple[int, bool]:
        """The epoch that step's batch begins in, and whether no earlier batch does."""
        begin, size = step * self.params.batch, len(self.index)
        return begin // size, step == 0 or (begin - self.params.batch) // size < begin // size

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Places, images and labels of a step's batch; one that crosses the end of an epoch goes on in the next permutation."""
        size, batch = len(self.index), self.params.batch
        begin = step * batch
        places: list[int] = []
        while len(places) < batch:
            epoch, offset = divmod(begin + len(places), size)
            places += self._permutation(epoch)[offset : offset + batch - len(places)].tolist()
        chosen = self.index[places]
        if isinstance(self.images, FolderImages):
            return torch.from_numpy(chosen), *self.images.take("train", chosen, self.stream)
        inputs, labels = self.images.take("train", chosen)
        return torch.from_numpy(chosen), (augmented(inputs, self.stream) if self.params.augment else inputs), labels

    def _permutation(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.randperm(len(self.index), generator=generator(self.trial.seed_for(f"batches of epoch {epoch}")))
            self._order = (epoch, order)
        return self._order[1]


def augmented(images: Tensor, stream: torch.Generator) -> Tensor:
    """Each image mirrored with probability 1/2 and shifted by up to 4 pixels each way, zeros coming in (He et al. 2016)."""
    count, _, height, width = images.shape
    mirrored = torch.rand(count, 1, 1, 1, generator=stream) < 0.5
    shifts = torch.randint(0, 2 * _SHIFT + 1, (2, count, 1), generator=stream)
    padded = F.pad(torch.where(mirrored, images.flip(3), images), (_SHIFT,) * 4)
    rows, columns = shifts[0] + torch.arange(height), shifts[1] + torch.arange(width)
    picked = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).contiguous()


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
    images, params, device = _images(trial), trial.params, next(model.parameters()).device
    training = model.training
    model.eval()
    for inputs, labels in images.batches(split, _EVAL_BATCH, params.eval_images or images.count(split)):
        with precision(device.type, params.precision):
            logits = model(_placed(inputs, device)).float()
        yield logits, labels.to(device)
    model.train(training)


def _placed(images: Tensor, device: torch.device) -> Tensor:
    """On a CPU with the channels last, which every layer then keeps to: a step of vgg7 takes a quarter less. Weights stay as they are."""
    return images.contiguous(memory_format=torch.channels_last) if device.type == "cpu" else images.to(device)


def _images(trial: Trial) -> Images | FolderImages:
    images = trial.dataset()
    assert isinstance(images, Images | FolderImages)
    return images
