"""The synthetic setting: y = W_out relu(W_in x) on Gaussian inputs, trained by injected Gaussian gradients. No data, no loss.

Inferred from a third-party note on the paper's "minimal synthetic setting"; the paper's own text was not available.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.diagnostics import geometric_mean, rms
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass, initialize
from tasks.blocks.training import Loop, generator, train
from tasks.llm.mup_weight_decay_transfer.measure import finite, spectrum_metrics
from tasks.llm.mup_weight_decay_transfer.rules import matrix_rate

_PROBES = 1024


class FeedForward(nn.Module):
    """W_out relu(W_in x): width -> 4 width -> width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map_in = nn.Linear(width, 4 * width, bias=False)
        self.map_out = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width) -> (batch, width)."""
        mapped: Tensor = self.map_out(torch.relu(self.map_in(x)))
        return mapped

    def matrices(self) -> dict[str, list[Tensor]]:
        """The two weights by class."""
        return {"in": [self.map_in.weight.detach()], "out": [self.map_out.weight.detach()]}


def run(trial: Trial) -> Mapping[str, float]:
    """Train to the steady state of noise against decay; every metric is its geometric mean over the second half of the run."""
    params = trial.params
    model = FeedForward(params.width)
    initialize(model, generator(trial.seed_for(f"init/{params.replicate}")), zero_head=False)
    model.to(trial.device)
    noise = generator(trial.seed_for(f"noise/{params.replicate}"))
    probes = torch.randn(_PROBES, params.width, generator=generator(trial.seed_for("probes"))).to(trial.device)
    schedule = Schedule(params.steps, params.warmup, params.schedule)

    def injected(_step: int) -> Tensor:
        """A scalar whose gradient at y is g ~ N(0, I), drawn afresh with x ~ N(0, I)."""
        x, g = torch.randn(2, params.batch, params.width, generator=noise).to(trial.device).unbind()
        scalar: Tensor = (model(x) * g).sum()
        return scalar

    lr, decay = matrix_rate(trial.method, params)

    @torch.no_grad()
    def observe() -> Mapping[str, float]:
        if not finite(model.matrices()):
            return {"gain": math.nan}
        return {"gain": rms(model(probes)) / rms(probes)} | spectrum_metrics(model.matrices(), lr, decay)

    loop = Loop(
        model=model,
        optimizer=adamw(model, {ParamClass.MATRIX: Rate(lr, decay)}),
        schedule=schedule,
        loss=injected,
        streams={"noise": noise},
        log_every=max(1, params.steps // 20),
        observe=observe,
    )
    if train(trial, loop).diverged:
        return {"gain": math.nan}
    late = [row for row in trial.curve if row["step"] > params.steps / 2]
    names = [name for name in late[-1] if name not in ("step", "train_loss")]
    return {name: geometric_mean([row[name] for row in late]) for name in names} | {"horizon": lr * decay * schedule.total()}
