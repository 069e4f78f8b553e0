"""Trials of two ranks, with real processes and gloo: what they measure, and what becomes of one whose rank fails or dies."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import gang, registry
from harness.artifacts import Artifacts
from harness.engine import run_trials
from harness.frames import read_curves
from harness.plan import Overrides, TrialSpec, expand
from harness.store import StudyStore
from harness.task import Resources
from tests.harness.fake_workers import outcome

ONE, PAIR = Resources(), Resources(cpus=2, ranks=2)


def trials(*behaviours: str, shape: Resources = PAIR, seeds: int = 1, **values: Any) -> list[TrialSpec]:
    overrides = Overrides(seeds=seeds, values={"behaviour": list(behaviours), **{name: [str(value)] for name, value in values.items()}})
    return [replace(trial, resources=shape) for trial in expand(registry.task("ranked"), "laptop", overrides, {})]


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(str(tmp_path), "study")


def losses(store: StudyStore, trial: TrialSpec) -> np.ndarray:
    frame = read_curves(store)
    return frame[frame["trial_id"] == trial.id].sort_values("step")["train_loss"].to_numpy()


WHOLE = (
    {"dtype": "float32"},
    {"dtype": "float64"},
    {"dtype": "float64", "optimizer": "adamw", "parts": 3},
    {"dtype": "float64", "max_grad_norm": 0.4},
)
SHARDED = (
    *WHOLE,
    {"dtype": "float64", "optimizer": "adamw", "breaks": "goes on"},
    {"dtype": "float32", "optimizer": "adamw", "network": "decoder"},
)


def test_two_ranks_train_as_one_does(store: StudyStore, tmp_path: Path, ray_here: None) -> None:
    """Whether each has all of the network or its part: the losses of every step, the weights at the end, and the loss on others."""
    asked = [*(trials("train", **how)[0] for how in WHOLE), *(trials("train", **how, sharded=True)[0] for how in SHARDED)]
    alone = StudyStore(str(tmp_path), "alone")
    records = run_trials(store, asked).records
    expected = run_trials(alone, [replace(trial, resources=ONE) for trial in asked], local=True).records
    for trial in asked:
        assert records[trial.id].status == "ok", records[trial.id].error
        one, two = losses(alone, trial), losses(store, trial)
        assert len(one) == 40
        assert one[-4:].mean() < 0.7 * one[0]
        within, in_curves = {"float32": (1e-5, 1e-5), "float64": (1e-12, 3e-7)}[trial.params["dtype"]]  # curves are kept in float32
        np.testing.assert_allclose(two, one, rtol=0, atol=in_curves, err_msg=str(trial.params))
        assert records[trial.id].metrics["value"] == pytest.approx(expected[trial.id].metrics["value"], abs=within)
        kept, wanted = Artifacts(store).load(trial.id), Artifacts(alone).load(trial.id)
        torch.testing.assert_close(kept["weights"], wanted["weights"], rtol=0, atol=within)
        for name, share in kept["held"].items():
            assert share < 0.6 if trial.params["sharded"] else share == 1.0, (trial.params, name)
        assert kept["first"] is not trial.params["sharded"], "a rank that has a part lets go of the whole"
        assert kept["began"] == (17 if trial.params["breaks"] else 0)


def test_one_process_goes_on_from_what_two_ranks_saved(store: StudyStore, tmp_path: Path, ray_here: None) -> None:
    (asked,) = trials("train", sharded=True, optimizer="adamw", breaks="fails")
    (whole,) = trials("train", shape=ONE, optimizer="adamw")
    alone = StudyStore(str(tmp_path), "alone")
    assert "BrokenOffError" in run_trials(store, [asked]).records[asked.id].error
    assert run_trials(store, [replace(asked, resources=ONE)], local=True, retry=True).records[asked.id].status == "ok"
    assert run_trials(alone, [whole], local=True).records[whole.id].status == "ok"
    kept, wanted = Artifacts(store).load(asked.id), Artifacts(alone).load(whole.id)
    assert kept["began"] == 17
    torch.testing.assert_close(kept["weights"], wanted["weights"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(losses(store, asked), losses(alone, whole), rtol=0, atol=3e-7)


def test_rank_0_speaks_for_all_and_the_next_trials_have_the_same_processes_and_a_group_of_their_own(
    store: StudyStore, ray_here: None
) -> None:
    asked = trials("sum", seeds=3)
    records = run_trials(store, asked).records
    assert {record.status for record in records.values()} == {"ok"}
    assert {record.metrics["value"] for record in records.values()} == {12.0}, "1 of rank 0 and 11 of rank 1"
    curves = read_curves(store)
    assert list(curves["value"]) == [12.0] * 3
    assert len(set(curves["process"])) == 1
    assert [Artifacts(store).load(trial.id) for trial in asked] == [{"value": 12.0}] * 3


@pytest.mark.lengthy
def test_a_rank_that_fails_or_dies_ends_its_trial_with_one_record_and_the_next_ones_run(store: StudyStore, ray_here: None) -> None:
    says = {
        "raise": (1, "failed", "rank 1 was told to fail"),
        "raise-late": (1, "failed", "rank 1 fails when rank 0 is done"),
        "memory": (2, "oom", "no room on rank 1"),
        "die": (2, "failed", "the worker process died while running this trial"),
    }
    asked = trials(*says, "resume", "sum")
    seen: list[str] = []
    records = run_trials(store, asked, observe=lambda record: seen.append(record.trial_id)).records
    assert sorted(seen) == sorted(trial.id for trial in asked)
    found = {trial.params["behaviour"]: records[trial.id] for trial in asked}
    for behaviour, (attempts, status, text) in says.items():
        assert (found[behaviour].attempts, found[behaviour].status) == (attempts, status), behaviour
        assert text in found[behaviour].error
    assert (found["sum"].attempts, found["sum"].metrics) == (1, {"value": 12.0})
    # The first attempt ended when rank 0 had saved 5: both ranks go on from that.
    assert (found["resume"].attempts, found["resume"].metrics) == (2, {"value": 10.0})


class Call:
    """Stands for a call of an actor."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = lambda: future


def answers(count: int) -> tuple[list[Future[Any]], Future[Any]]:
    calls: list[Future[Any]] = [Future() for _ in range(count)]
    return calls, gang._all([Call(call) for call in calls], partial(gang._agreed, world_size=count))


def reply(status: str, fault: int = 0, joules: float = math.nan) -> gang.Reply:
    own = outcome(trials("sum")[0], status, "here")
    return gang.Reply(replace(own, record=replace(own.record, energy_j=joules)), fault)


def test_the_rank_that_failed_first_says_why_whoever_answers_first() -> None:
    calls, answer = answers(3)
    calls[2].set_result(reply("gone", 2))
    calls[0].set_result(reply("gone", 3))
    assert not answer.done()
    calls[1].set_result(reply("culprit", 1))
    (said,) = answer.result(timeout=60)
    assert (said.record.status, said.retire) == ("culprit", False)


def test_a_rank_that_does_not_end_with_the_one_that_failed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gang, "GRACE_S", 0.0)
    calls, answer = answers(2)
    calls[1].set_result(reply("culprit", 1))
    (said,) = answer.result(timeout=60)
    assert (said.record.status, said.retire) == ("culprit", True), "a rank that is still at it takes no other trial"


def test_a_dead_rank_counts_before_those_that_missed_it() -> None:
    calls, answer = answers(2)
    calls[0].set_result(reply("gone", 1))
    calls[1].set_exception(MemoryError("killed"))
    with pytest.raises(MemoryError, match="killed"):
        answer.result(timeout=60)


@pytest.mark.parametrize(("joules", "together"), [([3.0, 4.5], 7.5), ([3.0, math.nan], math.nan)])
def test_energy_is_that_of_all_ranks_and_unknown_where_one_has_none(joules: list[float], together: float) -> None:
    calls, answer = answers(2)
    for call, own in zip(calls, joules, strict=True):
        call.set_result(reply("ok", joules=own))
    (said,) = answer.result(timeout=60)
    assert said.record.energy_j == pytest.approx(together, nan_ok=True)


def test_a_rank_that_does_not_answer_leaves_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gang, "GRACE_S", 0.0)
    calls, answer = answers(2)
    calls[1].set_result(reply("culprit", 1, joules=3.0))
    (said,) = answer.result(timeout=60)
    assert math.isnan(said.record.energy_j)
