"""Which implementations a trial ran, for its record: kernels, and a compiled step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps

import torch

from harness.errors import UsageError, unknown
from harness.trial import Trial
from kernels import backend

COMPILER = "PAPERTRIAL_COMPILER"
"""A backend of torch.compile that training steps go through where they can: inductor, or cudagraphs on a GPU. As $KERNELS_BACKEND, it moves
numbers by their rounding alone; records say it, and a study that mixes them says so."""


def note(trial: Trial, used: str) -> None:
    """Add `op=backend` words, joined by commas, to what the record of `trial` says."""
    words = {word for word in (*trial.kernel_backend.split(","), *used.split(",")) if word}
    trial.kernel_backend = ",".join(sorted(words))


@contextmanager
def recording(trial: Trial) -> Iterator[None]:
    """The record of `trial` will say which implementation of each kernel the block ran, on the way out of an error too."""
    with backend.recording() as used:
        try:
            yield
        finally:
            note(trial, used.summary())


def recorded(run: Callable[[Trial], Mapping[str, float]]) -> Callable[[Trial], Mapping[str, float]]:
    """`run` of an experiment that calls kernels outside of a training loop."""

    @wraps(run)
    def recorded_run(trial: Trial) -> Mapping[str, float]:
        with recording(trial):
            return run(trial)

    return recorded_run


def compiler() -> str:
    """What $PAPERTRIAL_COMPILER asks for; empty without it. UsageError where torch knows no such backend."""
    asked = os.environ.get(COMPILER, "")
    if not asked:
        return ""
    known = torch._dynamo.list_backends(exclude_tags=())
    if asked not in known:
        raise unknown(f"backend of torch.compile in ${COMPILER}", asked, known, error=UsageError)
    return asked
