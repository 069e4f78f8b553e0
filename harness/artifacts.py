"""What trials keep for the trials that need them first: one file a trial, as long as its study."""

from __future__ import annotations

import io
import pickle
from typing import Any

from harness.errors import StoreError
from harness.shown import sentence
from harness.store import StudyStore


class Artifacts:
    """The artifact folder of a study, on whatever store the workers and the driver share."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def save(self, trial_id: str, state: Any) -> None:
        """Keep `state` (anything `torch.save` takes that is tensors, numbers, text and containers of these)."""
        import torch

        tensors = io.BytesIO()
        torch.save(state, tensors)
        self._store.write_bytes(name(trial_id), tensors.getvalue())

    def load(self, trial_id: str) -> Any:
        """What the trial kept, on the CPU. StoreError when there is nothing or it cannot be read."""
        import torch

        try:
            content = self._store.read_bytes(name(trial_id))
        except FileNotFoundError:
            raise StoreError(f"trial {trial_id} kept nothing in {self._store.uri}: its task must call trial.keep") from None
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise StoreError(f"{self._store.uri}/{name(trial_id)} is damaged ({sentence(error)}): delete it and run again") from None

    def __contains__(self, trial_id: str) -> bool:
        return self._store.exists(name(trial_id))


def name(trial_id: str) -> str:
    """The file of a trial inside its study."""
    return f"artifacts/{trial_id}.pt"
