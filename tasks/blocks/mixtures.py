"""Mixtures of Gaussian experts in float64: their density, its likelihood's maximum, what a gate weighs, how far two densities are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import log_softmax

Gate = Literal["softmax", "tanh"]


def log_density(y: Tensor, log_weights: Tensor, means: Tensor, log_sds: Tensor) -> Tensor:
    """log sum_i w_i N(y | mean_i, sd_i^2): y (...,), the others broadcast to (..., k)."""
    z = (y[..., None] - means) * torch.exp(-log_sds)
    return torch.logsumexp(log_weights - 0.5 * z.square() - log_sds, -1) - 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Experts:
    """k linear experts N(y | a_i x + c_i, s_i^2) of a scalar x; the last logit of the gate is 0 (Nguyen et al. 2024, section 1).

    The others are (act(b1_i x) + b0_i) / tau, act the identity (softmax gate with a temperature) or tanh.
    """

    gate: Gate
    vector: Tensor
    """(5 k - 1,): b1 (k - 1), b0 (k - 1), log tau, a (k), c (k), log s (k)."""

    @property
    def count(self) -> int:
        """k."""
        return (len(self.vector) + 1) // 5

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """b1, b0, log tau, a, c, log s."""
        k = self.count
        return torch.split(self.vector, [k - 1, k - 1, 1, k, k, k])

    def logits(self, x: Tensor) -> Tensor:
        """(n, k)."""
        b1, b0, log_tau, *_ = self.parts
        inner = x[:, None] * b1
        found = ((torch.tanh(inner) if self.gate == "tanh" else inner) + b0) * torch.exp(-log_tau)
        return torch.cat([found, torch.zeros_like(x)[:, None]], 1)

    def log_density(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(y | x): x (n,), y (n,) or (n, m)."""
        *_, a, c, log_sds = self.parts
        weights, means = log_softmax(self.logits(x), -1), x[:, None] * a + c
        if y.ndim == 2:
            weights, means = weights[:, None], means[:, None]
        return log_density(y, weights, means, log_sds)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(n,): one y for each x."""
        *_, a, c, log_sds = self.parts
        chosen = torch.multinomial(torch.softmax(self.logits(x), -1), 1, replacement=True, generator=generator)[:, 0]
        noise = torch.randn(len(x), generator=generator, dtype=x.dtype)
        return a[chosen] * x + c[chosen] + torch.exp(log_sds[chosen]) * noise

    def maximised(self, x: Tensor, y: Tensor, keep: int | None = None) -> tuple[Experts, float]:
        """The local maximum of the likelihood of x and y (n,) above this one, and the largest gradient there; coordinate `keep` stays."""

        def loss(vector: np.ndarray) -> tuple[float, np.ndarray]:
            own = torch.tensor(vector, device=x.device, requires_grad=True)
            found = -Experts(self.gate, own).log_density(x, y).mean()
            (slope,) = torch.autograd.grad(found, own)
            if keep is not None:
                slope[keep] = 0.0
            return float(found.detach()), slope.cpu().numpy()

        options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 0.0, "gtol": 1e-8, "maxcor": 20}
        found = minimize(loss, self.vector.cpu().numpy(), jac=True, method="L-BFGS-B", options=options)
        return Experts(self.gate, torch.from_numpy(found.x).to(x.device)), float(np.abs(found.jac).max())

    def hellinger(self, other: Experts, nodes: int = 48, cells: int = 800, reach: float = 8.0) -> float:
        """sqrt(E_x 1/2 int (sqrt p - sqrt q)^2 dy) for x uniform on [-1, 1], by quadrature; y within `reach`."""
        places, weights = np.polynomial.legendre.leggauss(nodes)
        x = torch.from_numpy(places).to(self.vector)
        y = torch.linspace(-reach, reach, cells + 1, dtype=x.dtype, device=x.device).expand(nodes, -1)
        roots = [torch.exp(0.5 * own.log_density(x, y)) for own in (self, other)]
        apart = (roots[0] - roots[1]).square().sum(1) * (2.0 * reach / cells)
        return math.sqrt(0.5 * float((apart * torch.from_numpy(weights).to(x)).sum() / 2.0))
