"""How signals go through random networks: kernel and vertex over depth at infinite width, ensembles of networks of a finite one.

Layers are z(1) = W x and z(l+1) = skip z(l) + W phi(z(l)), W ~ N(0, variance / fan-in), no biases, |x|^2 the number of inputs. The vertex V
is n Cov(z_i^2, z_j^2), i != j (Roberts, Yaida and Hanin 2021, chapters 4 and 5). Everything is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
Floats = npt.NDArray[np.float64]
INPUTS = 10
Slopes = tuple[float, float]
"""Of a scale-invariant activation, a+ for positive and a- for negative arguments."""


def piecewise_linear(up: float, down: float) -> Activation:
    """The scale-invariant activation with these slopes."""
    return lambda z: torch.where(z > 0, up * z, down * z)


def propagate(phi: Activation, variance: float, depth: int, *, skip: float = 0.0, nodes: int = 120) -> dict[str, Tensor]:
    """`kernel` K, `vertex` V / K^2 and `apart` chi_perp of layers 1, ..., depth + 1, each (depth + 1,); K(1) = variance.

    Averages are over z ~ N(0, K), c is the variance: K' = skip^2 K + c <phi^2>;
    V' = (skip^2 + chi)^2 V + c^2 (<phi^4> - <phi^2>^2) + 2 skip^2 c (<z^2 phi^2> - K <phi^2>), chi = c <phi^2 (z^2 - K)> / (2 K^2), to
    first order in 1/n, where the terms of skip are ours and leave out moments that are odd in z; chi_perp = c <phi'^2>, the growth a layer
    of the squared distance of nearby inputs. By Gauss-Hermite quadrature, which is exact also for the halves of even polynomials (ReLU).
    """
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    g, shares = torch.from_numpy(points), torch.from_numpy(weights / weights.sum())
    kernel, vertex, found = variance, 0.0, []
    for _ in range(depth + 1):
        z = (math.sqrt(kernel) * g).requires_grad_()
        out = phi(z)
        (slope,) = torch.autograd.grad(out.sum(), z)
        found.append((kernel, vertex, variance * float(shares @ slope.square())))
        squares = (out.detach() / math.sqrt(kernel)).square()  # over K, so that no power of a small K is taken
        mean, tilted = float(shares @ squares), float(shares @ (squares * (g.square() - 1.0)))
        spread = variance**2 * (float(shares @ squares.square()) - mean**2) + 2.0 * skip**2 * variance * tilted
        ratio = skip**2 + variance * mean
        vertex = ((skip**2 + 0.5 * variance * tilted) ** 2 * vertex + spread) / ratio**2
        kernel *= ratio
    columns = torch.tensor(found, dtype=torch.float64).T
    return dict(zip(("kernel", "vertex", "apart"), columns, strict=True))


def random_networks(
    phi: Activation, variance: float, depth: int, width: int, count: int, stream: torch.Generator, *, skip: float = 0.0
) -> tuple[Tensor, Tensor]:
    """E[z_i^2 | z(l)] and E[z_i^2 z_j^2 | z(l)], i != j, of layers l + 1 = 2, ..., depth + 1 of `count` networks: (depth, count) each.

    Given z(l) the entries of W phi(z(l)) are independent Gaussians: the matrix of the layer itself is averaged over in closed form. The
    device is the stream's; networks are drawn in parts that fit a cache (CPU) or take 1 GiB.
    """
    at_once = max(1, 2 ** (22 if stream.device.type == "cpu" else 27) // width**2)
    x = torch.full((INPUTS,), 1.0, dtype=torch.float64, device=stream.device)
    found = []
    for size in [min(at_once, count - first) for first in range(0, count, at_once)]:
        z = math.sqrt(variance / INPUTS) * _normal(size, width, INPUTS, stream=stream) @ x
        layers = []
        for layer in range(depth):
            if layer:
                z = (
                    skip * z
                    + math.sqrt(variance / width) * torch.bmm(_normal(size, width, width, stream=stream), phi(z)[..., None])[..., 0]
                )
            s, q = variance * phi(z).square().mean(1), z.square().mean(1)
            pairs = (width * q.square() - z.pow(4).mean(1)) / (width - 1)
            layers.append(torch.stack([skip**2 * q + s, skip**4 * pairs + 2.0 * skip**2 * s * q + s.square()]))
        found.append(torch.stack(layers, 1).cpu())
    second, fourth = torch.cat(found, 2)
    return second, fourth


def _normal(*shape: int, stream: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=stream, dtype=torch.float64, device=stream.device)


def chi_square_kernels(slopes: Slopes, variance: float, depth: int, width: int, count: int, stream: np.random.Generator) -> Floats:
    """E[z_i^2 | z(l)] as `random_networks` gives it, of a scale-invariant activation without skips and without drawing a weight.

    Of n Gaussians B ~ Binomial(n, 1/2) are positive: a layer multiplies the kernel by variance / n (a+^2 chi2_B + a-^2 chi2_(n - B)).
    """
    up, down = slopes
    kernels = [np.full(count, variance)]
    for _ in range(depth):
        positive = stream.binomial(width, 0.5, count)
        squares = up**2 * stream.standard_gamma(positive / 2.0) + down**2 * stream.standard_gamma((width - positive) / 2.0)
        kernels.append(kernels[-1] * 2.0 * variance / width * squares)
    return np.stack(kernels[1:])


def kernel_growth(kernels: Floats) -> tuple[float, float]:
    """The last of kernels over depth (layers,) over the first, and the growth of the logarithm a layer over their second half."""
    half = len(kernels) // 2
    rate = math.log(kernels[-1] / kernels[half]) / (len(kernels) - 1 - half)
    return float(kernels[-1] / kernels[0]), rate
