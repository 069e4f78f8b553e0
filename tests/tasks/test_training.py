"""The loop: repeatable, resumable to the bit, and honest about divergence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass
from tasks.blocks.training import Loop, Trained, generator, train
from tests.tasks.conftest import TINY_FFN, MakeTrial


class MachineLostError(Exception):
    """Stands for a machine that goes away."""


def regression(*, steps: int = 30, stop_at: int = -1, blow_up_at: int = -1) -> Loop:
    """A linear map learns to copy noise; saves a checkpoint at every logged step."""
    model = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.randn(3, 3, generator=generator(1)))
    stream = generator(2)

    def loss(step: int) -> Tensor:
        if step == stop_at:
            raise MachineLostError
        x = torch.randn(4, 3, generator=stream)
        value: Tensor = (model(x) - x).square().mean()
        return value * math.nan if step == blow_up_at else value

    return Loop(
        model=model,
        optimizer=adamw(model, {ParamClass.MATRIX: Rate(0.05, 0.1)}),
        schedule=Schedule(steps, 3, "cosine"),
        loss=loss,
        streams={"noise": stream},
        log_every=5,
        tail=8,
        checkpoint_seconds=0.0,
    )


def finished(trial: Trial, loop: Loop) -> tuple[Trained, dict[str, Any], list[dict[str, float]]]:
    return train(trial, loop), {name: value.clone() for name, value in loop.model.state_dict().items()}, trial.curve


def test_an_interrupted_run_goes_on_to_the_bit(make_trial: MakeTrial) -> None:
    whole = finished(make_trial("constant", TINY_FFN, study="whole"), regression())
    with pytest.raises(MachineLostError):
        train(make_trial("constant", TINY_FFN, study="broken"), regression(stop_at=17))
    resumed = make_trial("constant", TINY_FFN, study="broken")
    steps_run: list[int] = []
    loop = regression()
    inner = loop.loss
    trained = finished(resumed, Loop(**{**vars(loop), "loss": lambda step: (steps_run.append(step), inner(step))[1]}))
    assert steps_run == list(range(15, 30))
    assert trained[0] == whole[0]
    assert torch.equal(trained[1]["weight"], whole[1]["weight"])
    assert trained[2] == whole[2]


def test_a_loop_of_another_stage_starts_afresh_and_the_curve_goes_on(make_trial: MakeTrial) -> None:
    trial = make_trial("constant", TINY_FFN)
    for stage in ("first", "second"):
        loop = regression()
        steps_run: list[int] = []
        inner = loop.loss
        train(trial, Loop(**{**vars(loop), "stage": stage, "loss": lambda step: (steps_run.append(step), inner(step))[1]}))  # noqa: B023
        assert steps_run == list(range(30))
    assert [row["step"] for row in trial.curve] == list(range(5, 65, 5))


def test_the_loss_falls_and_its_tail_is_reported(make_trial: MakeTrial) -> None:
    trained, _, curve = finished(make_trial("constant", TINY_FFN), regression(steps=100))
    assert curve[-1]["step"] == 100
    assert trained.loss < 0.5 * curve[0]["train_loss"]
    assert not trained.diverged


def test_a_loss_that_is_not_finite_ends_the_run_at_the_next_log(make_trial: MakeTrial) -> None:
    trained, _, curve = finished(make_trial("constant", TINY_FFN), regression(blow_up_at=7))
    assert trained.diverged
    assert math.isnan(trained.loss)
    assert [row["step"] for row in curve] == [5, 10]


def test_the_last_losses_are_averaged_over_the_tail_only(make_trial: MakeTrial) -> None:
    loop = regression(steps=20)
    seen: list[float] = []
    inner = loop.loss

    def recorded(step: int) -> Tensor:
        value = inner(step)
        seen.append(float(value.detach()))
        return value

    trained = train(make_trial("constant", TINY_FFN), Loop(**{**vars(loop), "loss": recorded}))
    assert trained.loss == pytest.approx(sum(seen[-8:]) / 8, rel=1e-6)
