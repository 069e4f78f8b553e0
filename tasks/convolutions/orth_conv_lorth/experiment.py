"""Theorems on kernels, checked one kernel a trial, and small networks that are trained with the regulariser."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.spectral import spectral_norm
from tasks.blocks.supervised import Recipe, cross_entropy, evaluate, fit
from tasks.blocks.training import generator
from tasks.convolutions.orth_conv_lorth import operators as op

_REACHED = 0.02
"""Singular values so close to 1 count as orthogonal."""
_RATE, _LAST = 0.02, 0.1
_NOISE = 0.05
_ATTACK_STEPS = 10


def gaussian(trial: Trial) -> Tensor:
    """A random kernel (float64) whose outputs have the variance of its inputs; the same for all methods of a seed."""
    p = trial.params
    drawn = torch.randn(p.filters, p.channels, p.kernel, p.kernel, generator=generator(trial.seed_for("kernel")), dtype=torch.float64)
    return drawn / math.sqrt(p.channels * p.kernel**2)


def near_a_tap(trial: Trial) -> Tensor:
    """Orthogonal taps, C of the M filters to each phase of the stride, and a little noise: near an orthogonal convolution where S <= k."""
    p = trial.params
    kernel, taps = _NOISE * gaussian(trial), min(p.stride, p.kernel)
    for filter in range(min(p.filters, p.channels * taps**2)):
        phase, channel = divmod(filter, p.channels)
        kernel[filter, channel, phase // taps, phase % taps] += 1.0
    return kernel


def made(trial: Trial) -> Tensor:
    """The kernel of the trial's method: as it is drawn, or what Adam makes of it on a regulariser."""
    p = trial.params
    kernel = near_a_tap(trial) if trial.method == "lorth-tap" else gaussian(trial)
    return kernel if trial.method == "none" else optimized(kernel, _regularizer(trial.method, p.stride), p.steps)


def _regularizer(method: str, stride: int) -> Callable[[Tensor], Tensor]:
    return op.kernel_orthogonality if method == "kernel-orth" else lambda kernel: op.lorth(kernel, stride)


def optimized(kernel: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> Tensor:
    """`steps` of Adam from 0.02 down to a tenth of it."""
    kernel = kernel.clone().requires_grad_()
    adam = torch.optim.Adam([kernel], lr=_RATE)
    for step in range(steps):
        adam.param_groups[0]["lr"] = _RATE * _LAST ** (step / steps)
        adam.zero_grad()
        loss(kernel).backward()  # type: ignore[no-untyped-call]
        adam.step()
    return kernel.detach()


def _sigma(trial: Trial, kernel: Tensor) -> Tensor:
    """Singular values on images of the trial's size, as many as the smaller side of the map has."""
    p = trial.params
    if trial.method != "zero-padding":
        return op.singular_values(kernel, p.stride, p.size)
    sigma: Tensor = torch.linalg.svdvals(op.dense(kernel, p.stride, p.size, "zeros"))
    return sigma


def identity(trial: Trial) -> dict[str, float]:
    """The two sides of err_F^2 = N^2 L_orth of a random kernel."""
    p, kernel = trial.params, gaussian(trial)
    regularizer = float(op.lorth(kernel, p.stride))
    return {"identity_error": abs(op.frobenius_error(_sigma(trial, kernel)) ** 2 / (p.size**2 * regularizer) - 1.0)}


def existence(trial: Trial) -> dict[str, float]:
    """How near to orthogonal the optimisation comes, and whether the rule of existence said so."""
    p, kernel = trial.params, made(trial)
    sigma = _sigma(trial, kernel)
    low, high = float(sigma.min()), float(sigma.max())
    reached = max(1.0 - low, high - 1.0) < _REACHED
    return {
        "sigma_min": low,
        "sigma_max": high,
        "spread": (high - low) / (high + low),
        "lorth": float(op.lorth(kernel, p.stride)),
        "agrees": float(reached == op.exists(p.filters, p.channels, p.kernel, p.stride)),
    }


def stability(trial: Trial) -> dict[str, float]:
    """The spectral error against what L_orth allows, on images of the trial's size."""
    p, kernel = trial.params, made(trial)
    allowed = op.alpha(p.filters, p.channels, p.kernel, p.stride) * float(op.lorth(kernel, p.stride))
    if trial.method == "zero-padding":
        spectral = zero_padded_error(kernel, p.stride, p.size, generator(trial.seed_for("power iteration")))
        return {"spectral_error": spectral, "bound_ratio": spectral**2 / allowed}
    sigma = _sigma(trial, kernel)
    spectral = op.spectral_error(sigma)
    return {"spectral_error": spectral, "bound_ratio": spectral**2 / allowed, "frobenius_error": op.frobenius_error(sigma)}


def zero_padded_error(kernel: Tensor, stride: int, size: int, stream: torch.Generator) -> float:
    """||A A^T - I||_2, or of A^T A where that is smaller, of the map with zero padding, too large to write down: by power iteration."""
    filters, channels, width, _ = kernel.shape
    assert width % 2, "a kernel of odd width"
    wide = filters <= channels * stride**2
    shape = (1, filters, size, size) if wide else (1, channels, stride * size, stride * size)

    def back(y: Tensor) -> Tensor:
        return F.conv_transpose2d(y, kernel, stride=stride, padding=width // 2, output_padding=stride - 1)

    def error(x: Tensor) -> Tensor:
        forth = op.apply(kernel, back(x), stride, "zeros") if wide else back(op.apply(kernel, x, stride, "zeros"))
        return forth - x

    return spectral_norm(error, error, torch.randn(shape, generator=stream, dtype=kernel.dtype))


class MaxMin(nn.Module):
    """Sorts pairs of channels: a 1-Lipschitz activation that keeps the norm of gradients (GroupSort2, Anil, Lucas & Grosse 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, even channels, ...) -> the same shape."""
        first, second = x[:, ::2], x[:, 1::2]
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], 1)


def network(trial: Trial) -> nn.Sequential:
    """Three circular convolutions, the last two with stride 2, and a linear head; all are regularised."""
    p, images = trial.params, trial.dataset()
    channels, height, width = images.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed_for("init"))
        layers: list[nn.Module] = []
        for into, out, stride in ((channels, p.width, 1), (p.width, 2 * p.width, 2), (2 * p.width, 2 * p.width, 2)):
            layers += [nn.Conv2d(into, out, 3, stride=stride, padding=1, padding_mode="circular"), MaxMin()]
        layers += [nn.Flatten(), nn.Linear(2 * p.width * (height // 4) * (width // 4), images.num_classes)]
    return nn.Sequential(*layers).to(trial.device)


def _kernels(model: nn.Module) -> list[tuple[Tensor, int]]:
    """(kernel, stride) of every layer; a linear map is a convolution of one pixel."""
    kernels = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            kernels.append((module.weight, module.stride[0]))
        if isinstance(module, nn.Linear):
            kernels.append((module.weight[:, :, None, None], 1))
    return kernels


def robustness(trial: Trial) -> dict[str, float]:
    """Train a network with the regulariser at a weight, and attack it."""
    p, model = trial.params, network(trial)

    def loss(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        total = cross_entropy(model, inputs, targets)
        for kernel, stride in _kernels(model) if p.weight else ():
            total = total + p.weight * _regularizer(trial.method, stride)(kernel)
        return total

    adam = torch.optim.Adam([{"params": list(model.parameters()), "initial_lr": p.lr}], lr=p.lr)
    trained = fit(trial, model, Recipe(p.epochs, p.lr, warmup=0.1), loss=loss, optimizer=adam)
    sigma = [op.singular_values(kernel.detach().double().cpu(), stride, 8) for kernel, stride in _kernels(model)]
    return {
        "train_loss": trained.loss,
        **evaluate(trial, model, "val"),
        **evaluate(trial, model, "test"),
        "deviation": max(float((values - 1.0).abs().max()) for values in sigma),
        "pgd_test_accuracy": attacked(trial, model),
    }


def attacked(trial: Trial, model: nn.Module) -> float:
    """Accuracy (percent) on test images moved by `attack` in the L2 norm: projected gradient ascent on the loss (Madry et al. 2018)."""
    radius, right, count = trial.params.attack, 0, 0
    device = next(model.parameters()).device
    model.eval()
    for images, labels in trial.dataset().batches("test", 256, trial.params.eval_images or trial.dataset().count("test")):
        inputs, targets, moved = images.to(device), labels.to(device), torch.zeros_like(images, device=device)
        for _ in range(_ATTACK_STEPS):
            moved.requires_grad_()
            (uphill,) = torch.autograd.grad(F.cross_entropy(model(inputs + moved).float(), targets), moved)
            moved = ball(moved.detach() + 2.5 * radius / _ATTACK_STEPS * F.normalize(uphill.flatten(1)).view_as(uphill), radius)
        with torch.no_grad():
            right += int((model(inputs + moved).argmax(1) == targets).sum())
        count += len(targets)
    return 100.0 * right / count


def ball(x: Tensor, radius: float) -> Tensor:
    """Each example of `x` no longer than `radius`."""
    length: Tensor = x.flatten(1).norm(dim=1).clamp_min(1e-12)
    return x * (radius / length).clamp_max(1.0).view(-1, *[1] * (x.dim() - 1))
