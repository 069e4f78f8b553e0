"""What trials keep: states for the trials that need them, one file a trial, as long as its study; and how a state becomes bytes."""

from __future__ import annotations

import io
from typing import Any

from harness.checksums import is_intact_zip, is_owned, seal_zip
from harness.errors import StoreError, UsageError
from harness.shown import sentence
from harness.store import StudyStore


class Artifacts:
    """The artifact folder of a study, on whatever store the workers and the driver share."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store

    def save(self, trial_id: str, state: Any) -> None:
        """Keep `state`; UsageError when it is not of what `packed` takes."""
        self._store.write_bytes(name(trial_id), seal_zip(packed(state, "trial.keep"), trial_id))

    def load(self, trial_id: str) -> Any:
        """What the trial kept, on the CPU. StoreError when there is nothing or it is not what was kept."""
        import torch

        try:
            content = self._store.read_bytes(name(trial_id))
        except FileNotFoundError:
            raise StoreError(f"trial {trial_id} kept nothing in {self._store.uri}: its task must call trial.keep") from None
        advice = "run the study again with --retry, and the trial that kept it runs again first"
        if not is_intact_zip(content):
            raise StoreError(f"{self._store.uri}/{name(trial_id)} is damaged: {advice}")
        if not is_owned(content, trial_id):
            raise StoreError(f"{self._store.uri}/{name(trial_id)} is what another trial kept: {advice}")
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # what a damaged file makes torch raise is not one kind of error
            raise StoreError(f"{self._store.uri}/{name(trial_id)} is damaged ({sentence(error)}): {advice}") from None

    def is_intact(self, trial_id: str) -> bool:
        """Whether what the trial kept is there and is what it wrote. Reads the whole of it. StoreError when a remote store is silent."""
        try:
            content = self._store.read_bytes(name(trial_id))
        except FileNotFoundError:
            return False
        except StoreError:
            if self._store.is_local:  # a bad sector, a folder of that name: it will not come back
                return False
            raise
        return is_intact_zip(content) and is_owned(content, trial_id)

    def __contains__(self, trial_id: str) -> bool:
        return self._store.exists(name(trial_id))


def name(trial_id: str) -> str:
    """The file of a trial inside its study."""
    return f"artifacts/{trial_id}.pt"


def packed(state: Any, call: str) -> bytes:
    """`state` as the bytes of `torch.save`: tensors, numbers, text and containers of these.

    UsageError, which names the `call` it was given to, for anything else: `torch.load` would not give it back without running its code.
    """
    import torch
    from torch.serialization import skip_data

    tensors = io.BytesIO()
    try:
        torch.save(state, tensors)
        tensors.seek(0)
        with skip_data():  # whether it can be read depends on its types and not on its numbers
            torch.load(tensors, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        raise UsageError(
            f"{call} takes tensors, numbers, text and containers of these; this {type(state).__name__} could not be loaded again "
            f"({sentence(error)})"
        ) from None
    return tensors.getvalue()
