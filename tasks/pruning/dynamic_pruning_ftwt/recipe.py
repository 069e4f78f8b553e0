"""What all methods have in common after the dense network: epochs, rates, and the training images that decide what goes."""

from __future__ import annotations

from torch import Tensor

from harness.trial import Trial
from tasks.blocks.supervised import Recipe
from tasks.pruning.dense import CIFAR_STEPS
from tasks.pruning.dynamic_pruning_ftwt.task import Params


def after_dense(params: Params) -> Recipe:
    """The training of a pruned or gated network."""
    return Recipe(params.epochs, params.lr, params.schedule, milestones=CIFAR_STEPS)  # type: ignore[arg-type]


def level_batch(trial: Trial) -> tuple[Tensor, Tensor]:
    """Evenly spread training images and labels: a dynamic method's rule is found on them, and static ones may read gradients off them."""
    images = trial.dataset()
    return next(iter(images.batches("train", trial.params.level_images, trial.params.level_images, trial.device)))  # type: ignore[no-any-return]
