"""The batches that a trial learns from, on the device of its model, and how they lie in memory there."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.optim import Schedule
from tasks.blocks.training import generator
from tasks.datasets.decoding import Decoding
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.images import Images, spread
from tasks.datasets.photo_views import draws
from tasks.datasets.placing import sent

_SHIFT = 4
_WIDE, _FEW = 56, 16


TargetHook = Callable[[Tensor, Tensor], Tensor]
"""What a batch is taught instead of its labels: from the places of its images in the training split, int64 (batch,), and their labels."""


class Batches:
    """The trial's training images, a permutation of them an epoch. Orders follow from the seed and the epoch, so that a run can resume.

    Photographs are decoded one batch ahead; `stop` ends that.
    """

    def __init__(
        self, trial: Trial, schedule: Callable[[int, int], Schedule], device: torch.device, targets: TargetHook | None = None
    ) -> None:
        self.trial, self.params, self.images, self.device, self.targets = trial, trial.params, images_of(trial), device, targets
        self.index = spread(self.images.count("train"), self.params.train_images or self.images.count("train"))
        self.schedule = schedule(len(self.index), self.params.batch)
        self.stream = generator(trial.seed_for("batches"))
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))
        self._begun: dict[int, Decoding] = {}

    def epoch(self, step: int) -> tuple[int, bool]:
        """The epoch that step's batch begins in, and whether no earlier batch does."""
        begin, size = step * self.params.batch, len(self.index)
        return begin // size, step == 0 or (begin - self.params.batch) // size < begin // size

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images and targets of a step's batch, on the device; one that crosses the end of an epoch goes on in the next permutation."""
        places, images = self._places(step), self.images
        if isinstance(images, FolderImages):
            pixels, labels = self._decoded(step, images)
        else:
            pixels, labels = images.read("train", places.numpy())
        taught = labels if self.targets is None else self.targets(places, labels)
        inputs, taught = images.placed((pixels, taught), self.device)
        return (augmented(inputs, self.stream) if self.params.augment and isinstance(images, Images) else inputs), taught

    def stop(self) -> None:
        """Decode nothing more."""
        for decoding in self._begun.values():
            decoding.stop()
        self._begun.clear()

    def _decoded(self, step: int, images: FolderImages) -> tuple[Tensor, Tensor]:
        """This step's, with the next one's begun: it waits behind this one, and is decoded while the model takes its step."""
        for wanted in range(step, min(step + 2, self.schedule.steps)):
            if wanted not in self._begun:
                numbers = draws(self.trial.seed_for("augmentation"), wanted * self.params.batch, self.params.batch)
                self._begun[wanted] = images.begin("train", self._places(wanted).numpy(), numbers, device=self.device)
        return self._begun.pop(step).finish()

    def _places(self, step: int) -> Tensor:
        size, batch = len(self.index), self.params.batch
        begin = step * batch
        places: list[int] = []
        while len(places) < batch:
            epoch, offset = divmod(begin + len(places), size)
            places += self._permutation(epoch)[offset : offset + batch - len(places)].tolist()
        return torch.from_numpy(self.index[places])

    def _permutation(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.randperm(len(self.index), generator=generator(self.trial.seed_for(f"batches of epoch {epoch}")))
            self._order = (epoch, order)
        return self._order[1]


def images_of(trial: Trial) -> Images | FolderImages:
    """The trial's data set, which holds labelled images."""
    images = trial.dataset()
    assert isinstance(images, Images | FolderImages)
    return images


def augmented(images: Tensor, stream: torch.Generator) -> Tensor:
    """Each image mirrored with probability 1/2 and shifted by up to 4 pixels each way, zeros coming in (He et al. 2016).

    `stream` is on the CPU, so that every device gets the same.
    """
    count, _, height, width = images.shape
    mirrored = torch.rand(count, 1, 1, 1, generator=stream) < 0.5
    shifts = torch.randint(0, 2 * _SHIFT + 1, (2, count, 1), generator=stream)
    mirrored, shifts = sent(mirrored, images.device), sent(shifts, images.device)
    padded = F.pad(torch.where(mirrored, images.flip(3), images), (_SHIFT,) * 4)
    rows, columns = (shifts[axis] + torch.arange(side, device=images.device) for axis, side in enumerate((height, width)))
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def laid_out(model: nn.Module, images: Tensor) -> Tensor:
    """The images with the channels last in memory, which every layer then keeps to: a step of vgg7 takes a quarter less on a CPU, and
    CUDA's convolutions are made for it. Weights stay as they are: they are small beside the images.

    Contiguous on a CPU where a layer would write beyond its memory (torch 2.13, oneDNN: the weight gradient of strided 1 x 1
    convolutions of fewer than 16 channels, from some 56 pixels on).
    """
    wide = images.device.type == "cpu" and max(images.shape[2:]) >= _WIDE
    risky = wide and any(isinstance(layer, nn.Conv2d) and _overruns(layer) for layer in model.modules())
    return images.contiguous(memory_format=torch.contiguous_format if risky else torch.channels_last)


def _overruns(layer: nn.Conv2d) -> bool:
    return max(layer.kernel_size) == 1 and max(layer.stride) > 1 and layer.in_channels // layer.groups < _FEW
