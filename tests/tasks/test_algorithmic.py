"""Modular arithmetic and parity have the properties that their names say; splits are exact, nested and disjoint."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tasks.blocks.algorithmic import OPERATIONS, corrupt, label_shares, modular, outcome, parity, signs, split
from tasks.blocks.supervision import CORRUPTED


@pytest.mark.parametrize("operation", [*OPERATIONS, "divide"])
def test_modular_arithmetic_is_that_of_the_integers(operation: str) -> None:
    p = 7
    index, labels = modular(p, operation, encoding="index")
    pairs = [(int(a), int(b) - p) for a, b in index]
    assert pairs == [(a, b) for a in range(p) for b in range(p) if operation != "divide" or b]
    by_hand = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "sum-of-squares": lambda a, b: a**2 + b**2,
        "cubic": lambda a, b: a**3 + a * b,
        "divide": lambda a, b: next(c for c in range(p) if c * b % p == a),
    }
    assert labels.tolist() == [by_hand[operation](a, b) % p for a, b in pairs]
    hot, again = modular(p, operation)
    assert torch.equal(again, labels)
    assert torch.equal(hot, F.one_hot(index, 2 * p).sum(1).float())


def test_addition_is_a_latin_square_and_every_class_is_as_frequent() -> None:
    _, labels = modular(12)
    square = labels.view(12, 12)
    for line in (*square, *square.T):
        assert sorted(line.tolist()) == list(range(12))
    assert torch.equal(square, square.T)
    assert not torch.equal(modular(12, "subtract")[1].view(12, 12), square)


def test_a_parity_is_uncorrelated_with_every_monomial_but_its_own() -> None:
    """Over all sign vectors the parity is one Fourier character: nothing about fewer of its bits, or others, predicts it."""
    inputs = signs(2**8, 8, seed=0)
    assert len(inputs.unique(dim=0)) == 256
    target = 1 - 2 * parity(inputs, (1, 4, 6)).float()
    for size in range(9):
        for places in itertools.combinations(range(8), size):
            correlation = float((inputs[:, list(places)].prod(1) * target).mean())
            assert correlation == (1.0 if places == (1, 4, 6) else 0.0), places


def test_sign_vectors_are_different_balanced_and_of_the_seed() -> None:
    for count, bits in ((500, 10), (500, 40)):
        drawn = signs(count, bits, seed=3)
        assert drawn.shape == (count, bits)
        assert set(drawn.unique().tolist()) == {-1.0, 1.0}
        assert len(drawn.unique(dim=0)) == count
        assert float(drawn.mean(0).abs().max()) < 0.2
        assert torch.equal(drawn, signs(count, bits, seed=3))
        assert not torch.equal(drawn, signs(count, bits, seed=4))


def test_splits_are_exact_disjoint_and_nested() -> None:
    small, large = (split(97, {"train": share, "val": 0.1}, seed=5) for share in (0.3, 0.6))
    for masks, train in ((small, 29), (large, 58)):
        assert {name: int(mask.sum()) for name, mask in masks.items()} == {"train": train, "val": 10, "test": 97 - 10 - train}
        assert torch.equal(torch.stack(list(masks.values())).sum(0), torch.ones(97, dtype=torch.long))
    assert bool((small["train"] <= large["train"]).all())
    assert torch.equal(small["val"], large["val"])
    assert not torch.equal(small["train"], split(97, {"train": 0.3, "val": 0.1}, seed=6)["train"])
    assert list(split(10, {}, seed=0)) == ["test"]
    assert list(split(10, {"train": 0.5, "val": 0.2, "gate": 0.1}, seed=0)) == ["train", "val", "gate", "test"]


def test_corrupted_labels_are_exact_in_number_and_lie_where_they_may() -> None:
    _, labels = modular(31)
    train = split(len(labels), {"train": 0.7}, seed=0)["train"]
    given, corrupted = corrupt(labels, train, 0.2, 31, seed=1)
    assert int(corrupted.sum()) == round(0.2 * int(train.sum()))
    assert bool((corrupted <= train).all())
    assert torch.equal(given[~corrupted], labels[~corrupted])
    assert 0.8 < float((given != labels)[corrupted].float().mean()) < 1.0
    more, larger = corrupt(labels, train, 0.5, 31, seed=1)
    assert bool((corrupted <= larger).all())
    assert torch.equal(more[corrupted], given[corrupted])
    unchanged, nobody = corrupt(labels, train, 0.0, 31, seed=1)
    assert torch.equal(unchanged, labels)
    assert not nobody.any()
    every, _ = corrupt(labels, train, 1.0, 31, seed=2)
    counts = every[train].bincount(minlength=31).float()
    expected = float(train.sum()) / 31
    assert float(((counts - expected) ** 2 / expected).sum()) < 60, "chi-square, 30 degrees of freedom: beyond 60 in 1 of 1,000"


def test_shares_of_labels_by_what_they_are() -> None:
    truth, train = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([True, True, True, True, False, False])
    targets = torch.tensor([1, 0, 2, 0, 1, 2])
    answers = torch.tensor([1, 2, 2, 1, 1, 2])
    outputs = F.one_hot(answers, 3).float()
    found = label_shares(outputs, targets, truth, train)
    expected = {"memorised": 0.5, "corrected": 0.0, "clean_accuracy": 0.5, "test_accuracy": 1.0}
    assert {name: float(value) for name, value in found.items()} == expected
    packed = label_shares(torch.stack([outputs, outputs.where(outputs > 0, torch.nan)]), targets.expand(2, 6), truth, train)
    assert all(float(value[0]) == expected[name] and value[1].isnan() for name, value in packed.items())
    clean = label_shares(outputs, truth, truth, train)
    assert clean["memorised"].isnan()
    assert float(clean["clean_accuracy"]) == 0.25


def test_phases_and_numbers_of_wrong_labels() -> None:
    base = {"train_accuracy": 0.8, "test_accuracy": 0.95, "wrong_share": 0.19, "corrected": 0.0}
    for memorised, inverted, coexists in ((0.05, 1.0, 0.0), (0.5, 0.0, 0.0), (0.92, 0.0, 1.0)):
        found = outcome({**base, "memorised": memorised})
        assert (found["full_inversion"], found["coexistence"]) == (inverted, coexists)
        assert found["train_excess"] == pytest.approx(-0.01)
    unknown = outcome({**base, "memorised": 0.05, "test_accuracy": 0.89})
    assert (unknown["full_inversion"], unknown["coexistence"]) == (0.0, 0.0)
    clean = outcome({**base, "memorised": math.nan, "corrected": math.nan, "wrong_share": 0.0})
    assert set(clean) == {"train_accuracy", "test_accuracy", "wrong_share", "train_excess"}
    assert {metric.name for metric in CORRUPTED} == set(outcome({**base, "memorised": 0.0})) - set(base) - {"memorised"} | {"wrong_share"}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="modulo 1"):
        modular(1)
    with pytest.raises(ValueError, match="9 is not a prime"):
        modular(9, "divide")
    with pytest.raises(ValueError, match="no operation 'plus'"):
        modular(5, "plus")
    with pytest.raises(ValueError, match="8 vectors of 3 signs, not 9"):
        signs(9, 3, seed=0)
    with pytest.raises(ValueError, match="support"):
        parity(signs(4, 3, seed=0), (1, 1))
    with pytest.raises(ValueError, match="shares"):
        split(10, {"train": 0.8, "val": 0.3}, seed=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        corrupt(torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.bool), 1.5, 2, seed=0)
