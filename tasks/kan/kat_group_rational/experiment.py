"""Train one method and measure it on the held-out splits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.backends import recorded
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass
from tasks.blocks.training import Loop, generator, precision, train
from tasks.datasets.text_splits import Split
from tasks.kan.kat_group_rational.problems import Problem, problem_of
from tasks.kan.kat_group_rational.scales import parts


@recorded
def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of a training run; the record says which implementation of the rational it used."""
    return trained(trial, problem_of(trial))


def trained(trial: Trial, problem: Problem) -> dict[str, float]:
    """Train on the train split, then measure val and test; nothing is selected on the way."""
    params = trial.params
    model = problem.build(trial, trial.method)
    batches = generator(trial.seed_for("batches"))

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        with precision(trial.device, params.precision):
            logits = model(inputs)
        return problem.train_loss(logits, targets)

    loop = Loop(
        model=model,
        optimizer=optimizer(trial, model),
        schedule=Schedule(params.steps, params.warmup, "cosine"),
        batch=lambda _step: problem.batch(batches),
        loss=loss,
        parts=parts(trial.scale, trial.method, vars(params), vision=problem.classifies),
        streams={"batches": batches},
        log_every=max(1, params.steps // 20),
        tail=max(1, params.steps // 10),
    )
    trained = train(trial, loop)
    if trained.diverged:
        return {"val_loss": math.nan}
    metrics = {"train_loss": trained.loss, "parameters": float(sum(p.numel() for p in model.parameters()))}
    return metrics | held_out(trial, problem, model, "val") | held_out(trial, problem, model, "test")


def optimizer(trial: Trial, model: nn.Module) -> torch.optim.AdamW:
    """AdamW as the released recipe: one rate; gains, biases and embeddings are not decayed, rational coefficients are.

    The bias of the images' head is of the head's class, and decayed with it.
    """
    params = trial.params
    decayed, free = Rate(params.lr, params.decay), Rate(params.lr, 0.0)
    rates = {ParamClass.VECTOR: free, ParamClass.MATRIX: decayed, ParamClass.HEAD: decayed}
    return adamw(model, rates, betas=(0.9, 0.999), eps=1e-8)


@torch.no_grad()
def held_out(trial: Trial, problem: Problem, model: nn.Module, split: Split) -> dict[str, float]:
    """Mean loss in nats over a split and, where examples have labels, the percentage that is right."""
    loss, right, count = 0.0, 0, 0
    for inputs, labels in problem.held_out(split):
        targets = labels.to(trial.device)
        with precision(trial.device, trial.params.precision):
            logits = model(inputs.to(trial.device))
        loss += float(problem.loss(logits, targets)) * len(inputs)
        right += int((logits.argmax(-1) == targets).sum()) if problem.classifies else 0
        count += len(inputs)
    accuracy = {f"{split}_accuracy": 100.0 * right / count} if problem.classifies else {}
    return {f"{split}_loss": loss / count} | accuracy
