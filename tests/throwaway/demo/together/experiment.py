"""Members of one program, each a sum of random numbers of its own. Every step leaves a line in $THROWAWAY_LOG."""

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence

from harness.packing import Progress
from harness.trial import Trial

KEPT = ("checkpointed", "die-once")
"""Behaviours whose members are saved after every step."""


def run(trial: Trial) -> Mapping[str, float]:
    """One member without the program."""
    restored = trial.restore()
    step, total = restored or (0, 0.0)
    while step < trial.params.steps:
        total = _stepped(trial, step, total, 1)
        step += 1
        if trial.params.behaviour in KEPT:
            trial.checkpoint(step, total)
    return _metrics(trial, total)


def run_batch(trials: Sequence[Trial]) -> Iterator[Progress]:
    """All members, a step of each in turn; one that comes back goes on where it was."""
    widths = {trial.params.width for trial in trials}
    if len(widths) > 1:
        raise ValueError(f"members of widths {sorted(widths)} do not fit one program")
    restored = {trial.id: trial.restore() for trial in trials}
    state = {id: found or (0, 0.0) for id, found in restored.items()}
    live = list(trials)
    longest = max(trial.params.steps for trial in trials)
    for now in range(longest):
        _work(trials[0].params.shared_s)
        for trial in list(live):
            step, total = state[trial.id]
            if step == now:
                if trial.params.behaviour == "die-once" and step == 3 and restored[trial.id] is None:
                    os._exit(1)
                state[trial.id] = step, total = step + 1, _stepped(trial, step, total, len(trials))
                if trial.params.behaviour in KEPT:
                    trial.checkpoint(step, total)
            if step == trial.params.steps:
                live.remove(trial)
                if trial.params.behaviour != "mute":
                    yield trial, _metrics(trial, total)
                if trial.params.behaviour == "twice":
                    yield trial, _metrics(trial, total)
        yield (now + 1) / longest


def _stepped(trial: Trial, step: int, total: float, members: int) -> float:
    if "THROWAWAY_LOG" in os.environ:
        with open(os.environ["THROWAWAY_LOG"], "a") as file:  # noqa: PTH123
            file.write(f"{trial.id}:{step}:{members}\n")
    _work(trial.params.own_s * members)
    behaviour = trial.params.behaviour
    if step == 3:
        if behaviour == "raise":
            raise RuntimeError("this member was told to fail")
        if behaviour == "memory" and members > 2:
            raise MemoryError("no room for so many")
        if behaviour == "hang":
            time.sleep(600)
        if behaviour == "die":
            os._exit(1)
    drawn = random.Random(trial.seed_for(f"step {step}")).gauss(0.0, 1.0) - (trial.method == "shifted")
    trial.log(step, total=total + drawn)
    return total + drawn * trial.params.rate


def _work(seconds: float) -> None:
    """Keep the processor busy: a sleeping one would cost a program nothing."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


def _metrics(trial: Trial, total: float) -> Mapping[str, float]:
    if trial.params.behaviour == "undeclared":
        return {"valeu": total}
    return {"value": float("nan") if trial.params.behaviour == "nan" else total}
