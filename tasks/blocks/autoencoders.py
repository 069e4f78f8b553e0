"""Variational autoencoders in the form in which many are trained as one program: the output of one is its loss by example."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.blocks.small_networks import MLP, Tensors


@dataclass(frozen=True, kw_only=True)
class GaussianVAE:
    """x = g(z) + sigma e with z ~ N(0, I) and e ~ N(0, I); the posterior is N(m(x), diag s(x)^2) (Kingma and Welling 2014).

    `fixed` has `sigma` and `instance`, the standard deviation of noise that every step adds to its examples anew. The parameter
    `log_sigma` starts at 0 and is added to log(sigma): at rate 0 sigma stays. Outputs (examples, 1) are the negative lower bound in nats;
    without draws, as in measuring, they are those of z = m(x) and of the examples as they are.
    """

    dimension: int
    latent: int
    width: int
    hidden: int = 2

    @property
    def encoder(self) -> MLP:
        """x (examples, d) -> m and log s, (examples, 2 latent)."""
        return self._mlp(self.dimension, 2 * self.latent)

    @property
    def decoder(self) -> MLP:
        """g: z (examples, latent) -> (examples, d)."""
        return self._mlp(self.latent, self.dimension)

    def initial(self, stream: torch.Generator) -> dict[str, Tensor]:
        """The encoder's before the decoder's, named `encoder.` and `decoder.`."""
        start = {"log_sigma": torch.zeros(1, dtype=torch.float64)}
        for part, mlp in (("encoder", self.encoder), ("decoder", self.decoder)):
            start |= {f"{part}.{name}": value for name, value in mlp.initial(stream).items()}
        return start

    def noise(self, stream: torch.Generator, examples: int) -> dict[str, Tensor]:
        """One draw of z and of the noise on each example."""
        shapes = {"draw": self.latent, "added": self.dimension}
        return {name: torch.randn(examples, size, generator=stream, dtype=torch.float64) for name, size in shapes.items()}

    def __call__(self, parameters: Tensors, inputs: Tensor, fixed: Tensors) -> Tensor:
        """|x - g(z)|^2 / (2 sigma^2) + d log(sigma sqrt(2 pi)) + KL(q(z | x), N(0, I)), (examples, 1)."""
        x = inputs + fixed["instance"] * fixed["added"] if "added" in fixed else inputs
        mean, log_scale = self.encoder(part(parameters, "encoder"), x, {}).chunk(2, -1)
        z = mean + log_scale.exp() * fixed["draw"] if "draw" in fixed else mean
        log_sigma = fixed["sigma"].log() + parameters["log_sigma"]
        missed = (x - self.decoder(part(parameters, "decoder"), z, {})).square().sum(-1, keepdim=True)
        likelihood = -0.5 * missed * (-2.0 * log_sigma).exp() - self.dimension * (log_sigma + 0.5 * math.log(2.0 * math.pi))
        divergence = 0.5 * (mean.square() + (2.0 * log_scale).exp() - 1.0 - 2.0 * log_scale).sum(-1, keepdim=True)
        return divergence - likelihood

    def generate(self, parameters: Tensors, z: Tensor) -> Tensor:
        """g(z) of one member, without the noise that the model adds to it."""
        return self.decoder(part(parameters, "decoder"), z.to(parameters["log_sigma"]), {})

    def _mlp(self, inputs: int, outputs: int) -> MLP:
        return MLP(widths=(inputs, *[self.width] * self.hidden, outputs), bias=True, gain=math.sqrt(2.0))


def negative_bound(outputs: Tensor, _: Tensor) -> Tensor:
    """The loss by example of a network whose output is its loss."""
    return outputs[..., 0]


def part(parameters: Tensors, name: str) -> Mapping[str, Tensor]:
    """Parameters whose names begin with `name.`, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in parameters.items() if key.startswith(f"{name}.")}
