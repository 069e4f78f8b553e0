"""The conditional variational autoencoder, of the GAN's layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tasks.eeg.eeg_artifact_synthesis.convnets import Generator, strided
from tasks.eeg.eeg_artifact_synthesis.learner import Batches, Learner


class Autoencoder(nn.Module):
    """q(z | x, y) from strided convolutions, p(x | z, y) Gaussian around the generator's output with one learned deviation a channel.

    (Kingma and Welling 2014; a learned deviation as in Rybkin et al. 2021, so that no weight balances the two terms.)
    """

    def __init__(self, latent: int, classes: int, shape: tuple[int, int], width: int) -> None:
        super().__init__()
        self.classes = classes
        self.features = strided(shape[0], width)
        self.moments = nn.Linear(4 * width * -(-shape[1] // 8) + classes, 2 * latent)
        self.decoder = Generator(latent, classes, shape, width)
        self.log_deviation = nn.Parameter(torch.zeros(shape[0], 1))

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, each (n, latent)."""
        features = torch.cat([self.features(x).flatten(1), F.one_hot(y, self.classes).to(x.dtype)], 1)
        mean, log_variance = self.moments(features).chunk(2, 1)
        return mean, log_variance.clamp(-12.0, 12.0)

    def loss(self, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """The negative evidence lower bound of one window, less (t c / 2) log 2 pi, averaged over the batch and divided by its numbers."""
        mean, log_variance = self.encode(x, y)
        error = x - self.decoder(mean + noise * (0.5 * log_variance).exp(), y)
        misfit = 0.5 * (error * (-self.log_deviation).exp()).square() + self.log_deviation
        divergence = gaussian_divergence(mean, log_variance)
        bound: Tensor = (misfit.flatten(1).sum(1) + divergence).mean() / x[0].numel()
        return bound

    def decode(self, z: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Windows: the decoder's mean and what it leaves unexplained."""
        mean: Tensor = self.decoder(z, y)
        return mean + noise * self.log_deviation.exp()


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each row."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)


class Variational(Learner):
    """An autoencoder and its optimizer."""

    def __init__(self, model: Autoencoder, batches: Batches, *, latent: int, batch: int, lr: float) -> None:
        self.model, self.batches, self._latent, self._batch = model, batches, latent, batch
        self.networks = self.sampler = model
        self._optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.optimizers = {"model": self._optimizer}

    def step(self, index: int) -> Tensor:  # noqa: ARG002 - every step is alike
        """The loss before the update."""
        drawn = self.batches.draw(self._batch)
        loss = self.model.loss(drawn.x, drawn.y, self.batches.noise(self._batch, self._latent))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def sample(self, y: Tensor, stream: torch.Generator) -> Tensor:
        """Windows of the classes `y`."""
        z = torch.randn((len(y), self._latent), generator=stream).to(y.device)
        shape = self.model.decoder.shape
        return self.model.decode(z, y, torch.randn((len(y), *shape), generator=stream).to(y.device))
