"""Six optimizers of hidden matrices, each with AdamW for the other parameters.

AdamW is torch's and SOAP that of `pytorch-optimizer`. The other four are ours, each for a reason found by trying:
- Muon and Scion: torch's and the package's iterate in bfloat16, which a CPU without such arithmetic emulates at a fiftieth of the speed.
- Shampoo: the package's sums its statistics for ever, takes two singular value decompositions a step, keeps the preconditioned gradient
  as the momentum of the raw one and transposes the caller's gradients in place.
- PSGD-Kron: the package's draws from global random streams and keeps text in its state, which torch's `load_state_dict` destroys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from harness.errors import TaskError, unknown
from tasks.blocks.optim import ADAM_EPS, Rate
from tasks.blocks.psgd import PSGDKron
from tasks.blocks.shampoo import Shampoo
from tasks.blocks.spectral import Muon, Scion

Make = Callable[[list[nn.Parameter], Rate, torch.Generator], torch.optim.Optimizer]
BETAS = (0.9, 0.95)


def _adamw(parameters: list[nn.Parameter], rate: Rate, _probes: torch.Generator) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=rate.lr, weight_decay=rate.decay, betas=BETAS, eps=ADAM_EPS, fused=True)


def _muon(parameters: list[nn.Parameter], rate: Rate, _probes: torch.Generator) -> torch.optim.Optimizer:
    return Muon(parameters, lr=rate.lr, weight_decay=rate.decay)


def _scion(parameters: list[nn.Parameter], rate: Rate, _probes: torch.Generator) -> torch.optim.Optimizer:
    return Scion(parameters, lr=rate.lr, weight_decay=rate.decay)


def _shampoo(parameters: list[nn.Parameter], rate: Rate, _probes: torch.Generator) -> torch.optim.Optimizer:
    return Shampoo(parameters, lr=rate.lr, weight_decay=rate.decay)


def _psgd(parameters: list[nn.Parameter], rate: Rate, probes: torch.Generator) -> torch.optim.Optimizer:
    return PSGDKron(parameters, lr=rate.lr, weight_decay=rate.decay, probes=probes)


def _soap(parameters: list[nn.Parameter], rate: Rate, _probes: torch.Generator) -> torch.optim.Optimizer:
    try:
        from pytorch_optimizer import SOAP
    except ModuleNotFoundError:
        raise TaskError("SOAP needs the package pytorch-optimizer: pip install 'papertrial[llm]'") from None
    made: torch.optim.Optimizer = SOAP(parameters, lr=rate.lr, weight_decay=rate.decay, betas=(0.95, 0.95), eps=ADAM_EPS)
    return made


OPTIMIZERS: Mapping[str, Make] = {"adamw": _adamw, "muon": _muon, "psgd": _psgd, "scion": _scion, "shampoo": _shampoo, "soap": _soap}


class Together(torch.optim.Optimizer):
    """Several optimizers that step as one, each with its own parameters. Their groups stay theirs, so a schedule reaches all of them."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([parameter for part in self.parts for group in part.param_groups for parameter in group["params"]], {})
        self._adopt()

    def _adopt(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every part."""
        assert closure is None
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The parts' states, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """What `state_dict` gave, of the same optimizers on parameters of the same shapes."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._adopt()


def optimizer(
    name: str, matrices: Sequence[nn.Parameter], others: Sequence[nn.Parameter], rate: Rate, other_rate: Rate, probes: torch.Generator
) -> Together:
    """Optimizer `name` on `matrices`, each of two axes, and AdamW on `others`; peak rates are kept as each group's `initial_lr`.

    `probes` is the random stream of the method that draws (PSGD): keep it in the checkpoint beside the optimizer.
    """
    if name not in OPTIMIZERS:
        raise unknown("optimizer", name, list(OPTIMIZERS))
    crooked = next((tuple(matrix.shape) for matrix in matrices if matrix.ndim != 2), None)
    if crooked is not None:
        raise TaskError(f"optimizer {name} works on matrices of two axes, not on a parameter of shape {crooked}")
    together = Together([OPTIMIZERS[name](list(matrices), rate, probes), _adamw(list(others), other_rate, probes)])
    for group in together.param_groups:
        group["initial_lr"] = group["lr"]
    return together
