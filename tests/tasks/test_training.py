"""The loop: repeatable, resumable to the bit, and honest about divergence."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from harness.errors import UsageError
from harness.task import Experiment, Method, Metric, Paper, Task
from harness.trial import Trial
from kernels import rowwise_absmax_fake_quant
from tasks.blocks import backends, sharding, training
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass
from tasks.blocks.training import Loop, Trained, generator, train
from tests.tasks.trials import Trials

MakeTrial = Callable[..., Trial]


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


THROWAWAY = Task(
    id="loops",
    version=1,
    paper=Paper(arxiv="0000.00000", title="A throw-away paper", year=2026),
    methods=[Method("m", "baseline")],
    experiments=[Experiment("train", params=Nothing, metrics=[Metric("loss", "", "lower")], run="a:b")],
    scales={},
    claims=[],
)


@pytest.fixture
def make_trial(tmp_path: Path) -> MakeTrial:
    """A trial of a throw-away task; `study` tells two apart."""
    trials = Trials(THROWAWAY, tmp_path)
    return lambda study="study": trials("m", study=study)


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


def watched(loop: Loop, seen: Callable[[int, Tensor], None]) -> Loop:
    """The same loop, and `seen` gets each step and its loss."""
    inner = loop.loss
    assert inner is not None

    def loss(step: int) -> Tensor:
        value: Tensor = inner(step)
        seen(step, value.detach())
        return value

    return Loop(**{**vars(loop), "loss": loss})


def finished(trial: Trial, loop: Loop) -> tuple[Trained, dict[str, Any], list[dict[str, float]]]:
    return train(trial, loop), {name: value.clone() for name, value in loop.model.state_dict().items()}, trial.curve


def test_an_interrupted_run_goes_on_to_the_bit(make_trial: MakeTrial) -> None:
    whole = finished(make_trial("whole"), regression())
    with pytest.raises(MachineLostError):
        train(make_trial("broken"), regression(stop_at=17))
    resumed = make_trial("broken")
    steps_run: list[int] = []
    trained = finished(resumed, watched(regression(), lambda step, _: steps_run.append(step)))
    assert steps_run == list(range(15, 30))
    assert trained[0] == whole[0]
    assert torch.equal(trained[1]["weight"], whole[1]["weight"])
    assert trained[2] == whole[2]


def test_a_loop_of_another_stage_starts_afresh_and_the_curve_goes_on(make_trial: MakeTrial) -> None:
    trial = make_trial()
    for stage in ("first", "second"):
        steps_run: list[int] = []
        train(trial, Loop(**{**vars(watched(regression(), lambda step, _: steps_run.append(step))), "stage": stage}))  # noqa: B023
        assert steps_run == list(range(30))
    assert [row["step"] for row in trial.curve] == list(range(5, 65, 5))


def test_the_loss_falls_and_its_tail_is_reported(make_trial: MakeTrial) -> None:
    trained, _, curve = finished(make_trial(), regression(steps=100))
    assert curve[-1]["step"] == 100
    assert trained.loss < 0.5 * curve[0]["train_loss"]
    assert not trained.diverged


def test_a_loss_that_is_not_finite_ends_the_run_at_the_next_log(make_trial: MakeTrial) -> None:
    trained, _, curve = finished(make_trial(), regression(blow_up_at=7))
    assert trained.diverged
    assert math.isnan(trained.loss)
    assert [row["step"] for row in curve] == [5, 10]


def test_the_last_losses_are_averaged_over_the_tail_only(make_trial: MakeTrial) -> None:
    seen: list[float] = []
    trained = train(make_trial(), watched(regression(steps=20), lambda _, value: seen.append(float(value))))
    assert trained.loss == pytest.approx(sum(seen[-8:]) / 8, rel=1e-6)


def batched(**how: Any) -> Loop:
    """A small classifier on random batches of 10, drawn apart from the loss."""
    model, stream = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)), generator(2)
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator(index)))

    def batch(_: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(10, 3, generator=stream)
        return x, x.argmax(1)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(model(x), y)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    about: dict[str, Any] = {"batch": batch, "streams": {"batches": stream}, "log_every": 5, "tail": 40}
    return Loop(model=model, optimizer=optimizer, schedule=Schedule(40, 3, "cosine"), loss=loss, **{**about, **how})


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_gradients_of_parts_add_up_to_that_of_the_whole_batch(make_trial: MakeTrial, parts: int) -> None:
    whole = finished(make_trial("whole"), batched())
    cut = finished(make_trial("cut"), batched(parts=parts))
    assert cut[0].loss == pytest.approx(whole[0].loss, rel=1e-5)
    for name, value in whole[1].items():
        torch.testing.assert_close(cut[1][name], value, rtol=1e-4, atol=1e-5)


def test_long_gradients_are_cut_to_their_length_over_all_parameters(make_trial: MakeTrial) -> None:
    def moved(study: str, most: float) -> list[Tensor]:
        loop = replace(batched(max_grad_norm=most), schedule=Schedule(1, 0))
        before = [parameter.detach().clone() for parameter in loop.model.parameters()]
        train(make_trial(study), loop)
        return [(old - new.detach()) / 0.3 for old, new in zip(before, loop.model.parameters(), strict=True)]

    free, cut, loose = moved("free", math.inf), moved("cut", 0.01), moved("loose", 100.0)
    length = math.sqrt(sum(float(part.square().sum()) for part in free))
    assert length > 0.1
    for whole, short, same in zip(free, cut, loose, strict=True):
        torch.testing.assert_close(short, whole * 0.01 / length, rtol=1e-3, atol=1e-6)
        assert torch.equal(same, whole)


def test_one_process_trains_a_sharded_model_whole_and_to_the_bit(make_trial: MakeTrial) -> None:
    plain, sharded = batched(), batched()
    sharded = replace(sharded, sharded=list(sharded.model.children()))
    first, second = finished(make_trial("plain"), plain), finished(make_trial("sharded"), sharded)
    assert first[0] == second[0]
    assert all(torch.equal(first[1][name], value) for name, value in second[1].items())


@pytest.mark.parametrize("optimizer", ["Muon", "of another model"])
def test_an_optimizer_that_needs_more_than_a_rank_has_is_refused(make_trial: MakeTrial, optimizer: str) -> None:
    trial, loop = make_trial(), batched()
    trial.world_size = 2
    matrices = [parameter for parameter in loop.model.parameters() if parameter.ndim == 2]
    chosen = torch.optim.Muon(matrices) if optimizer == "Muon" else torch.optim.SGD(nn.Linear(2, 2).parameters())
    with pytest.raises(UsageError, match=r"not for Muon|steps that model's weights alone"):
        train(trial, replace(loop, optimizer=chosen, sharded=[loop.model]))


@pytest.fixture
def group_of_one() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    yield
    dist.destroy_process_group()


def test_a_block_that_is_spread_leaves_no_whole_weights_behind(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch, group_of_one: None
) -> None:
    trial, loop = make_trial(), batched()
    weights = {name: weakref.ref(weight) for name, weight in loop.model.named_parameters()}
    left: list[list[str]] = []

    def spread(module: nn.Module, **how: Any) -> Any:
        left.append([name for name, weight in weights.items() if weight() is not None])
        return fully_shard(module, **how)

    monkeypatch.setattr(sharding, "fully_shard", spread)
    sharding.shard(trial, loop.model, [loop.model.get_submodule("0"), loop.model.get_submodule("2")], loop.optimizers.values())
    assert left == [["0.weight", "0.bias", "2.weight", "2.bias"], ["2.weight", "2.bias"], []]


def test_a_batch_drawn_apart_trains_as_one_drawn_in_the_loss(make_trial: MakeTrial) -> None:
    apart, inside = batched(), batched()
    assert inside.loss is not None
    assert inside.batch is not None
    draw, loss = inside.batch, inside.loss
    inside = Loop(**{**vars(inside), "batch": None, "loss": lambda step: loss(*draw(step))})
    first, second = finished(make_trial("apart"), apart), finished(make_trial("inside"), inside)
    assert first[0] == second[0]
    assert all(torch.equal(first[1][name], value) for name, value in second[1].items())


def test_a_compiled_loss_trains_as_the_plain_one(make_trial: MakeTrial) -> None:
    plain, compiled = finished(make_trial("plain"), batched()), finished(make_trial("compiled"), batched(compiler="aot_eager"))
    assert compiled[0].loss == pytest.approx(plain[0].loss, rel=1e-5)


def test_a_step_is_compiled_when_the_environment_says_so_and_the_record_says_it(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make_trial("plain")
    expected = finished(plain, batched())
    monkeypatch.setenv(backends.COMPILER, "aot_eager")
    compiled, apart = make_trial("compiled"), make_trial("apart")
    assert finished(compiled, batched())[0].loss == pytest.approx(expected[0].loss, rel=1e-5)
    train(apart, regression())
    assert (plain.kernel_backend, compiled.kernel_backend, apart.kernel_backend) == ("", "step=aot_eager", "")


def test_a_compiler_that_torch_does_not_know_is_refused_in_a_sentence(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backends.COMPILER, "inductr")
    with pytest.raises(UsageError, match="did you mean 'inductor'"):
        train(make_trial(), batched())


def test_the_record_says_which_kernels_a_loop_ran(make_trial: MakeTrial) -> None:
    loop = batched()
    plain = loop.loss
    assert plain is not None

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return plain(rowwise_absmax_fake_quant(x, 4), y)

    trial = make_trial()
    trial.kernel_backend = "an_op=triton"
    train(trial, Loop(**{**vars(loop), "loss": loss}))
    assert trial.kernel_backend == "an_op=triton,rowwise_absmax_fake_quant=reference"


def test_attention_on_cuda_is_one_that_repeats_and_the_choice_ends_with_the_loop() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with training._repeatable(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_loop_refuses_forms_that_it_would_not_follow() -> None:
    loop = batched()
    for wrong in (
        {"loss": None},
        {"step": lambda _: torch.zeros(())},
        {"parts": 0},
        {"batch": None, "parts": 2},
        {"batch": None, "compiler": "x"},
        {"batch": None, "sharded": [loop.model]},
        {"max_grad_norm": 0.0},
        {"loss": None, "batch": None, "step": lambda _: torch.zeros(()), "max_grad_norm": 1.0},
    ):
        with pytest.raises(ValueError, match=r"loop|batch|parts|max_grad_norm"):
            Loop(**{**vars(loop), **wrong})


def game(*, stop_at: int = -1) -> Loop:
    """A maker and a judge, two steps of the judge for one of the maker; each has momentum to lose."""
    networks = nn.ModuleDict({"maker": nn.Linear(2, 2), "judge": nn.Linear(2, 1)})
    with torch.no_grad():
        for index, parameter in enumerate(networks.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator(index)))
    optimizers = {name: torch.optim.Adam(network.parameters(), lr=0.01) for name, network in networks.items()}
    stream = generator(3)

    def update(name: str, loss: Tensor) -> Tensor:
        optimizers[name].zero_grad()
        loss.backward(inputs=list(networks[name].parameters()))  # type: ignore[no-untyped-call]
        optimizers[name].step()
        return loss

    def step(step: int) -> Tensor:
        if step == stop_at:
            raise MachineLostError
        for _ in range(2):
            real, noise = torch.randn(2, 8, 2, generator=stream).unbind()
            told = update(
                "judge", F.softplus(networks["judge"](networks["maker"](noise))).mean() + F.softplus(-networks["judge"](real)).mean()
            )
        update("maker", -networks["judge"](networks["maker"](torch.randn(8, 2, generator=stream))).mean())
        return told

    return Loop(
        model=networks,
        optimizer=optimizers,
        schedule=Schedule(30, 3, "cosine"),
        step=step,
        streams={"noise": stream},
        log_every=5,
        checkpoint_seconds=0.0,
    )


def test_a_loop_with_two_optimizers_goes_on_to_the_bit(make_trial: MakeTrial) -> None:
    whole = finished(make_trial("whole"), game())
    with pytest.raises(MachineLostError):
        train(make_trial("broken"), game(stop_at=18))
    resumed = finished(make_trial("broken"), game())
    assert resumed[0] == whole[0]
    assert resumed[2] == whole[2]
    assert all(torch.equal(resumed[1][name], value) for name, value in whole[1].items())


def test_the_schedule_sets_the_rates_of_all_optimizers(make_trial: MakeTrial) -> None:
    loop = game()
    train(make_trial(), loop)
    rates = [group["lr"] for optimizer in loop.optimizers.values() for group in optimizer.param_groups]
    assert rates == pytest.approx([0.01 * loop.schedule.factor(29)] * 2)


def test_seconds_of_all_attempts_are_counted(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def tick(_step: int, _loss: Tensor) -> None:
        clock[0] += 2.0

    monkeypatch.setattr("tasks.blocks.training.time.perf_counter", lambda: clock[0])
    with pytest.raises(MachineLostError):
        train(make_trial("broken"), watched(regression(stop_at=17), tick))
    assert train(make_trial("broken"), watched(regression(), tick)).seconds == pytest.approx(60.0)


def test_numbers_of_a_purpose_are_of_a_seed_and_of_that_purpose_alone(make_trial: MakeTrial) -> None:
    trial = make_trial()
    found = training.normal(trial, "noise", 40_000)
    assert torch.equal(found, torch.randn(40_000, generator=generator(trial.seed_for("noise")), dtype=torch.float64))
    assert torch.equal(found.reshape(200, 200), training.normal(trial, "noise", 200, 200))
    assert not torch.isclose(found, training.normal(trial, "start", 40_000)).all()
    assert [float(found.mean()), float(found.var())] == pytest.approx([0.0, 1.0], abs=0.03)


@pytest.mark.parametrize("form", ["loss", "step"])
def test_ranks_train_only_what_can_be_shared_out(make_trial: MakeTrial, form: str) -> None:
    trial, loop = make_trial(), regression()
    trial.world_size = 2
    if form == "step":
        loop = replace(loop, loss=None, step=loop.loss)
    with pytest.raises(UsageError, match="a trial of 2 ranks trains with a loop whose batches can be shared out"):
        train(trial, loop)
