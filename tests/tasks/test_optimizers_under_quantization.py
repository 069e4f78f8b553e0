"""The estimates on planted effects, the ladder, and whole trials at toy size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness.claims import All
from harness.plan import DataRef
from harness.task import Above, Below
from harness.trial import Trial
from tasks.blocks.counting import kept_bytes, state_bytes
from tasks.blocks.decoder import DecoderConfig, next_token_loss
from tasks.blocks.matrix_optimizers import optimizer
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.optim import Rate
from tasks.blocks.training import generator, precision
from tasks.llm.optimizers_under_quantization import experiment, ladder, scales
from tasks.llm.optimizers_under_quantization.claims import OPTIMIZERS, RHO
from tasks.llm.optimizers_under_quantization.experiment import BASE_LR, DECAY, OTHER_LR, rates
from tasks.llm.optimizers_under_quantization.measured import AtCommonLoss, Efficiency, QatDrop
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES
from tasks.llm.optimizers_under_quantization.qat import quantize_linears
from tasks.llm.optimizers_under_quantization.scales import STATE, kept
from tasks.llm.optimizers_under_quantization.task import BASE, LOSSES, TASK, Training
from tasks.llm.optimizers_under_quantization.task import SCHEMES as DECLARED
from tests.tasks.trials import Trials

TINY = {
    "width": 128,
    "depth": 1,
    "length": 16,
    "batch": 4,
    "steps": 12,
    "warmup": 2,
    "eval_windows": 8,
    "probe_windows": 4,
    "probe_every": 3,
    "ladder_top": 6.0,
    "anneal_steps": 2,
    "calibration_windows": 4,
}


@pytest.fixture
def trials(tmp_path: Path, tiny_ref: DataRef) -> Trials:
    return Trials(TASK, tmp_path / "store", base=TINY, data=tiny_ref)


def planted(method: str, **columns: Any) -> dict[str, Any]:
    usual = {"lr_multiplier": 1.0, "decay_multiplier": 1.0, "embedding_multiplier": 1.0, "width": 128, "depth": 2}
    row = {"experiment": "base", "view.base": True, "method": method, "seed": 0, "status": "ok", "metric.val_loss": 2.0}
    return row | {f"param.{name}": value for name, value in usual.items()} | {name.replace("__", "."): v for name, v in columns.items()}


def test_the_sweep_selects_on_validation_loss_alone() -> None:
    rows = [
        planted("soap", param__lr_multiplier=m, metric__val_loss=loss, metric__test_loss=test, metric__rise_w4a4=rise)
        for m, loss, test, rise in ((0.5, 2.2, 1.0, 0.0), (1.0, 2.0, 3.0, 0.4), (2.0, 2.1, 1.5, 0.1))
    ]
    decoys = [planted("soap", experiment=name, metric__val_loss=1.0) for name in ("qat", "law")]
    assert BASE["rise_w4a4"](pd.DataFrame(rows + decoys)) == 0.4


def test_a_diverged_rate_is_not_selected_and_a_failed_one_decides_nothing() -> None:
    rows = [planted("soap", metric__r_l=0.1), planted("soap", param__lr_multiplier=2.0, status="diverged", metric__val_loss=math.nan)]
    assert BASE["r_l"](pd.DataFrame(rows)) == 0.1
    rows[1]["status"] = "timeout"
    assert math.isnan(BASE["r_l"](pd.DataFrame(rows)))


def test_the_claims_on_predictors_read_what_they_name() -> None:
    rise = {"adamw": 1.0, "muon": 2.0, "psgd": 3.0, "scion": 4.0, "shampoo": 10.0, "soap": 6.0}
    columns = {"r_l": 1, "mmr_median": -1, "mmr_mean": -2, "kurtosis": -3}
    rows = [planted(m, metric__rise_w4a4=v, **{f"metric__{name}": by * v for name, by in columns.items()}) for m, v in rise.items()]
    found = {claim.id: claim.estimate(pd.DataFrame(rows)) for claim in TASK.claims if claim.id.startswith("C1-")}
    assert found == pytest.approx(
        {
            **{f"C1-{name}": 1.0 for name in ("residual", "residual-rank")},
            **{f"C1-{name}": -1.0 for name in ("mmr", "mmr-mean", "mmr-rank", "kurtosis")},
            **{f"C1-residual-beats-{name}": 2.0 for name in ("mmr", "kurtosis")},
        }
    )
    # The paper's own numbers lie where its claims hold.
    for claim in TASK.claims:
        assert claim.published is None or claim.published in claim.holds, claim.id


@pytest.mark.parametrize(
    ("id", "above"),
    [
        ("C2-shampoo-least", False),
        ("C2-muon-most", True),
        ("C3-shampoo-least", False),
        ("C4-shampoo-most", True),
        ("C5-muon-gain", True),
        ("C6-every", True),
    ],
)
def test_a_claim_over_all_optimizers_is_decided_in_parts(id: str, above: bool) -> None:
    claim = TASK.claim(id)
    assert isinstance(claim.estimate, All)
    assert len(claim.estimate.parts) == (6 if id == "C6-every" else 5)
    assert claim.holds == (Above(0.0) if above else Below(0.0))


def test_the_least_rise_is_set_against_each_of_the_others() -> None:
    rung = f"metric__{ladder.metric(2.4, ladder.ANNEALED_RISE)}"
    frame = pd.DataFrame([planted(m, **{rung: v}) for m, v in zip(OPTIMIZERS, (0.1, 0.5, 0.2, 0.3, 0.05, 0.4), strict=True)])
    parts = {id: [part(frame) for part in TASK.claim(id).estimate.parts] for id in ("C2-shampoo-least", "C2-muon-most")}  # type: ignore[attr-defined]
    assert parts["C2-shampoo-least"] == pytest.approx([-0.05, -0.45, -0.15, -0.25, -0.35])
    assert parts["C2-muon-most"] == pytest.approx([0.4, 0.3, 0.2, 0.45, 0.1])


def test_the_common_loss_is_the_lowest_rung_that_all_reached() -> None:
    reached = {
        "adamw": {2.4: 0.01, 2.35: 0.02},
        "muon": {2.4: 0.03, 2.35: 0.05, 2.3: 0.09},
        "shampoo": {2.4: 0.0, 2.35: 0.015, 2.3: 0.02, 2.25: 0.07},
    }
    rows = [
        planted(m, **{f"metric__{ladder.metric(rung, ladder.ANNEALED_RISE)}": value for rung, value in at.items()})
        for m, at in reached.items()
    ]
    # Columns hold a NaN where a trial did not get that far; a diverged trial of the sweep is not the selected one.
    rows.append(planted("adamw", param__lr_multiplier=2.0, status="diverged", metric__val_loss=math.nan))
    frame = pd.DataFrame(rows)
    assert [AtCommonLoss(m)(frame) for m in ("adamw", "muon", "shampoo")] == [0.02, 0.05, 0.015]
    assert math.isnan(AtCommonLoss("soap")(frame))
    none = frame.drop(columns=[name for name in frame if name.endswith(("2.40", "2.35"))])
    assert math.isnan(AtCommonLoss("muon")(none))


def test_a_rung_is_read_off_a_line_through_the_checkpoints_near() -> None:
    losses, noise = (3.0, 2.75, 2.6, 2.52, 2.41, 2.3), (0.0, 0.01, -0.01, 0.02, -0.02, 0.0)
    curve = [{"probe_loss": 5.0}]
    curve += [
        {"probe_loss": loss, "w4a4_rise": 1.0 - 0.1 * loss, "annealed_loss": loss - 0.2, "annealed_rise": 0.3 + error, "rate_left": 0.5}
        for loss, error in zip(losses, noise, strict=True)
    ]
    found = ladder.rises(curve, 2.8)
    on_the_way = {name: rung for name, rung in ladder.METRICS[ladder.RISE].items() if name in found}
    assert sorted(on_the_way.values()) == pytest.approx([2.3 + 0.05 * i for i in range(11)]), "2.85 is above the top, 2.25 was not reached"
    assert [found[name] for name in on_the_way] == pytest.approx([1.0 - 0.1 * rung for rung in on_the_way.values()])
    assert max(rung for name, rung in ladder.METRICS[ladder.ANNEALED_RISE].items() if name in found) == 2.8
    # 2.4 has the copies of losses 2.55, 2.4, 2.32 and 2.21 - outside - next to it: a mean of three errors, not the nearest one's.
    near = np.array([2.55, 2.40, 2.32])
    line = np.polyfit(near, 0.3 + np.array([0.01, -0.01, 0.02]), 1)
    assert found[ladder.metric(2.4, ladder.ANNEALED_RISE)] == pytest.approx(np.polyval(line, 2.4))
    assert ladder.rises(curve[:2], 2.8) == {}, "one checkpoint has nothing on its other side"
    assert (ladder.RUNGS[0], ladder.RUNGS[-1]) == (6.0, 1.0)


def test_an_annealed_copy_is_trained_on_and_leaves_the_run_alone(trials: Trials) -> None:
    trial = trials("psgd", {"lr_multiplier": 0.5})
    model = experiment.build(trial)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    made = experiment._optimizer(trial, model, generator(trial.seed_for("probes"), trial.device))
    calm = [experiment.annealed(trial, model, made) for _ in range(2)]
    for parameter, start, one, other in zip(model.parameters(), before, *(copy.parameters() for copy in calm), strict=True):
        assert torch.equal(parameter, start)
        assert torch.equal(one, other)
    assert any(not torch.equal(parameter, one) for parameter, one in zip(model.parameters(), calm[0].parameters(), strict=True))
    assert made.param_groups[0]["lr"] == made.param_groups[0]["initial_lr"]
    for group in made.param_groups:
        group["lr"] = 0.0
    for parameter, one in zip(model.parameters(), experiment.annealed(trial, model, made).parameters(), strict=True):
        assert torch.equal(parameter, one), "the rate is what the run has left"


def test_the_common_loss_is_read_off_annealed_copies_and_on_the_way_by_controls() -> None:
    at = {"adamw": (0.1, 0.5, 0.1), "muon": (0.2, 0.4, 0.6), "shampoo": (0.0, 0.0, 0.0)}
    rows = [
        planted(
            m,
            **{
                f"metric__{ladder.metric(2.4, family)}": v
                for family, v in zip(("annealed_rise", "w4a4_rise", "rate_left"), three, strict=True)
            },
        )
        for m, three in at.items()
    ]
    found = {id: TASK.claim(id).estimate(pd.DataFrame(rows)) for id in ("C2-muon", "C2-muon-on-the-way", "C2-rate-left")}
    assert found == pytest.approx({"C2-muon": 0.1, "C2-muon-on-the-way": -0.1, "C2-rate-left": 0.5})


def test_the_qat_drop_compares_like_with_like() -> None:
    rows = [
        planted("muon", param__lr_multiplier=0.5, metric__val_loss=1.0),  # swept in full precision only
        planted("muon", metric__val_loss=2.0),
        planted("muon", experiment="qat", metric__val_loss=2.1),
        planted("muon", **{"experiment": "qat", "view__base": False}, metric__val_loss=9.0),
    ]
    assert QatDrop()(pd.DataFrame(rows)) == pytest.approx(5.0)
    assert math.isnan(QatDrop()(pd.DataFrame(rows[:2])))


def law_frame(alpha: float = 0.4, floor: float = 1.1) -> pd.DataFrame:
    rows = []
    for index, method in enumerate(OPTIMIZERS):
        for depth in (1, 2, 4):
            n = 196_608 * depth
            for training, rho in (("full", 1.0), ("qat", RHO[method])):
                loss = (60.0 + 5 * index) / (n * rho) ** alpha + floor
                rows.append(
                    planted(
                        method,
                        experiment="qat" if training == "qat" else "base" if depth == 2 else "law",
                        param__depth=depth,
                        metric__hidden_parameters=n,
                        metric__val_loss=loss,
                    )
                )
    return pd.DataFrame(rows)


def test_planted_efficiencies_are_found() -> None:
    frame = law_frame()
    for name in OPTIMIZERS:
        assert Efficiency(name)(frame) == pytest.approx(RHO[name], abs=1e-4), name
        assert TASK.claim(f"C4-rho-{name}").published == RHO[name]
    assert TASK.claim("C4-shampoo").estimate(frame) == pytest.approx(0.016, abs=1e-4)
    assert math.isnan(Efficiency("adamw")(frame[frame["param.depth"] < 4]))


def test_the_slope_of_mmr_over_the_rate() -> None:
    rows = [planted("scion", param__lr_multiplier=m, metric__mmr_median=7 * m**0.3) for m in (0.5, 1.0, 2.0)]
    rows.append(planted("scion", param__lr_multiplier=2.0, param__decay_multiplier=3.0, metric__mmr_median=900.0))
    assert TASK.claim("C6-scion").estimate(pd.DataFrame(rows)) == pytest.approx(0.3)


def test_the_schemes_have_their_metrics() -> None:
    assert tuple(SCHEMES) == DECLARED


def test_rates_follow_their_multipliers() -> None:
    hidden, others = rates("muon", Training(lr_multiplier=2.0, decay_multiplier=0.5))
    assert (hidden.lr, hidden.decay) == pytest.approx((2 * BASE_LR["muon"], 0.5 * DECAY))
    assert (others.lr, others.decay) == pytest.approx((2 * OTHER_LR["muon"], 0.0))
    assert rates("muon", Training(embedding_multiplier=3.0))[1].lr == pytest.approx(3 * OTHER_LR["muon"])
    assert rates("muon", Training(embedding_multiplier=3.0))[0].lr == BASE_LR["muon"]
    assert set(BASE_LR) == set(OTHER_LR) == set(OPTIMIZERS)


@pytest.mark.parametrize("method", OPTIMIZERS)
def test_what_a_trial_measures_fits_together(trials: Trials, method: str) -> None:
    metrics = trials.run(method)
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["val_loss"] < math.log(256)
    assert metrics["hidden_parameters"] == 12 * 128**2
    assert metrics["rise_w4a4"] != 0.0
    assert abs(metrics["rise_w8a8"]) < 0.02
    assert metrics["share_a"] + metrics["share_b"] + metrics["share_c"] == pytest.approx(1.0)
    for family in ladder.FAMILIES:
        assert [name for name in ladder.METRICS[family] if name in metrics], family


def test_a_qat_trial_trains_with_quantization_from_the_same_initial_network(trials: Trials) -> None:
    metrics = {name: trials.run("shampoo", experiment=name) for name in ("base", "qat", "law")}
    assert set(metrics["qat"]) == set(metrics["law"]) == {metric.name for metric in LOSSES}
    assert metrics["law"].items() <= metrics["base"].items(), "looking on the way changes nothing"
    assert metrics["qat"]["train_loss"] != metrics["law"]["train_loss"]
    pair = [experiment.build(trials("shampoo", experiment=name)) for name in ("base", "qat")]
    for a, b in zip(*(model.parameters() for model in pair), strict=True):
        assert torch.equal(a, b)


def test_more_bits_come_nearer_to_full_precision(trials: Trials) -> None:
    full = trials.run("adamw", experiment="law")["val_loss"]
    distance = [abs(trials.run("adamw", {"bits": bits}, experiment="qat")["val_loss"] - full) for bits in (2, 8)]
    assert distance[1] < 0.2 * distance[0]


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("quest", [False, True])
def test_backward_keeps_what_the_estimate_says(arithmetic: str, quest: bool) -> None:
    for width, depth, vocabulary in ((128, 2, 64), (256, 1, 300)):
        values = vars(Training(width=width, depth=depth, head_dim=32, length=64, batch=8, precision=arithmetic))
        model = OlmoDecoder(DecoderConfig(vocab_size=vocabulary, width=width, depth=depth, head_dim=32, length=64))
        initialize_olmo(model, generator(0))
        if quest:
            quantize_linears(model, 4)
        tokens = torch.randint(vocabulary, (2, 8, 64), generator=generator(0))

        def loss(model: OlmoDecoder = model, tokens: torch.Tensor = tokens) -> torch.Tensor:
            with precision("cpu", arithmetic):
                return next_token_loss(model(tokens[0]), tokens[1])

        counted = kept_bytes(loss, [*model.parameters(), *model.buffers()])
        assert kept(values, vocabulary, quest=quest) == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize("method", [name for name in OPTIMIZERS if name != "soap"])  # whose state lies in lists
def test_an_optimizer_holds_what_the_estimate_says(method: str) -> None:
    model = OlmoDecoder(DecoderConfig(vocab_size=32, width=64, depth=1, head_dim=16, length=8))
    matrices = list(model.hidden_matrices().values())
    made = optimizer(method, matrices, [model.embedding.weight], Rate(0.01, 0.1), Rate(0.01, 0.0), generator(0))
    for matrix in matrices:
        matrix.grad = torch.randn(matrix.shape, generator=generator(1))
    made.step()
    held = state_bytes(torch.nn.Module(), made.parts[0])
    assert held / 4 / sum(matrix.numel() for matrix in matrices) == pytest.approx(STATE[method], rel=1e-3)


def test_a_large_batch_is_taken_in_parts(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trials.run("muon", experiment="law", study="whole")
    monkeypatch.setattr(scales, "PART", TINY["length"])
    assert scales.parts(vars(trials("muon").params)) == TINY["batch"]
    assert trials.run("muon", experiment="law", study="parts") == pytest.approx(whole, rel=1e-4)


class MachineLostError(Exception):
    """Stands for a machine that goes away."""


@pytest.mark.parametrize("method", ["psgd", "soap"])
def test_an_interrupted_trial_finds_its_rungs_again(trials: Trials, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    whole = trials.run(method, study="whole")
    loop = experiment._loop

    def breaks(trial: Trial, corpus: Any, model: OlmoDecoder, observe: Any) -> Any:
        made = loop(trial, corpus, model, observe)

        def batch(step: int) -> Any:
            if step == 8:
                raise MachineLostError
            return made.batch(step)

        return type(made)(**{**vars(made), "batch": batch, "checkpoint_seconds": 0.0})

    monkeypatch.setattr(experiment, "_loop", breaks)
    with pytest.raises(MachineLostError):
        trials.run(method, study="broken")
    monkeypatch.setattr(experiment, "_loop", loop)
    resumed = trials(method, study="broken")
    assert experiment.base(resumed) == whole
    assert [point["step"] for point in resumed.curve] == [3, 6, 9, 12]


def test_a_run_that_diverges_says_so(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "next_token_loss", lambda logits, targets: logits.sum() * math.nan)
    assert math.isnan(trials.run("adamw")["val_loss"])
