"""The conditional Wasserstein GAN with gradient penalty and a projection critic."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tasks.eeg.eeg_artifact_synthesis.learner import Batches, Learner

_BETAS = (0.0, 0.9)
_STRIDE = 8
"""Three layers of stride two."""


class Generator(nn.Module):
    """Latent numbers and a one-hot label -> windows: a linear layer, then three transposed convolutions (4, 4 and 6 taps, stride 2).

    The output is linear, not tanh as published: z-scores have no bound. Surplus samples at the end are cut off.
    """

    def __init__(self, latent: int, classes: int, shape: tuple[int, int], width: int) -> None:
        super().__init__()
        self.classes, self.shape, self.wide = classes, shape, 4 * width
        self.start = -(-shape[1] // _STRIDE)
        self.expand = nn.Linear(latent + classes, self.wide * self.start)
        self.grow = nn.Sequential(
            nn.ConvTranspose1d(self.wide, 2 * width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(2 * width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(width, shape[0], 6, 2, 1),
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(n, latent) and (n,) -> (n, channels, samples)."""
        seed = self.expand(torch.cat([z, F.one_hot(y, self.classes).to(z.dtype)], 1))
        grown: Tensor = self.grow(seed.reshape(len(z), self.wide, self.start))
        return grown[..., : self.shape[1]]


def strided(channels: int, width: int) -> nn.Sequential:
    """Windows -> features: three convolutions of 5 taps and stride 2 with leaky ReLU, (n, 4 width, ceil(samples / 8))."""
    sizes = (channels, width, 2 * width, 4 * width)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv1d(before, after, 5, 2, 2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


class Critic(nn.Module):
    """D(x, y) = w . phi(x) + b + <phi(x), e_y>: phi the mean over time of three strided convolutions (Miyato and Koyama 2018)."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.features = strided(channels, width)
        self.score = nn.Linear(4 * width, 1)
        self.embedding = nn.Embedding(classes, 4 * width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, channels, samples) and (n,) -> (n,)."""
        phi = self.features(x).mean(2)
        scored: Tensor = self.score(phi).squeeze(1) + (phi * self.embedding(y)).sum(1)
        return scored


def gradient_penalty(critic: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor, y: Tensor, mix: Tensor) -> Tensor:
    """E (||grad_x D(x, y)|| - 1)^2 at x = mix real + (1 - mix) fake, `mix` (n, 1, 1) in [0, 1] (Gulrajani et al. 2017)."""
    between = (mix * real + (1.0 - mix) * fake).detach().requires_grad_()
    between = between.view_as(between)  # not a leaf: FlopCounterMode cannot follow a gradient that ends at one
    (slope,) = torch.autograd.grad(critic(between, y).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1.0).square().mean()
    return penalty


class Adversarial(Learner):
    """A generator, its critic and both optimizers. One step is `critic_steps` of the critic, then one of the generator."""

    def __init__(
        self,
        generator: Generator,
        critic: Critic,
        batches: Batches,
        *,
        latent: int,
        batch: int,
        lr: float,
        critic_steps: int,
        penalty: float,
    ) -> None:
        self.generator, self.critic, self.batches = generator, critic, batches
        self.networks, self.sampler = nn.ModuleDict({"generator": generator, "critic": critic}), generator
        self._latent, self._batch, self._critic_steps, self._penalty = latent, batch, critic_steps, penalty
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), lr=lr, betas=_BETAS),
            "critic": torch.optim.Adam(critic.parameters(), lr=lr, betas=_BETAS),
        }

    def step(self, index: int) -> Tensor:  # noqa: ARG002 - every step is alike
        """The critic's estimate of the Wasserstein distance, E D(real) - E D(fake), before its last step."""
        for _ in range(self._critic_steps):
            distance = self._critic_step()
        y = self.batches.draw(self._batch).y
        loss = -self.critic(self._make(y), y).mean()
        self._update("generator", loss)
        return distance

    def _critic_step(self) -> Tensor:
        real = self.batches.draw(self._batch)
        with torch.no_grad():
            fake = self._make(real.y)
        distance: Tensor = self.critic(real.x, real.y).mean() - self.critic(fake, real.y).mean()
        mix = self.batches.uniform(self._batch, 1, 1)
        self._update("critic", self._penalty * gradient_penalty(self.critic, real.x, fake, real.y, mix) - distance)
        return distance.detach()

    def _make(self, y: Tensor) -> Tensor:
        made: Tensor = self.generator(self.batches.noise(len(y), self._latent), y)
        return made

    def _update(self, name: str, loss: Tensor) -> None:
        network = self.generator if name == "generator" else self.critic
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.optimizers[name].step()

    @torch.no_grad()
    def sample(self, y: Tensor, stream: torch.Generator) -> Tensor:
        """Windows of the classes `y`, one pass of the generator."""
        made: Tensor = self.generator(torch.randn((len(y), self._latent), generator=stream).to(y.device), y)
        return made
