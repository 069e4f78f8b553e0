"""Trains one network with one optimizer, looks at it on the way, and quantizes what came out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.backends import recorded
from tasks.blocks.decoder import DecoderConfig, next_token_loss
from tasks.blocks.matrix_optimizers import Together, optimizer
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.optim import Rate, Schedule
from tasks.blocks.training import Loop, backward_in_parts, generator, placed, precision, train
from tasks.datasets.corpus import Corpus
from tasks.llm.evaluation import mean_loss
from tasks.llm.optimizers_under_quantization import ladder
from tasks.llm.optimizers_under_quantization.measure import Windows, error_metrics, scheme_metrics
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, quantized
from tasks.llm.optimizers_under_quantization.qat import quantize_linears
from tasks.llm.optimizers_under_quantization.scales import parts

if TYPE_CHECKING:
    from tasks.llm.optimizers_under_quantization.task import Training

Look = Callable[[Together], Mapping[str, float]]
"""A look at the network on the way, given the optimizer that trains it."""

BASE_LR: Mapping[str, float] = {"adamw": 1e-2, "muon": 0.12, "psgd": 5e-3, "scion": 0.2, "shampoo": 2e-2, "soap": 1.6e-2}
"""Peak rate of the hidden matrices, found on validation at the base size of the laptop scale (see the README's log)."""
OTHER_LR: Mapping[str, float] = {"adamw": 2e-2, "muon": 2e-2, "psgd": 2e-2, "scion": 2e-2, "shampoo": 2e-2, "soap": 1e-2}
"""Peak rate of AdamW on embedding and gains beside each optimizer, found in the same way."""
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
    return matrices, Rate(OTHER_LR[method] * params.lr_multiplier * params.embedding_multiplier, 0.0)


def _losses(trial: Trial, model: OlmoDecoder, look: Look | None = None) -> dict[str, float]:
    """Train the model and measure it; a NaN alone where it diverged."""
    params = trial.params
    hidden = sum(weight.numel() for weight in model.hidden_matrices().values())
    trained = train(trial, _loop(trial, trial.dataset(), model, look))
    if trained.diverged or not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        return {"val_loss": math.nan}
    losses = {f"{split}_loss": mean_loss(model, *pair) for split, pair in _windows(trial).items()}
    return losses | {"train_loss": trained.loss, "hidden_parameters": hidden, "tokens": params.steps * params.batch * params.length}


def _windows(trial: Trial) -> dict[str, Windows]:
    """What losses and rises are measured on."""
    return {split: trial.dataset().windows(split, trial.params.eval_windows, trial.params.length) for split in ("val", "test")}


def _optimizer(trial: Trial, model: OlmoDecoder, probes: torch.Generator) -> Together:
    matrices = list(model.hidden_matrices().values())
    others = [parameter for parameter in model.parameters() if all(parameter is not matrix for matrix in matrices)]
    return optimizer(trial.method, matrices, others, *rates(trial.method, trial.params), probes)


def _loss(trial: Trial, model: OlmoDecoder) -> Callable[[Tensor, Tensor], Tensor]:
    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        with precision(trial.device, trial.params.precision):
            return next_token_loss(model(inputs), targets)

    return loss


def _loop(trial: Trial, corpus: Corpus, model: OlmoDecoder, look: Look | None) -> Loop:
    params = trial.params
    streams = {"batches": generator(trial.seed_for("batches")), "probes": generator(trial.seed_for("probes"), trial.device)}
    made = _optimizer(trial, model, streams["probes"])
    return Loop(
        model=model,
        optimizer=made,
        schedule=Schedule(params.steps, params.warmup, "cosine"),
        loss=_loss(trial, model),
        batch=lambda _step: corpus.batch("train", params.batch, params.length, streams["batches"]),
        parts=parts(vars(params)),
        streams=streams,
        log_every=params.probe_every if look else max(1, params.steps // 10),
        observe=(lambda: look(made)) if look else None,
        tail=max(1, params.steps // 10),
    )


def _probe(trial: Trial, model: OlmoDecoder) -> Look:
    """Loss on some validation windows and, from `ladder_top` down, the rise under W4A4 on them, of the network and of an annealed copy.

    What it finds lies in the trial's curve, which checkpoints keep: an interrupted run finds what it had passed.
    """
    params = trial.params
    windows = trial.dataset().windows("val", params.probe_windows, params.length)

    def measured(network: OlmoDecoder, loss: float) -> float:
        return mean_loss(quantized(network, SCHEMES["w4a4"]), *windows) - loss

    def look(made: Together) -> Mapping[str, float]:
        loss = mean_loss(model, *windows)
        if not loss <= params.ladder_top:
            return {ladder.LOSS: loss}
        group = made.param_groups[0]
        calm = annealed(trial, model, made)
        calm_loss = mean_loss(calm, *windows)
        return {
            ladder.LOSS: loss,
            ladder.RISE: measured(model, loss),
            ladder.ANNEALED_LOSS: calm_loss,
            ladder.ANNEALED_RISE: measured(calm, calm_loss),
            ladder.RATE: group["lr"] / group["initial_lr"],
        }

    return look


def annealed(trial: Trial, model: OlmoDecoder, made: Together) -> OlmoDecoder:
    """A copy of the network, trained on for `anneal_steps` while all rates fall linearly to zero; the original stays as it is.

    Batches are the same for every optimizer and every copy of a seed.
    """
    params, corpus = trial.params, trial.dataset()
    calm, batches = copy.deepcopy(model), generator(trial.seed_for("anneal"))
    own = _optimizer(trial, calm, generator(trial.seed_for("anneal-probes"), trial.device))
    own.load_state_dict(copy.deepcopy(made.state_dict()))
    loss, rates = _loss(trial, calm), [group["lr"] for group in own.param_groups]
    for step in range(params.anneal_steps):
        for group, rate in zip(own.param_groups, rates, strict=True):
            group["lr"] = rate * (1.0 - (step + 1) / (params.anneal_steps + 1))
        own.zero_grad(set_to_none=True)
        batch = corpus.batch("train", params.batch, params.length, batches)
        backward_in_parts(loss, placed(batch, torch.device(trial.device)), parts(vars(params)))
        own.step()
    return calm
