"""Each trial hands on what it got and its own height."""

import os
import random
from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    if "THROWAWAY_LOG" in os.environ:
        with open(os.environ["THROWAWAY_LOG"], "a") as file:  # noqa: PTH123
            file.write(f"{trial.id}\n")
    if trial.method == "base":
        return _base(trial)
    below = {"value": 0.0} if trial.method == "ladder" and trial.params.height == 1 else trial.required()
    value = float(below["value"]) + trial.params.height
    trial.keep({"value": value})
    return {"value": value}


def _base(trial: Trial) -> Mapping[str, float]:
    ground = trial.params.ground
    if ground == "raise":
        raise RuntimeError("the ground gives way")
    if ground == "die":
        os._exit(1)
    if ground == "nan":
        return {"value": float("nan")}
    value = random.Random(trial.seed).random()
    if ground == "good":
        trial.keep({"value": value})
    return {"value": value}
