"""Checkpoints of long trials: one file a trial, replaced atomically, gone when the trial is done."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from harness.artifacts import packed
from harness.checksums import is_intact, is_owned, seal_zip
from harness.errors import StoreError
from harness.record import Curve
from harness.store import StudyStore


class CheckpointError(StoreError):
    """A checkpoint that is there, and from which no trial may go on."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a trial came."""

    step: int
    state: Any
    curve: Curve
    seconds: float = 0.0
    """What it took to come here, over all attempts."""
    source_digest: str = ""
    """Of the code that made it."""


class Checkpoints:
    """The checkpoint folder of a study, on whatever store the workers and the driver share."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._seen: set[str] = set()
        """Trials whose checkpoint this process wrote or found: in an object store no request asks after others."""

    def save(self, trial_id: str, found: Checkpoint) -> None:
        """Replace the trial's checkpoint. UsageError when its state is not of what `artifacts.packed` takes."""
        state = packed(found.state, "trial.checkpoint")
        progress = {"step": int(found.step), "curve": found.curve, "seconds": found.seconds, "source_digest": found.source_digest}
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("progress.json", json.dumps(progress))
            archive.writestr("state.pt", state)
        self._seen.add(trial_id)
        self._store.write_bytes(_name(trial_id), seal_zip(whole.getvalue(), trial_id))

    def load(self, trial_id: str) -> Checkpoint | None:
        """The trial's checkpoint, None when there is none. CheckpointError, which says why, when it cannot be used."""
        try:
            content = self._store.read_bytes(_name(trial_id))
        except FileNotFoundError:
            return None
        import torch

        self._seen.add(trial_id)
        if is_intact(content) is False:
            raise CheckpointError("its checkpoint was damaged")
        if not is_owned(content, trial_id):
            raise CheckpointError("its checkpoint is another trial's")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                progress = json.loads(archive.read("progress.json"))
                state = torch.load(io.BytesIO(archive.read("state.pt")), weights_only=True)
            curve = [{str(name): float(value) for name, value in point.items()} for point in progress["curve"]]
            seconds, digest = float(progress.get("seconds", 0.0)), str(progress.get("source_digest", ""))
            return Checkpoint(int(progress["step"]), state, curve, seconds, digest)
        except Exception as error:  # what a damaged file makes zipfile and torch raise is not one kind of error
            raise CheckpointError(f"its checkpoint could not be read ({type(error).__name__})") from None

    def discard(self, trial_id: str) -> None:
        """Forget the trial's checkpoint."""
        if self._store.is_local or trial_id in self._seen:
            self._store.remove(_name(trial_id))
            self._seen.discard(trial_id)


def _name(trial_id: str) -> str:
    return f"checkpoints/{trial_id}.zip"
