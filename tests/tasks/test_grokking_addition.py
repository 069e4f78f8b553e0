"""Members on addition: what the methods of a seed share, and whose labels are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tasks.blocks.algorithmic import modular
from tasks.grokking.addition import adding
from tests.tasks.trials import Trials

SHARES = {"train": 0.5, "val": 0.1}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("grokking-stablemax", tmp_path, base={"lr": 0.2, "steps": 7})


def test_methods_of_a_seed_share_start_and_split_and_seeds_do_not(trials: Trials) -> None:
    one, twin, other = (adding(trials(m, seed=s), 11, SHARES) for m, s in (("adamw", 0), ("perp-grad", 0), ("adamw", 1)))
    assert one.seed == twin.seed != other.seed
    assert all(torch.equal(one.splits[name], twin.splits[name]) for name in ("train", "val", "test"))
    assert not torch.equal(one.splits["train"], other.splits["train"])
    assert [int(mask.sum()) for mask in one.splits.values()] == [60, 12, 49]
    assert adding(trials("adamw"), 11, SHARES, start="network").seed != one.seed


def test_it_learns_sums_at_the_trials_rate_and_what_is_its_own(trials: Trials) -> None:
    one = adding(trials("adamw"), 11, SHARES, decay=0.3)
    pairs = one.inputs - torch.tensor([0, 11])
    assert torch.equal(pairs.sum(1) % 11, one.targets)
    assert (one.lr, one.steps, one.decay, one.batch) == (0.2, 7, 0.3, 0)
    assert (adding(trials("adamw"), 11, SHARES, lr=0.5, batch=8).lr, one.truth is one.targets) == (0.5, True)


@pytest.mark.parametrize("among", [("train",), ("train", "val", "test")], ids=len)
def test_wrong_labels_lie_where_they_are_asked_for(trials: Trials, among: tuple[str, ...]) -> None:
    one, truth = adding(trials("adamw"), 31, SHARES, wrong=0.5, among=among), modular(31, encoding="index")[1]
    assert one.truth is not None
    assert torch.equal(one.truth, truth)
    for name, mask in one.splits.items():
        assert (one.targets != truth)[mask].double().mean() == pytest.approx(0.5 * 30 / 31 if name in among else 0.0, abs=0.1)
    again, other = (adding(trials("adamw", seed=seed), 31, SHARES, wrong=0.5, among=among) for seed in (0, 1))
    assert torch.equal(again.targets, one.targets)
    assert not torch.equal(other.targets, one.targets)
