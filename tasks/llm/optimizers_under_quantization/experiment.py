"""Trains one network with one optimizer, looks at it on the way, and quantizes what came out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.backends import recorded
from tasks.blocks.decoder import DecoderConfig, next_token_loss
from tasks.blocks.matrix_optimizers import optimizer
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.optim import Rate, Schedule
from tasks.blocks.training import Loop, generator, precision, train
from tasks.datasets.corpus import Corpus
from tasks.llm.evaluation import mean_loss
from tasks.llm.optimizers_under_quantization import ladder
from tasks.llm.optimizers_under_quantization.measure import Windows, error_metrics, scheme_metrics
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, quantized
from tasks.llm.optimizers_under_quantization.qat import quantize_linears

if TYPE_CHECKING:
    from tasks.llm.optimizers_under_quantization.task import Training

Observe = Callable[[], Mapping[str, float]]

BASE_LR: Mapping[str, float] = {"adamw": 1e-2, "muon": 3e-2, "psgd": 8e-3, "scion": 6e-2, "shampoo": 2e-2, "soap": 1.6e-2}
"""Peak rate of the hidden matrices, found on validation at the base size of the laptop scale (see the README's log)."""
OTHER_LR = 1e-2
"""Peak rate of AdamW on embedding and gains, under every optimizer."""
DECAY = 0.1
"""Decoupled decay of the hidden matrices; the other parameters have none."""


def law(trial: Trial) -> Mapping[str, float]:
    """Losses of a network trained in full precision."""
    return _losses(trial, build(trial))


def qat(trial: Trial) -> Mapping[str, float]:
    """Losses of a network that is quantized in every forward pass of its training."""
    model = build(trial)
    quantize_linears(model, trial.params.bits)
    return _losses(trial, model)


@recorded
def base(trial: Trial) -> Mapping[str, float]:
    """Train in full precision, then quantize: losses, what every scheme costs, error terms and outliers, and the rungs on the way."""
    model, params = build(trial), trial.params
    losses = _losses(trial, model, _probe(trial, model))
    if math.isnan(losses["val_loss"]):
        return losses
    corpus, windows = trial.dataset(), _windows(trial)
    calibration, _ = corpus.windows("train", params.calibration_windows, params.length)
    return {
        **losses,
        **ladder.rises(trial.curve, params.ladder_top),
        **scheme_metrics(model, losses, windows, [calibration.to(trial.device)]),
        **error_metrics(model, windows["val"][0]),
    }


def build(trial: Trial) -> OlmoDecoder:
    """The initial network of the trial's seed: the same for all optimizers and in both kinds of training."""
    params, corpus = trial.params, trial.dataset()
    sizes = {"width": params.width, "depth": params.depth, "head_dim": params.head_dim, "length": params.length}
    model = OlmoDecoder(DecoderConfig(vocab_size=corpus.vocab_size, **sizes))
    initialize_olmo(model, generator(trial.seed_for("init")))
    return model.to(trial.device)


def rates(method: str, params: Training) -> tuple[Rate, Rate]:
    """(hidden matrices, other parameters)."""
    matrices = Rate(BASE_LR[method] * params.lr_multiplier, DECAY * params.decay_multiplier)
    return matrices, Rate(OTHER_LR * params.lr_multiplier, 0.0)


def _losses(trial: Trial, model: OlmoDecoder, observe: Observe | None = None) -> dict[str, float]:
    """Train the model and measure it; a NaN alone where it diverged."""
    params = trial.params
    hidden = sum(weight.numel() for weight in model.hidden_matrices().values())
    trained = train(trial, _loop(trial, trial.dataset(), model, observe))
    if trained.diverged or not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        return {"val_loss": math.nan}
    losses = {f"{split}_loss": mean_loss(model, *pair) for split, pair in _windows(trial).items()}
    return losses | {"train_loss": trained.loss, "hidden_parameters": hidden, "tokens": params.steps * params.batch * params.length}


def _windows(trial: Trial) -> dict[str, Windows]:
    """What losses and rises are measured on."""
    return {split: trial.dataset().windows(split, trial.params.eval_windows, trial.params.length) for split in ("val", "test")}


def _loop(trial: Trial, corpus: Corpus, model: OlmoDecoder, observe: Observe | None) -> Loop:
    params = trial.params
    streams = {"batches": generator(trial.seed_for("batches")), "probes": generator(trial.seed_for("probes"))}
    matrices = list(model.hidden_matrices().values())
    others = [parameter for parameter in model.parameters() if all(parameter is not matrix for matrix in matrices)]

    def loss(_step: int) -> Tensor:
        inputs, targets = corpus.batch("train", params.batch, params.length, streams["batches"])
        inputs, targets = inputs.to(trial.device, non_blocking=True), targets.to(trial.device, non_blocking=True)
        with precision(trial.device, params.precision):
            return next_token_loss(model(inputs), targets)

    return Loop(
        model=model,
        optimizer=optimizer(trial.method, matrices, others, *rates(trial.method, params), streams["probes"]),
        schedule=Schedule(params.steps, params.warmup, "cosine"),
        loss=loss,
        streams=streams,
        log_every=params.probe_every if observe else max(1, params.steps // 10),
        observe=observe,
        tail=max(1, params.steps // 10),
    )


def _probe(trial: Trial, model: OlmoDecoder) -> Observe:
    """Loss on a few validation windows and, whenever it comes to a new rung, the rise under W4A4 on all of them.

    What it finds lies in the trial's curve, which checkpoints keep: an interrupted run finds the rungs that it had passed.
    """
    params, corpus = trial.params, trial.dataset()
    few, all_windows = (corpus.windows("val", count, params.length) for count in (params.probe_windows, params.eval_windows))

    def observe() -> Mapping[str, float]:
        loss = mean_loss(model, *few)
        if not ladder.crossed(loss, trial.curve, params.ladder_top):
            return {ladder.LOSS: loss}
        return {ladder.LOSS: loss, ladder.RISE: mean_loss(quantized(model, SCHEMES["w4a4"]), *all_windows) - mean_loss(model, *all_windows)}

    return observe
