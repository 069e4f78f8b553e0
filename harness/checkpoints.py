"""Checkpoints of long trials: one file a trial, replaced atomically, gone when the trial is done."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from harness.record import Curve
from harness.store import StudyStore


class Checkpoints:
    """The checkpoint folder of a study, on whatever store the workers and the driver share."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def save(self, trial_id: str, step: int, state: Any, curve: Curve) -> None:
        """Replace the trial's checkpoint."""
        import torch

        tensors = io.BytesIO()
        torch.save(state, tensors)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("progress.json", json.dumps({"step": step, "curve": curve}))
            archive.writestr("state.pt", tensors.getvalue())
        self._store.write_bytes(_name(trial_id), packed.getvalue())

    def load(self, trial_id: str) -> tuple[int, Any, Curve] | None:
        """(step, state, curve) of the trial's checkpoint; None when there is none or it is damaged (then the trial starts afresh)."""
        import torch

        if not self._store.exists(_name(trial_id)):
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(self._store.read_bytes(_name(trial_id)))) as archive:
                progress = json.loads(archive.read("progress.json"))
                state = torch.load(io.BytesIO(archive.read("state.pt")), weights_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError):
            return None
        return int(progress["step"]), state, progress["curve"]

    def discard(self, trial_id: str) -> None:
        """Forget the trial's checkpoint."""
        self._store.remove(_name(trial_id))


def _name(trial_id: str) -> str:
    return f"checkpoints/{trial_id}.zip"
