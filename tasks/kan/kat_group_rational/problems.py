"""The two settings as one kind of thing: networks to build, batches to learn from, a loss, and what is held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.batches import images_of
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.vit import ViT, ViTConfig
from tasks.datasets.corpus import Corpus
from tasks.datasets.image_folder import FolderImages
from tasks.datasets.images import Images
from tasks.datasets.text_splits import Split
from tasks.kan.kat_group_rational.initialisation import initialize
from tasks.kan.kat_group_rational.methods import DESIGNS
from tasks.kan.kat_group_rational.mlp import make_mlp

_EVAL_BATCH = 256
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Problem:
    """One setting with the trial's data. Images come on the trial's device, tokens on the CPU."""

    make_model: Callable[[Callable[[], nn.Module]], nn.Module]
    """From the maker of a block's mlp to a network."""
    batch: Callable[[torch.Generator], Batch]
    held_out: Callable[[Split], Iterable[Batch]]
    train_loss: Callable[[Tensor, Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    """Mean cross-entropy in nats of logits and targets: what is reported."""
    tokens: int
    """Tokens or patches of a batch: what an mlp is applied to."""
    classifies: bool
    """Whether accuracy means something: one label an example."""

    def build(self, trial: Trial, method: str) -> nn.Module:
        """The initial network of a method at the trial's sizes and seed, on its device."""
        design, params = DESIGNS[method], trial.params
        model = self.make_model(lambda: make_mlp(design, params.width, params.groups))
        initialize(model, trial.seed_for, attention=params.attention_init, variance_preserving=design.variance_preserving)
        return model.to(trial.device)


def problem_of(trial: Trial) -> Problem:
    """What the trial's experiment is about."""
    return _lm(trial) if trial.experiment in ("lm", "lm-cost") else _vit(trial)


def _lm(trial: Trial) -> Problem:
    params, corpus = trial.params, trial.dataset()
    assert isinstance(corpus, Corpus)
    config = DecoderConfig(
        vocab_size=corpus.vocab_size, width=params.width, depth=params.depth, head_dim=params.head_dim, length=params.length
    )

    def held_out(split: Split) -> Iterable[Batch]:
        inputs, targets = corpus.windows(split, params.eval_examples, params.length)
        return zip(torch.split(inputs, _EVAL_BATCH), torch.split(targets, _EVAL_BATCH), strict=True)

    return Problem(
        make_model=lambda make: Decoder(config, make),
        batch=lambda stream: corpus.batch("train", params.batch, params.length, stream),
        held_out=held_out,
        train_loss=next_token_loss,
        loss=next_token_loss,
        tokens=params.batch * params.length,
        classifies=False,
    )


def _vit(trial: Trial) -> Problem:
    params, images = trial.params, _images(trial)
    config = ViTConfig(
        shape=images.shape,
        patch=params.patch,
        num_classes=images.num_classes,
        width=params.width,
        depth=params.depth,
        head_dim=params.head_dim,
    )
    return Problem(
        make_model=lambda make: ViT(config, make),
        batch=lambda stream: images.batch("train", params.batch, stream, trial.device),
        held_out=lambda split: images.batches(split, _EVAL_BATCH, params.eval_examples, trial.device),
        train_loss=lambda logits, labels: F.cross_entropy(logits.float(), labels, label_smoothing=params.smoothing),
        loss=lambda logits, labels: F.cross_entropy(logits.float(), labels),
        tokens=params.batch * config.patches,
        classifies=True,
    )


def _images(trial: Trial) -> Images | FolderImages:
    """Photographs scaled as the released recipe, which is DeiT's, scales them."""
    images = images_of(trial)
    return replace(images, resampling="bicubic") if isinstance(images, FolderImages) else images
