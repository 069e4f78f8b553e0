"""The language-model setting: a LLaMA-style decoder on text."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from harness.trial import Trial
from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.diagnostics import geometric_mean, sublayer_gains
from tasks.blocks.memory import DecoderSize
from tasks.blocks.optim import Schedule, adamw
from tasks.blocks.parametrization import initialize
from tasks.blocks.training import Loop, generator, precision, train
from tasks.datasets.corpus import Corpus
from tasks.llm.evaluation import EVAL_BATCH, mean_loss
from tasks.llm.mup_weight_decay_transfer.measure import finite, spectrum_metrics
from tasks.llm.mup_weight_decay_transfer.rules import STANDARD, matrix_rate, rates


def run(trial: Trial) -> Mapping[str, float]:
    """Train on the train split, then measure losses on val and test, gains on val, and the spectra of the weights."""
    params = trial.params
    corpus: Corpus = trial.dataset()
    model = build(trial, corpus.vocab_size)
    batches = generator(trial.seed_for(f"batches/{params.replicate}"))
    schedule = Schedule(params.steps, params.warmup, params.schedule)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        with precision(trial.device, params.precision):
            return next_token_loss(model(inputs), targets)

    loop = Loop(
        model=model,
        optimizer=adamw(model, rates(trial.method, params)),
        schedule=schedule,
        batch=lambda _step: corpus.batch("train", params.batch, params.length, batches),
        loss=loss,
        parts=parts(trial, corpus.vocab_size),
        streams={"batches": batches},
        log_every=max(1, params.steps // 20),
        tail=max(1, params.steps // 10),
    )
    trained = train(trial, loop)
    if trained.diverged or not finite(model.matrices()):
        return {"val_loss": math.nan}
    lr, decay = matrix_rate(trial.method, params)
    metrics = {"train_loss": trained.loss, "horizon": lr * decay * schedule.total()}
    metrics |= {
        f"{split}_loss": mean_loss(model, *corpus.windows(split, params.eval_windows, params.length), params.precision)
        for split in ("val", "test")
    }
    return metrics | gain_metrics(trial, model, corpus) | spectrum_metrics(model.matrices(), lr, decay)


def parts(trial: Trial, vocab_size: int) -> int:
    """In how many parts a batch is trained: 1 but at paper scale, where its backward pass would keep up to 190 GiB."""
    params = trial.params
    size = DecoderSize(width=params.width, depth=params.depth, head_dim=params.head_dim, vocab_size=vocab_size)
    return size.parts(params.batch, params.length, params.precision)


def build(trial: Trial, vocab_size: int) -> Decoder:
    """The initial network of the trial's seed: the same for all muP methods; the standard parametrisation has its own head."""
    params = trial.params
    sizes = {"width": params.width, "depth": params.depth, "head_dim": params.head_dim, "length": params.length}
    model = Decoder(DecoderConfig(vocab_size=vocab_size, **sizes))
    initialize(model, generator(trial.seed_for(f"init/{params.replicate}")), zero_head=trial.method != STANDARD)
    return model.to(trial.device)


def gain_metrics(trial: Trial, model: Decoder, corpus: Corpus) -> dict[str, float]:
    """Geometric mean over blocks of the attention and the mlp gain, and of all sublayers, on validation windows."""
    tokens, _ = corpus.windows("val", min(EVAL_BATCH, trial.params.eval_windows), trial.params.length)
    gains = sublayer_gains(model.sublayers(), lambda: model(tokens.to(trial.device)))
    attention = geometric_mean([gain for name, gain in gains.items() if name.endswith("attention")])
    mlp = geometric_mean([gain for name, gain in gains.items() if name.endswith("mlp")])
    return {"gain": geometric_mean([attention, mlp]), "gain_attention": attention, "gain_mlp": mlp}
