"""Small vision transformers that differ in their activation alone, and the entropy of a Gaussian behind a bounded activation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.supervised import Recipe, evaluate, fit
from tasks.blocks.training import generator
from tasks.blocks.vit import ViT, ViTConfig

EPS = 0.01
_HIDDEN = 4
_TERMS = 8


class CRReLU(nn.Module):
    """max(0, x) + eps x exp(-x^2 / 2), one eps a layer."""

    def __init__(self, eps: float = EPS, *, learned: bool = True) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.tensor(eps), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return F.relu(x) + self.eps * x * torch.exp(-0.5 * x.square())


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "crrelu": CRReLU,
    "crrelu-frozen": partial(CRReLU, learned=False),
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "prelu": nn.PReLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "identity": nn.Identity,
}
LOGISTIC = {"sigmoid": 1.0, "sigmoid-1.702": 1.702, "tanh": 2.0}
"""Slopes of the logistic functions; tanh is one of them on (-1, 1)."""


def network(trial: Trial) -> ViT:
    """The untrained network; the methods of a seed start from the same weights."""
    p, images = trial.params, trial.dataset()
    config = ViTConfig(shape=images.shape, patch=p.patch, num_classes=images.num_classes, width=p.width, depth=p.depth, head_dim=p.head_dim)

    def mlp() -> nn.Module:
        return nn.Sequential(nn.Linear(p.width, _HIDDEN * p.width), ACTIVATIONS[trial.method](), nn.Linear(_HIDDEN * p.width, p.width))

    model, stream = ViT(config, mlp), generator(trial.seed_for("init"))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.copy_(torch.randn(module.weight.shape, generator=stream) / math.sqrt(module.in_features))
                module.bias.zero_()
        model.embedding.positions.copy_(0.02 * torch.randn(model.embedding.positions.shape, generator=stream))
    return model.to(trial.device)


def optimizer(model: nn.Module, lr: float, decay: float) -> torch.optim.AdamW:
    """AdamW that decays the weights of linear maps alone: no bias, norm, position or parameter of an activation."""
    decayed = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    known = {id(weight) for weight in decayed}
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) not in known]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([{**group, "lr": lr, "initial_lr": lr} for group in groups], fused=True)


def train(trial: Trial) -> dict[str, float]:
    """Train one network; the test images are looked at once, at the end."""
    p, model = trial.params, network(trial)
    trained = fit(trial, model, Recipe(p.epochs, p.lr, warmup=p.warmup), optimizer=optimizer(model, p.lr, p.decay))
    eps = [float(module.eps.detach()) for module in model.modules() if isinstance(module, CRReLU)]
    learned = {"eps_final": math.fsum(eps) / len(eps)} if eps else {}
    return {"train_loss": trained.loss, **evaluate(trial, model, "val"), **evaluate(trial, model, "test"), **learned}


def log_slope(function: str, x: Tensor, stream: torch.Generator) -> Tensor:
    """log f'(x) of an increasing f from the real line onto (0, 1), float64. `stream` draws the shape of a random one."""
    if function == "gaussian-cdf":
        return -0.5 * x.square() - 0.5 * math.log(2.0 * math.pi)
    if function in LOGISTIC:
        scale = LOGISTIC[function]
        return math.log(scale) + F.logsigmoid(scale * x) + F.logsigmoid(-scale * x)
    if function == "arctan":
        return -math.log(math.pi) - torch.log1p(x.square())
    if function == "softsign":
        return -math.log(2.0) - 2.0 * torch.log1p(x.abs())
    weights, centres, widths = mixture(stream)
    slopes = -0.5 * ((x[:, None] - centres) / widths).square() - torch.log(widths * math.sqrt(2.0 * math.pi))
    return torch.logsumexp(slopes + weights.log(), 1)


def mixture(stream: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, centres and widths of the Gaussian CDFs that a random increasing function is a mean of."""
    drawn = torch.rand(3, _TERMS, generator=stream, dtype=torch.float64)
    return drawn[0] / drawn[0].sum(), 4.0 * drawn[1] - 2.0, 0.4 + 1.6 * drawn[2]


def gaussian_mean(values: Callable[[Tensor], Tensor], points: int) -> float:
    """E values(X) for X ~ N(0, 1), by the trapezoid rule on (-12, 12): for smooth values exact to rounding from some 100 points on."""
    x = torch.linspace(-12.0, 12.0, points + 1, dtype=torch.float64)
    density = torch.exp(-0.5 * x.square()) / math.sqrt(2.0 * math.pi)
    return float((density * values(x)).sum() * (24.0 / points))


def entropy(trial: Trial) -> dict[str, float]:
    """Entropies of f(X), X ~ N(0, 1), in nats: H(f(X)) = H(X) + E log f'(X) for an increasing f."""
    p = trial.params
    if trial.method == "crrelu":
        # For X > 0, f(x) = x + eps x exp(-x^2 / 2): the derivative of E log f'(X) by eps at 0, of an even function, so over all x.
        return {"entropy_rate": gaussian_mean(lambda x: (1.0 - x.square()) * torch.exp(-0.5 * x.square()), p.points)}
    stream = generator(trial.seed_for("shape"))
    log_range = math.log(p.high - p.low)
    gaussian = 0.5 * math.log(2.0 * math.pi * math.e)
    found = gaussian + log_range + gaussian_mean(lambda x: log_slope(trial.method, x, stream), p.points)
    return {"output_entropy": found, "entropy_gap": log_range - found}
