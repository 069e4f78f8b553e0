"""What the throw-away trials do. Each execution leaves a line in $THROWAWAY_LOG, so that tests can count executions."""

import os
import random
import time
from collections.abc import Mapping
from typing import Any

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, Any]:
    if "THROWAWAY_LOG" in os.environ:
        with open(os.environ["THROWAWAY_LOG"], "a") as file:  # noqa: PTH123
            file.write(f"{trial.id}\n")
    behaviour = trial.params.behaviour
    if behaviour == "raise":
        raise RuntimeError("this trial was told to fail")
    if behaviour == "die":
        os._exit(1)
    if behaviour == "exit":
        raise SystemExit(0)
    if behaviour == "sleep":
        time.sleep(600)
    if behaviour == "memory":
        raise MemoryError("no room")
    if behaviour == "checkpoint":
        return _interrupted(trial)
    returned = {"word": {"value": "five"}, "nothing": None, "nan": {"value": float("nan")}, "undeclared": {"valeu": 1.0}}
    if behaviour in returned:
        return returned[behaviour]  # type: ignore[return-value]
    time.sleep(trial.params.pause)
    noise = random.Random(trial.seed_for("noise")).gauss(0.0, 1.0)
    if behaviour == "data":
        noise += len(trial.dataset())
    shift = 1.0 + 0.01 * random.Random(trial.seed_for("shift")).gauss(0.0, 1.0)
    value = noise + 0.01 * trial.params.size - shift * (trial.method == "shifted")
    for step in range(3):
        trial.log(step, value=value + step)
    return {"value": value}


def _interrupted(trial: Trial) -> Mapping[str, float]:
    """Fails at step 3 of 5 the first time, goes on from its checkpoint the second."""
    restored = trial.restore()
    step, total = restored if restored else (0, 0)
    while step < 5:
        step, total = step + 1, total + step
        trial.log(step, value=total)
        trial.checkpoint(step, total)
        if step == 3 and restored is None:
            raise RuntimeError("interrupted at step 3")
    return {"value": float(total)}
