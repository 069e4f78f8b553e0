"""What the trials of the task with long names measure."""

import math
import os
import random
from collections.abc import Mapping

from harness.trial import Trial

WORSE = "THROWAWAY_WORSE"
"""By how much the environment makes the losses of a study worse."""


def run(trial: Trial) -> Mapping[str, float]:
    """Numbers of very different sizes, which follow from parameters and seed."""
    p = trial.params
    noise = random.Random(f"{trial.seed}{trial.method}{p.width}").gauss(0.0, 0.01)
    base = 2.0 + (p.width / 64) ** -0.5 + noise + 0.2 * trial.method.startswith("baseline") + float(os.environ.get(WORSE, "0"))
    return {
        "validation_loss_after_the_last_step": base,
        "gradient_norm_of_the_output_layer": 1.23456e-9 * base,
        "tokens_per_second_of_the_whole_machine": 9.87654e8 / base,
        "perplexity_on_held_out_documents": math.exp(base),
        "share_of_dead_units": 0.01 * base,
    }
