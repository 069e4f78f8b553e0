"""Denoising diffusion: the training target, classifier-free guidance, DDIM through diffusers, and the released sampler."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.eeg.eeg_artifact_synthesis.learner import Batches, Learner
from tasks.eeg.eeg_artifact_synthesis.methods import Denoising
from tasks.eeg.eeg_artifact_synthesis.unet import UNet

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

LEVELS = 1000
"""Noise levels of training, as in all versions of the paper."""
_LONGEST = 1.0
"""Gradients are cut to this norm: a few windows are many deviations large."""
_AT_ONCE = {"cpu": 64, "cuda": 1024}
"""Windows that are sampled together: on a CPU as many as its caches hold."""

Predict = Callable[[Tensor, Tensor], Tensor]
"""Noisy windows and noise levels (n,) -> the network's output."""


def scheduler(design: Denoising, bound: float) -> DDIMScheduler:
    """diffusers' DDIM with the design's noise schedule; the signal that a step estimates is cut to -bound to bound.

    Without a bound a network that predicts noise is divided by almost nothing in the first steps. Importing diffusers takes about four
    seconds, once a process.
    """
    try:
        from diffusers import DDIMScheduler
    except ImportError:
        raise UsageError("the diffusion models need diffusers: install papertrial's extra `eeg`") from None
    return DDIMScheduler(
        num_train_timesteps=LEVELS,
        beta_schedule={"cosine": "squaredcos_cap_v2", "linear": "linear"}[design.schedule],
        prediction_type={"v": "v_prediction", "noise": "epsilon"}[design.objective],
        clip_sample_range=bound,
        timestep_spacing="trailing",  # the first step is from pure noise (Lin et al. 2024)
    )


def guided(network: Callable[[Tensor, Tensor, Tensor], Tensor], y: Tensor, null: int, weight: float) -> Predict:
    """The output for labels `y` moved away from the one for the null label: e(null) + weight (e(y) - e(null)) (Ho and Salimans 2022)."""

    def predict(x: Tensor, steps: Tensor) -> Tensor:
        if weight == 1.0:
            return network(x, steps, y)
        labels = torch.cat([y, torch.full_like(y, null)])
        with_label, without = network(torch.cat([x, x]), torch.cat([steps, steps]), labels).chunk(2)
        return without + weight * (with_label - without)

    return predict


def ddim(predict: Predict, noise: Tensor, design: Denoising, steps: int, bound: float) -> Tensor:
    """Windows from `noise` by `steps` deterministic steps of DDIM (Song et al. 2021); `bound` as in `scheduler`."""
    rule = scheduler(design, bound)
    rule.set_timesteps(steps, device=noise.device)
    x = noise
    for level in rule.timesteps:
        x = rule.step(predict(x, level.expand(len(x))), level, x, eta=0.0).prev_sample
    return x


def released_sampler(predict: Predict, noise: Tensor, steps: int) -> Tensor:
    """What the released `generate.py` makes of a network, with the released configuration (cosine, v_prediction, ddim, 50 steps).

    Whatever the network was trained for, its output is read as v under the cosine schedule, with e = v sqrt(a) / sqrt(1 - a) + x for the
    noise, and each of the evenly spaced levels t is left for t - 1, not for the next one visited: of 1,000 levels only `steps` are walked.
    """
    at = torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS
    kept = torch.cos((at + 0.008) / 1.008 * torch.pi / 2.0) ** 2
    betas = (1.0 - kept[1:] / kept[:-1]).clamp(0.0, 0.999)
    signal = torch.cumprod(1.0 - betas, 0)
    x = noise
    for level in torch.linspace(0, LEVELS - 1, steps).long().flip(0).tolist():
        if level == 0:  # left as it is
            continue
        now, then = float(signal[level]), float(signal[level - 1])
        v = predict(x, torch.full((len(x),), level, device=x.device))
        e = (now**0.5 * v + (1.0 - now) ** 0.5 * x) / (1.0 - now) ** 0.5
        x = then**0.5 * (x - (1.0 - now) ** 0.5 * e) / now**0.5 + (1.0 - then) ** 0.5 * e
    return x


class Diffusion(Learner):
    """A U-Net, the average of its weights, and its optimizer."""

    def __init__(
        self,
        model: UNet,
        design: Denoising,
        batches: Batches,
        *,
        batch: int,
        lr: float,
        ema: float,
        dropped: float,
        guidance: float,
        steps: int,
    ) -> None:
        self.model, self.design, self.batches = model, design, batches
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.networks, self.sampler = nn.ModuleDict({"model": model, "average": self.average}), self.average
        self._batch, self._ema, self._dropped, self._guidance, self._steps = batch, ema, dropped, guidance, steps
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
        self.optimizers = {"model": self._optimizer}
        self._bound = float(batches.windows.x.abs().max())  # no training window goes beyond
        self._rule = scheduler(design, self._bound)

    def step(self, index: int) -> Tensor:
        """The mean squared error of the target before the update."""
        drawn = self.batches.draw(self._batch)
        levels = torch.randint(LEVELS, (self._batch,), generator=self.batches.stream).to(drawn.x.device)
        noise = self.batches.noise(*drawn.x.shape)
        y = torch.where(self.batches.uniform(self._batch) < self._dropped, self.model.null, drawn.y)
        noisy = self._rule.add_noise(drawn.x, noise, levels)
        target = self._rule.get_velocity(drawn.x, noise, levels) if self.design.objective == "v" else noise
        loss = F.mse_loss(self.model(noisy, levels, y), target)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _LONGEST)
        self._optimizer.step()
        self._follow(index + 1)
        return loss.detach()

    @torch.no_grad()
    def _follow(self, done: int) -> None:
        decay = min(self._ema, (1.0 + done) / (10.0 + done))  # young weights are not averaged with the initial ones
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay)

    def sample(self, y: Tensor, stream: torch.Generator) -> Tensor:
        """Windows of the classes `y` in as many steps as a training keeps."""
        return self.sample_in(y, stream, self._steps)

    def sample_in(self, y: Tensor, stream: torch.Generator, steps: int, *, released: bool = False) -> Tensor:
        """Windows of the classes `y` by DDIM with guidance, or by the released sampler, which has none."""
        shape = (len(y), *self.batches.windows.x.shape[1:])
        noise = torch.randn(shape, generator=stream).to(y.device)
        made, at_once = [], _AT_ONCE[y.device.type]
        with torch.no_grad():
            for labels, start in zip(torch.split(y, at_once), torch.split(noise, at_once), strict=True):
                predict = guided(self.average, labels, self.model.null, 1.0 if released else self._guidance)
                made.append(released_sampler(predict, start, steps) if released else ddim(predict, start, self.design, steps, self._bound))
        return torch.cat(made)
