"""Trains one network with one optimizer, looks at it on the way, and quantizes what came out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.decoder import DecoderConfig, next_token_loss
from tasks.blocks.matrix_optimizers import optimizer
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.optim import Schedule
from tasks.blocks.training import Loop, generator, precision, train
from tasks.datasets.corpus import Corpus
from tasks.llm.evaluation import mean_loss
from tasks.llm.optimizers_under_quantization import ladder
from tasks.llm.optimizers_under_quantization.measure import error_metrics, scheme_metrics
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, quantized
from tasks.llm.optimizers_under_quantization.qat import quantize_linears
from tasks.llm.optimizers_under_quantization.rates import rates


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of one training run: losses for every run, quantization afterwards for those in full precision at the base size."""
    params, corpus = trial.params, trial.dataset()
    model = build(trial, corpus.vocab_size)
    hidden = sum(weight.numel() for weight in model.hidden_matrices().values())
    trained = train(trial, _loop(trial, corpus, model))
    if trained.diverged or not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        return {"val_loss": math.nan}
    windows = {split: corpus.windows(split, params.eval_windows, params.length) for split in ("val", "test")}
    losses = {f"{split}_loss": mean_loss(model, *pair) for split, pair in windows.items()}
    metrics = losses | {"train_loss": trained.loss, "hidden_parameters": hidden, "tokens": params.steps * params.batch * params.length}
    if not _quantized_afterwards(trial):
        return metrics
    metrics |= ladder.rises(trial.curve, params.ladder_top)
    metrics |= scheme_metrics(model, losses, windows, _calibration(trial, corpus))
    return metrics | error_metrics(model, windows["val"][0])


def build(trial: Trial, vocab_size: int) -> OlmoDecoder:
    """The initial network of the trial's seed: the same for all optimizers and in both kinds of training."""
    params = trial.params
    sizes = {"width": params.width, "depth": params.depth, "head_dim": params.head_dim, "length": params.length}
    model = OlmoDecoder(DecoderConfig(vocab_size=vocab_size, **sizes))
    initialize_olmo(model, generator(trial.seed_for("init")))
    if params.training == "qat":
        quantize_linears(model, params.bits)
    return model.to(trial.device)


def _quantized_afterwards(trial: Trial) -> bool:
    return bool(trial.params.training == "full" and trial.params.size == "base")


def _loop(trial: Trial, corpus: Corpus, model: OlmoDecoder) -> Loop:
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
        log_every=params.probe_every,
        observe=_probe(trial, corpus, model) if _quantized_afterwards(trial) else None,
        tail=max(1, params.steps // 10),
    )


def _probe(trial: Trial, corpus: Corpus, model: OlmoDecoder) -> Callable[[], Mapping[str, float]]:
    """Loss on a few validation windows and, whenever it comes to a new rung, the rise under W4A4 on all of them.

    What it finds lies in the trial's curve, which checkpoints keep: an interrupted run finds the rungs that it had passed.
    """
    params = trial.params
    few, all_windows = (corpus.windows("val", count, params.length) for count in (params.probe_windows, params.eval_windows))

    def observe() -> Mapping[str, float]:
        loss = mean_loss(model, *few)
        if not ladder.crossed(loss, trial.curve, params.ladder_top):
            return {ladder.LOSS: loss}
        return {ladder.LOSS: loss, ladder.RISE: mean_loss(quantized(model, SCHEMES["w4a4"]), *all_windows) - mean_loss(model, *all_windows)}

    return observe


def _calibration(trial: Trial, corpus: Corpus) -> list[Tensor]:
    """Training windows for GPTQ, one batch."""
    inputs, _ = corpus.windows("train", trial.params.calibration_windows, trial.params.length)
    return [inputs.to(trial.device)]
