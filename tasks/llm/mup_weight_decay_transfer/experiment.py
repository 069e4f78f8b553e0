"""Runs one trial of the paper in its setting."""

from __future__ import annotations

from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of one training run; those without meaning in its setting are left out."""
    if trial.params.setting == "ffn":
        from tasks.llm.mup_weight_decay_transfer import ffn

        return ffn.run(trial)
    from tasks.llm.mup_weight_decay_transfer import lm

    return lm.run(trial)
