"""Trials trained as one program: they end early, are kept, and go on beside others as if nothing had been."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.packing import Progress
from harness.plan import TrialSpec
from harness.store import StudyStore
from harness.task import Experiment, Metric
from harness.trial import Trial
from tasks.blocks import small_models, small_packs
from tasks.blocks.small_models import SGD, Adam, AdamW, Member, Optimizer, Pause, Run, train_many, train_trials
from tasks.blocks.small_networks import MLP, Network, packed
from tests.tasks.test_small_models import DIGITS, NET, members

DROPPED = dataclasses.replace(NET, dropout=0.3)


@dataclasses.dataclass(frozen=True)
class Place:
    """Which of `members` a trial is."""

    place: int = 0


TOY = Experiment("toy", params=Place, metrics=(Metric("val_loss", unit="nats", better="lower"),), run_batch="nowhere:program")


class Bench:
    """Trials 0 to 4 of a study, their programs, and the runs that came out of them."""

    def __init__(self, folder: Path, network: MLP = DROPPED, **own: Any) -> None:
        store = StudyStore(str(folder), "study")
        self._checkpoints, self._artifacts = Checkpoints(store), Artifacts(store)
        self._members, self._network = members(5, **own), network
        self.runs: dict[int, Run] = {}
        self.curves: dict[int, Any] = {}

    def trial(self, place: int) -> Trial:
        """A new attempt at one."""
        spec = TrialSpec(task="task", version=1, scale="smoke", experiment="toy", method="method", params={"place": place}, seed=0)
        return Trial(TOY, spec, checkpoints=self._checkpoints, artifacts=self._artifacts)

    def program(self, places: Sequence[int], **options: Any) -> Iterator[Progress]:
        """As an experiment writes its `run_batch`."""
        chosen = {"logged": ("val_loss", "train_accuracy"), "dtype": DIGITS} | options
        return train_trials([self.trial(place) for place in places], self._network, self._member, self._metrics, **chosen)

    def run(self, places: Sequence[int], ticks: int | None = None, **options: Any) -> list[int]:
        """Train them, to the end or for some steps, after which the program is closed. Those that have ended, in their order."""
        program, ended = self.program(places, **options), []
        for said in program:
            if isinstance(said, tuple):
                trial, metrics = said
                ended.append(trial.params.place)
                self.curves[trial.params.place] = trial.curve
                assert metrics == {"val_loss": self.runs[trial.params.place].measured["val_loss"][-1]}
            else:
                ticks = None if ticks is None else ticks - 1
                if ticks == 0:
                    program.close()  # type: ignore[attr-defined]
                    break
        return ended

    def _member(self, trial: Trial) -> Member:
        return self._members[trial.params.place]

    def _metrics(self, trial: Trial, run: Run) -> dict[str, float]:
        self.runs[trial.params.place] = run
        return {"val_loss": run.measured["val_loss"][-1]}


def every(ticks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after so many steps."""

    class Counted(Pause):
        asked = 0

        def over(self) -> bool:
            self.asked += 1
            return self.asked % ticks == 0

    monkeypatch.setattr(small_models, "Pause", Counted)


def agree(left: Bench, right: Bench, tolerance: float) -> None:
    """Every trial of `left` is that of `right`, in parameters, measures and curves; a tolerance of 0 is to the bit."""
    assert left.runs.keys() == right.runs.keys()
    for place, run in left.runs.items():
        other = right.runs[place]
        assert run.steps == other.steps
        for name, value in run.parameters.items():
            torch.testing.assert_close(value, other.parameters[name], rtol=tolerance, atol=tolerance)
        for name, values in run.measured.items():
            assert values == (
                pytest.approx(other.measured[name], rel=100 * tolerance, abs=tolerance) if tolerance else other.measured[name]
            )
        assert [point["step"] for point in left.curves[place]] == [point["step"] for point in right.curves[place]] == list(run.steps)
        assert [point["val_loss"] for point in left.curves[place]] == run.measured["val_loss"]


def test_a_trial_is_given_as_soon_as_it_ends_and_leaves_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counting(network: Network) -> Any:
        forward = packed(network)
        return lambda parameters, inputs, fixed: (sizes.append(len(inputs)), forward(parameters, inputs, fixed))[1]

    monkeypatch.setattr(small_packs, "packed", counting)
    bench = Bench(tmp_path, NET)
    said = list(bench.program(range(5), points=[]))
    ended = [one[0].params.place for one in said if isinstance(one, tuple)]
    steps = [member.steps for member in members(5)]
    assert steps == [12, 17, 22, 12, 17]
    assert ended == [0, 3, 1, 4, 2]
    shares = [one for one in said if not isinstance(one, tuple)]
    assert len(shares) == 1 + 22
    assert shares[:3] == pytest.approx([0, 5 / 80, 10 / 80])
    assert shares[-1] == 1.0
    assert said.index(shares[12]) > [isinstance(one, tuple) for one in said].index(True) == 12
    assert sizes == [5, *[5] * 12, 5, *[3] * 5, 3, *[1] * 5, 1]


WAYS: dict[str, tuple[Optimizer, dict[str, Any]]] = {
    "sgd, batches": (SGD(0.9), {"batch": 5}),
    "adam": (Adam((0.8, 0.95)), {}),
    "adamw, batches": (AdamW(), {"batch": 7}),
}


@pytest.mark.parametrize("way", WAYS)
def test_interrupted_three_times_it_is_what_it_would_have_been(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit where the program's members are the same, to rounding where a kept member goes on beside others."""
    optimizer, own = WAYS[way]
    options = {"optimizer": optimizer, "schedule": lambda step: 1.0 / (1.0 + 0.1 * step)}
    whole, again, mixed = (Bench(tmp_path / name, **own) for name in ("whole", "again", "mixed"))
    whole.run(range(5), **options)
    for trials, composition in ((again, None), (mixed, [[1, 0, 4], [2, 3, 0], [4, 2]])):
        left = set(range(5))
        for attempt, (ticks, interval) in enumerate(((3, 2), (9, 4), (6, 3))):
            every(interval, monkeypatch)
            chosen = sorted(left) if composition is None else [place for place in composition[attempt] if place in left]
            left -= set(trials.run(chosen, ticks, **options))
        assert left, "they were not all done before the last attempt"
        trials.run(sorted(left), **options)
        agree(trials, whole, 0.0 if composition is None else 1e-12)


def test_members_from_different_steps_agree_to_single_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parted = (Bench(tmp_path / name, batch=6) for name in ("whole", "parted"))
    whole.run(range(5), dtype=torch.float32)
    every(4, monkeypatch)
    parted.run([0, 1, 2], 7, dtype=torch.float32)
    parted.run([2], 8, dtype=torch.float32)
    assert [at and at[0] for at in (parted.trial(place).restore() for place in range(4))] == [3, 3, 10, None]
    parted.run(range(5), dtype=torch.float32)
    agree(parted, whole, 1e-5)


def test_what_goes_on_was_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every(5, monkeypatch)
    asked: list[int] = []

    def halting(step: int) -> float:
        asked.append(step)
        return 1.0

    bench = Bench(tmp_path)
    bench.run([1], 7, schedule=halting)
    bench.run([1], schedule=halting)
    assert asked == [*range(6), *range(4, 17)]
    shares = [said for said in bench.program([1]) if not isinstance(said, tuple)]
    assert shares[:2] == pytest.approx([0.0, 1 / (17 - 13)])


def test_a_diverged_member_is_kept_and_goes_on_as_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every(3, monkeypatch)
    bench, calm = Bench(tmp_path / "wild", lr=math.inf, steps=9, batch=4), Bench(tmp_path / "calm", steps=9, batch=4)
    bench._members[1:] = calm._members[1:]
    for trials in (bench, calm):
        trials.run(range(3), 5)
        trials.run(range(3))
    assert bench.runs[0].diverged
    assert math.isnan(bench.curves[0][-1]["val_loss"])
    for place in (1, 2):
        assert not bench.runs[place].diverged
        assert bench.runs[place].measured == calm.runs[place].measured


def test_a_pause_is_as_long_as_saving_asks_for() -> None:
    now = [0.0]
    pause = Pause(seconds=30.0, share=0.05, clock=lambda: now[0])

    def saving(seconds: float) -> None:
        now[0] += seconds

    assert not pause.over()
    now[0] = 30.0
    assert pause.over()
    pause.after(partial(saving, 1.0))
    now[0] = 60.9
    assert not pause.over()
    now[0] = 61.0
    assert pause.over(), "one second of saving is less than a twentieth of thirty"
    pause.after(partial(saving, 4.0))
    now[0] = 65.0 + 75.9
    assert not pause.over()
    now[0] = 65.0 + 76.1
    assert pause.over(), "four of eighty"


def test_what_has_ended_is_not_kept_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every(1, monkeypatch)
    bench = Bench(tmp_path)
    bench.run(range(5))
    kept = [bench.trial(place).restore() for place in range(5)]
    assert [at and at[0] for at in kept] == [member.steps - 1 for member in members(5)]


def test_nothing_is_kept_of_short_trials(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(range(5), 10)
    assert all(bench.trial(place).restore() is None for place in range(5))


def test_a_program_of_trials_gives_what_train_many_does(tmp_path: Path) -> None:
    def observe(view: small_models.View) -> dict[str, Tensor]:
        return {"norm": view.parameters["weight0"].flatten(1).norm(dim=1)}

    options: dict[str, Any] = {"observe": observe, "points": [2, 5], "optimizer": SGD(), "gradient": lambda _, g: 2 * g}
    bench = Bench(tmp_path)
    bench.run([3, 1], **options)
    for place in (3, 1):
        (run,) = train_many(DROPPED, [members(5)[place]], dtype=DIGITS, **options)
        assert run.steps == bench.runs[place].steps == [0, 2, 5, members(5)[place].steps]
        assert run.measured["norm"] == pytest.approx(bench.runs[place].measured["norm"], rel=1e-12)
