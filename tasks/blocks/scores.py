"""Scores of predictions, whoever made them: calibration of probabilities, errors of numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def calibration(answers: Iterable[tuple[Tensor, Tensor]], split: str, bins: int = 15) -> dict[str, float]:
    """Negative log-likelihood (nats), Brier score and expected calibration error (percent) of logits (n, classes) and labels (n,).

    Brier: sum over classes of the squared distance to the one-hot label, mean over examples. ECE (Guo et al. 2017, eq. 3): over `bins`
    equal bins of the top probability, |accuracy - mean top probability| weighted by the share of examples.
    """
    pairs = list(answers)
    log_p = torch.cat([logits for logits, _ in pairs]).double().log_softmax(1)
    labels = torch.cat([labels for _, labels in pairs])
    p = log_p.exp()
    hot = torch.nn.functional.one_hot(labels, p.shape[1])
    top, guess = p.max(1)
    place = (top * bins).ceil().long().clamp(1, bins) - 1
    off = torch.zeros(bins, dtype=torch.float64, device=p.device).index_add_(0, place, (guess == labels).double() - top)
    return {
        f"{split}_nll": float(-log_p.gather(1, labels[:, None]).mean()),
        f"{split}_brier": float((p - hot).square().sum(1).mean()),
        f"{split}_ece": float(100.0 * off.abs().sum() / len(labels)),
    }


def regression(predictions: Tensor, targets: Tensor, split: str) -> dict[str, float]:
    """Mean squared and mean absolute error, and R^2 = 1 - MSE / variance of the targets, of (n,) or (n, outputs)."""
    errors = predictions.double() - targets.double()
    spread = targets.double() - targets.double().mean(0)
    mse = float(errors.square().mean())
    return {f"{split}_mse": mse, f"{split}_mae": float(errors.abs().mean()), f"{split}_r2": 1.0 - mse / float(spread.square().mean())}
