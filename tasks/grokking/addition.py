"""What the papers' networks on a + b modulo p share: their data as members of a pack, and numbers that are declared and read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.trial import Trial
from tasks.blocks.algorithmic import corrupt, modular, split
from tasks.blocks.small_members import Member


def adding(
    trial: Trial,
    modulus: int,
    shares: Mapping[str, float],
    *,
    wrong: float = 0.0,
    among: Sequence[str] = ("train",),
    start: str = "init",
    **own: Any,
) -> Member:
    """A trial on all pairs modulo `modulus`, with its parameters `lr` and `steps` unless `own` says otherwise.

    The methods of a seed have one start, of the stream `start`, and one split into `shares` and the rest, `test`. A share `wrong` of the
    labels of the splits `among` is drawn anew: it is trained on them, and measured on the truth outside `train`.
    """
    inputs, truth = modular(modulus, encoding="index")
    splits = split(len(truth), shares, trial.seed_for("split"))
    targets = truth
    if wrong:
        drawn = torch.stack([splits[name] for name in among]).any(0)
        targets, _ = corrupt(truth, drawn, wrong, modulus, trial.seed_for("labels"))
    about: dict[str, Any] = {"lr": trial.params.lr, "steps": trial.params.steps, **own}
    return Member(seed=trial.seed_for(start), inputs=inputs, targets=targets, truth=truth, splits=splits, **about)
