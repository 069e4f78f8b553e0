"""What classifiers say of generated windows: features with known values, confusions that were planted, chance where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.eeg import spectra
from tasks.eeg.classify import c2st, recovery, tstr
from tasks.eeg.features import features

RATE, CLASSES = 250.0, 3
FREQUENCIES = (6.0, 10.0, 20.0)


def draw(count: int, seed: int, *, amplitude: float = 12.0) -> tuple[Tensor, Tensor]:
    """Windows of noise with a rhythm of the class's frequency in one channel of two, classes in turn."""
    stream = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    times = torch.arange(250) / RATE
    frequency = torch.tensor(FREQUENCIES)[labels, None]
    phase = 6.28 * torch.rand(count, 1, generator=stream)
    found = 5.0 * torch.randn(count, 2, 250, generator=stream)
    found[:, 0] += amplitude * torch.sin(2.0 * math.pi * frequency * times + phase)
    return found, labels


def test_features_of_a_sinusoid() -> None:
    """Amplitude 20 at a whole number of bins, in two channels of opposite sign; a third is flat."""
    rate, amplitude = 128.0, 20.0
    times = torch.arange(512, dtype=torch.float64) / rate
    wave = amplitude * torch.sin(2.0 * math.pi * 20.0 * times)
    found = features(torch.stack([wave, -wave, torch.full_like(wave, 7.0)])[None], rate)[0].reshape(-1)
    assert found.shape == (3 * 5 + 3 + 3 + 3,)
    power, variance, lag, correlation = found[:15].reshape(3, 5), found[15:18], found[18:21], found[21:]
    assert power[0, 3] == pytest.approx(math.log(amplitude**2 / 2))
    assert float(power[0, :2].max()) < -15.0
    assert variance[:2].tolist() == pytest.approx([math.log(amplitude**2 / 2)] * 2)
    assert lag[:2].tolist() == pytest.approx([math.cos(2.0 * math.pi * 20.0 / rate)] * 2, abs=0.01)
    assert correlation.tolist() == pytest.approx([-1.0, 0.0, 0.0])
    assert bool(found.isfinite().all())
    assert power[2].tolist() == pytest.approx([math.log(1e-9)] * 5)


def test_rows_are_windows_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = draw(20, 0)
    whole = features(x, RATE)
    assert whole.shape == (20, 7 * 2 + 1)
    monkeypatch.setitem(spectra.CHUNK_BYTES, "cpu", 3 * 2 * 250 * 4)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(features(x[order], RATE), whole[order])


def test_recovery_shows_the_confusion_that_was_planted() -> None:
    """Of class 0 a half is windows of class 2, class 1 is class 0 throughout, class 2 is itself."""
    real_x, real_y = draw(90, 0)
    fake_x, found = draw(60, 1)
    asked = found.clone()
    taken = torch.nonzero(found == 2).flatten()[:10]
    asked[taken] = 0
    asked[torch.nonzero(found == 0).flatten()[10:]] = 1
    asked[found == 1] = 2
    keep = found != 1
    result = recovery(real_x, real_y, fake_x[keep], asked[keep], RATE, classes=CLASSES)
    np.testing.assert_allclose(result.confusion, [[0.5, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert result.accuracy == pytest.approx(0.5)


def test_windows_of_the_right_class_are_recovered_and_others_at_chance() -> None:
    real_x, real_y = draw(150, 0)
    fake_x, fake_y = draw(150, 1)
    result = recovery(real_x, real_y, fake_x, fake_y, RATE, classes=CLASSES)
    assert result.accuracy > 0.95
    np.testing.assert_allclose(result.confusion.sum(1), 1.0)
    shuffled = fake_y[torch.randperm(150, generator=torch.Generator().manual_seed(2))]
    chance = recovery(real_x, real_y, fake_x, shuffled, RATE, classes=CLASSES).accuracy
    assert abs(chance - 1 / 3) < 4.0 * math.sqrt(2 / 9 / 150)


def test_a_class_that_was_not_asked_for_has_no_row() -> None:
    real_x, real_y = draw(30, 0)
    fake_x, fake_y = draw(30, 1)
    chosen = fake_y != 1
    result = recovery(real_x, real_y, fake_x[chosen], fake_y[chosen], RATE, classes=CLASSES)
    assert np.isnan(result.confusion).all(1).tolist() == [False, True, False]
    assert result.accuracy > 0.9


def test_transfer_is_good_with_the_right_labels_and_bad_with_wrong_ones() -> None:
    real, fake = draw(150, 0), draw(120, 1)
    assert tstr(*real, *fake, RATE, seed=0) > 0.95
    assert tstr(*real, fake[0], (fake[1] + 1) % CLASSES, RATE, seed=0) < 0.05


def test_tstr_trains_on_the_synthetic_side() -> None:
    """Fakes of one class teach one class: tstr is at chance; the other way round every one of them is found."""
    real, (fake_x, fake_y) = draw(90, 0), draw(90, 1)
    only = fake_y == 1
    assert tstr(*real, fake_x[only], fake_y[only], RATE, seed=0) == pytest.approx(1 / 3)
    assert tstr(fake_x[only], fake_y[only], *real, RATE, seed=0) > 0.95


def test_accuracy_counts_classes_alike_however_unequal() -> None:
    """Ninety windows of class 0, three of class 1: naming all of them 0 is worth a half."""
    real_x, real_y = draw(279, 0)
    chosen = torch.cat([torch.nonzero(real_y == 0).flatten()[:90], torch.nonzero(real_y == 1).flatten()[:3]])
    fake_x, fake_y = draw(30, 1)
    only = fake_y == 0
    assert tstr(real_x[chosen], real_y[chosen], fake_x[only], fake_y[only], RATE, seed=0) == pytest.approx(0.5)


def test_two_samples_of_one_distribution_cannot_be_told_apart() -> None:
    found = [c2st(draw(120, seed)[0], draw(120, 100 + seed)[0], RATE, seed=seed) for seed in range(4)]
    # 960 windows told apart by a coin: a standard deviation of 0.016.
    assert abs(np.mean(found) - 0.5) < 0.065


def test_windows_of_another_amplitude_are_told_apart_every_time() -> None:
    real, fake = draw(60, 0)[0], draw(80, 1)[0]
    assert c2st(real, 3.0 * fake, RATE, seed=0) == 1.0
    with pytest.raises(ValueError, match="5 folds"):
        c2st(real[:4], fake, RATE, seed=0)


def test_the_larger_side_gives_no_advantage() -> None:
    """Calling everything the larger side would be right 9 times of 10."""
    assert abs(c2st(draw(600, 0)[0], draw(66, 1)[0], RATE, seed=0) - 0.5) < 0.18


def test_the_same_seed_gives_the_same_answer() -> None:
    real, fake = draw(60, 0), draw(50, 1, amplitude=9.0)
    assert tstr(*real, *fake, RATE, seed=3) == tstr(*real, *fake, RATE, seed=3)
    # Sides of unequal size, so that the cut is drawn too; near chance, so that another draw shows.
    many = draw(150, 2)[0]
    assert [c2st(real[0], many, RATE, seed=seed) for seed in (3, 4)] == [c2st(real[0], many, RATE, seed=seed) for seed in (3, 4)]


def test_windows_that_are_not_finite_make_every_answer_nan() -> None:
    real, (fake_x, fake_y) = draw(30, 0), draw(30, 1)
    fake_x[4, 1, 9] = math.inf
    result = recovery(*real, fake_x, fake_y, RATE, classes=CLASSES)
    assert math.isnan(result.accuracy)
    assert np.isnan(result.confusion).all()
    assert result.confusion.shape == (CLASSES, CLASSES)
    assert math.isnan(tstr(*real, fake_x, fake_y, RATE, seed=0))
    assert math.isnan(tstr(fake_x, fake_y, *real, RATE, seed=0))
    assert math.isnan(c2st(real[0], fake_x, RATE, seed=0))
