"""Estimates of memory of the EEG papers: against what steps of the real networks take, and against the hardware that scales name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness import registry
from harness.memory import room
from harness.plan import DataRef, Overrides, data_names, expand
from tasks.blocks.counting import peak_bytes
from tasks.eeg.eeg_artifact_synthesis import memory as synthesis
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import problem
from tasks.eeg.eeg_artifact_synthesis.training import learner
from tasks.eeg.eeg_denoising_atat import memory as denoising
from tasks.eeg.eeg_denoising_atat.denoisers import build
from tests.tasks.stand_ins import made
from tests.tasks.trials import Trials

NARROW = {"ddpm_width": 8, "ddpm_blocks": 1, "ddpm_batch": 8, "gan_width": 16, "gan_batch": 16, "latent": 16, "rate": 128.0}


@pytest.mark.parametrize(
    ("method", "values"),
    [("ddpm-v", {}), ("ddpm-v", {"ddpm_blocks": 2, "ddpm_width": 16}), ("ddpm-eps-no-skips", {"ddpm_batch": 16}), ("wgan-gp", {})],
)
def test_a_step_of_a_generator_takes_what_is_expected(tmp_path: Path, method: str, values: dict[str, Any]) -> None:
    trials = Trials("eeg-artifact-synthesis", tmp_path, experiment="train", base=NARROW, data=made("tuar"))
    trial = trials(method, values)
    windows = problem(trial)
    model = learner(trial, windows, method)
    model.step(0)
    for optimizer in model.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    counted = peak_bytes(lambda: model.step(1))
    params = dict(NARROW) | values
    assert 0.9 * counted < synthesis.step_bytes(method, params, windows.shape[1]) < 1.4 * counted
    if method != "ddpm-eps-no-skips":
        gan = synthesis.gan_parameters(params["gan_width"], params["latent"], windows.shape[1])
        expected = gan if method == "wgan-gp" else synthesis.unet_parameters(params["ddpm_width"], params["ddpm_blocks"])
        assert expected == pytest.approx(model.parameters(), rel=0.1)


@pytest.mark.parametrize("method", ["fcnn", "cnn", "complex-cnn", "rnn", "ae-only", "at-at"])
def test_networks_that_clean_are_as_large_as_expected(tmp_path: Path, method: str) -> None:
    trial = Trials("eeg-denoising-atat", tmp_path, experiment="train", base={"samples": 256}, data=made("eeg-denoise"))(method)
    network = build(trial, 256)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted <= denoising.parameters(method, 256, 1.0) < 4.0 * counted


@pytest.mark.parametrize("method", ["fcnn", "cnn", "complex-cnn", "rnn", "ae-only"])
def test_a_step_of_a_network_that_cleans_takes_no_more_than_expected(tmp_path: Path, method: str) -> None:
    trial = Trials("eeg-denoising-atat", tmp_path, experiment="train", base={"samples": 128}, data=made("eeg-denoise"))(method)
    network, x = build(trial, 128), torch.randn(40, 128)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-5)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        network(x).square().mean().backward()
        optimizer.step()

    step()
    optimizer.zero_grad(set_to_none=True)
    counted = peak_bytes(step)
    expected = denoising.step_bytes(method, {"samples": 128, "batch": 40, "width": 1.0, "artifact": "emg"})
    assert counted < expected < 3.5 * counted


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
@pytest.mark.parametrize("name", ["eeg-artifact-synthesis", "eeg-denoising-atat"])
def test_trials_of_every_scale_fit_what_it_names(name: str, scale: str) -> None:
    task = registry.task(name)
    sized = task.scale(scale)
    data = {used: DataRef(used, used, "synthetic", "x") for used in data_names(task, scale, Overrides())}
    trials = expand(task, scale, Overrides(seeds=1), data)
    assert all(trial.expected_gib > 0.6 for trial in trials)
    most = max(trial.expected_gib for trial in trials)
    if sized.hardware:
        found = room(sized.resources, sized.hardware)
        assert found is not None
        assert most < found.each
        assert max(trial.expected_s for trial in trials) < sized.time_limit_s
    else:
        assert most < 2.0, "two at a time on a laptop"
