"""What a running trial sees: its parameters, seed, device, data, log and checkpoint."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness import gate
from harness.checkpoints import Checkpoint, CheckpointError
from harness.errors import UsageError
from harness.plan import TrialSpec
from harness.record import Curve
from harness.task import Experiment

if TYPE_CHECKING:
    from harness.artifacts import Artifacts
    from harness.checkpoints import Checkpoints


class Trial:
    """Handed to an experiment's `run`. `params` is an instance of the experiment's parameters."""

    def __init__(
        self,
        experiment: Experiment,
        spec: TrialSpec,
        *,
        device: str = "cpu",
        open_data: Callable[[TrialSpec], Any] | None = None,
        checkpoints: Checkpoints | None = None,
        artifacts: Artifacts | None = None,
        source_digest: str = "",
        elapsed: Callable[[], float] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.id = spec.id
        self.experiment = spec.experiment
        self.method = spec.method
        self.scale = spec.scale
        self.seed = spec.seed
        self.device = device
        self.rank, self.world_size = rank, world_size
        """Its number among the processes that run this trial together (`Resources.ranks`), and theirs: each runs the same code inside one
        process group of `torch.distributed`. What rank 0 returns, logs and keeps counts; the others' is dropped."""
        self.params: Any = experiment.params(**spec.params)
        self.curve: Curve = []
        self.kernel_backend = ""
        self.seconds_before = 0.0
        """What the attempts took whose checkpoint this one goes on from."""
        self.notes: list[str] = []
        """What else has to be known of how it ran, a sentence each."""
        self._source_digest = source_digest
        started = time.perf_counter()
        self.elapsed = elapsed or (lambda: time.perf_counter() - started)
        """Seconds that this attempt has cost so far; of a program with others, this trial's share."""
        self._spec = spec
        self._open_data = open_data
        self._checkpoints = checkpoints
        self._artifacts = artifacts
        self._kept_below: Any = None

    def seed_for(self, purpose: str) -> int:
        """A 63-bit random seed for one named purpose ("init", "batches", ...).

        It depends on the trial's seed and the purpose only: methods and parameters of one seed share their random
        numbers, which is what makes their comparison a paired one.
        """
        digest = hashlib.sha256(f"{self._spec.task}/{self.seed}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def dataset(self, name: str | None = None) -> Any:
        """The data set that the trial's grid names, opened by its definition; giving the name here too checks that it is that one."""
        data = self._spec.data
        if data is None or name not in (None, data.name) or self._open_data is None:
            raise UsageError(f"this trial was planned with data {data.name if data else 'none'!r}, not {name!r}: name it in the grid")
        return self._open_data(self._spec)

    def log(self, step: float, **metrics: float) -> None:
        """Append one point to the trial's curves; `step` is what they run over: training steps, or a frequency, a layer, a class.

        Curves of one trial may run over different things. Points at one step are joined, and of a number logged twice the last stays.
        SaidError for what is no number and for a name that cannot be a column.
        """
        self.curve.append(gate.point(step, metrics))

    def checkpoint(self, step: int, state: Any) -> None:
        """Keep `state` so that `restore` in a later attempt finds it; the curve so far goes with it.

        It is made of what `keep` takes; a UsageError names what is not.
        """
        if self._checkpoints is not None:
            seconds = self.seconds_before + self.elapsed()
            self._checkpoints.save(self.id, Checkpoint(step, state, self.curve, seconds, self._source_digest))

    def restore(self) -> tuple[int, Any] | None:
        """The last checkpoint of this trial as (step, state), None when it starts afresh.

        One that was damaged, or that other code made, is dropped with a note: half a training by each of two codes is a number of neither.
        """
        if self._checkpoints is None:
            return None
        try:
            saved = self._checkpoints.load(self.id)
            if saved is not None and saved.source_digest not in ("", self._source_digest):
                raise CheckpointError(f"its checkpoint was made by other code (source {saved.source_digest}, now {self._source_digest})")
        except CheckpointError as error:
            self.notes.append(f"started afresh: {error}")
            self._checkpoints.discard(self.id)
            return None
        if saved is None:
            return None
        self.curve, self.seconds_before = saved.curve, saved.seconds
        return saved.step, saved.state

    def keep(self, state: Any) -> None:
        """Keep `state` for the trials that need this one first, which get it from `required`.

        Tensors, numbers, text and containers of these; a UsageError names what is not. The last call counts.
        """
        if self._artifacts is not None:
            self._artifacts.save(self.id, state)

    def required(self) -> Any:
        """What the trial that this one needs kept, on the CPU: read once, so not to be changed in place.

        UsageError when the experiment's `requires` names none.
        """
        if not self._spec.requires or self._artifacts is None:
            raise UsageError(f"this trial ({self.method}) was planned to need no other: the experiment's `requires` decides")
        if self._kept_below is None:
            self._kept_below = self._artifacts.load(self._spec.requires)
        return self._kept_below
