"""What the trials of the choosy task do."""

import math
from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    """A value that tells the parameters apart; a tuple arrives as one, None as None."""
    p = trial.params
    assert isinstance(p.hidden, tuple)
    assert isinstance(p.betas, tuple)
    if p.name == "raise":
        raise OSError("no such file: donn\x1b[31mées [v2] at https://someone:hunter2-planted@example.org/x")
    value = math.fsum(p.hidden) + (100.0 if p.clip is None else p.clip) - (trial.method != "plain")
    return {"val_loss": value, "acc>0": 0.25, "acc<0": 0.75}
