"""Which implementation runs: chosen by argument or environment, recorded, and refused when it cannot."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kernels import backend, configs, group_rational
from kernels.backend import BackendError, choose
from kernels.configs import Config, Tunable
from kernels.spec import specs

UNPROVEN = ("stablemax_ce", "onehot_square")
X, NUMERATOR, DENOMINATOR = torch.randn(4, 8), torch.randn(2, 6), torch.randn(2, 4)


def test_auto_on_a_cpu_is_the_reference_and_the_record_says_so() -> None:
    with backend.recording() as used:
        group_rational(X, NUMERATOR, DENOMINATOR)
    assert used.summary() == "group_rational=reference"


def test_the_environment_chooses_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELS_BACKEND", "triton")
    with backend.recording() as used:
        group_rational(X, NUMERATOR, DENOMINATOR)
        group_rational(X, NUMERATOR, DENOMINATOR, backend="reference")
    assert used.summary() == "group_rational=reference,group_rational=triton"


def test_nothing_is_recorded_outside_the_block() -> None:
    with backend.recording() as used:
        pass
    group_rational(X, NUMERATOR, DENOMINATOR)
    assert used.summary() == ""


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ValueError, match="unknown backend 'cuda'; choose one of auto, reference, compile, triton"):
        group_rational(X, NUMERATOR, DENOMINATOR, backend="cuda")


def test_triton_on_the_cpu_without_its_interpreter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(BackendError, match="backend triton was asked for, but the tensors are on cpu"):
        group_rational(X, NUMERATOR, DENOMINATOR, backend="triton")


def test_a_bfloat16_tile_product_is_refused_in_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(BackendError, match="multiplies bfloat16 tiles wrongly"):
        choose("product", X.bfloat16(), backend="triton", dot=True)
    assert choose("product", X.half(), backend="triton", dot=True) == "triton"
    assert choose("pointwise", X.bfloat16(), backend="triton") == "triton"
    assert choose("product", X.bfloat16(), backend="auto", dot=True) == "reference"


def test_auto_leaves_small_problems_on_a_gpu_to_torch_and_an_explicit_choice_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_obstacle", lambda tensor, dot: "")
    on_a_gpu: Any = SimpleNamespace(is_cuda=True)
    assert choose("product", on_a_gpu) == "triton"
    assert choose("product", on_a_gpu, small=True) == "reference"
    assert choose("product", on_a_gpu, small=True, backend="triton") == "triton"
    assert choose("without", on_a_gpu, has_kernel=False) == "reference"


def test_the_compiled_reference_equals_the_reference() -> None:
    compiled = group_rational(X, NUMERATOR, DENOMINATOR, backend="compile")
    assert torch.allclose(compiled, group_rational(X, NUMERATOR, DENOMINATOR, backend="reference"), rtol=1e-5, atol=1e-6)


def test_importing_the_package_or_running_a_reference_imports_no_triton() -> None:
    code = (
        "import sys, torch, kernels; assert 'triton' not in sys.modules\n"
        "kernels.group_rational(torch.ones(1, 2), torch.ones(6), torch.ones(1, 4)); assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_op_without_a_record_of_gains_waits_for_the_smallest_size_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    tunable, gpu = Tunable("product", (Config(),)), torch.device("cuda")
    monkeypatch.setattr(configs, "device_slug", lambda device: "a-gpu")
    monkeypatch.setattr(configs, "load", lambda slug: {"product": {4096: Config(), 256: Config()}, "another": {1: Config()}})
    assert tunable.measured_from(gpu) == 256
    assert Tunable("never", (Config(),)).measured_from(gpu) == math.inf
    assert tunable.measured_from(torch.device("cpu")) == math.inf


@pytest.mark.parametrize("name", UNPROVEN)
def test_auto_asks_how_much_was_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = specs([name])
    shape = spec.small[0]
    inputs = spec.inputs(shape, torch.float32, torch.device("cpu"), 1)
    module = importlib.import_module(spec.op.__module__)
    asked: list[bool] = []
    monkeypatch.setattr(module, "choose", lambda op, tensor, *, small, **rest: asked.append(small) or "reference")
    spec.op(**inputs)
    for size in (spec.size(shape), spec.size(shape) + 1):
        monkeypatch.setattr(Tunable, "measured_from", lambda self, device, size=size: size)
        spec.op(**inputs)
    assert asked == [True, False, True]
