"""Normal noise of its own for each method, seed and metric."""

import math
import os
import random
import signal
import time
from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    if "THROWAWAY_LOG" in os.environ:
        with open(os.environ["THROWAWAY_LOG"], "a") as file:  # noqa: PTH123
            file.write(f"{trial.id}\n")
    time.sleep(trial.params.pause)
    if trial.seed == trial.params.stopped:
        signal.raise_signal(signal.SIGTERM)
    if trial.seed == trial.params.lost:
        raise RuntimeError("this seed was told to fail")
    noise = random.Random(trial.seed_for(f"noise of {trial.method}"))
    gain = math.sqrt(2) * (trial.method == "new")
    return {
        "value": noise.gauss(0.0, 1.0) + gain * trial.params.effect,
        "other": noise.gauss(0.0, 1.0) + gain * trial.params.other,
    }
