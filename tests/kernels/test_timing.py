"""Benchmarks and tuning: what is compared, in which order, and that wrong numbers are never timed. Nothing here depends on speed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels import bench, configs, timing, tune
from kernels.configs import Config, Tunable
from kernels.spec import KernelSpec, OpSpec, Shape
from kernels.timing import Ceilings, interleaved, ratio
from tests.kernels import toy

CPU = torch.device("cpu")
SHAPE = {"rows": 8, "width": 8}


def test_the_ratio_is_paired_by_round() -> None:
    # A clock that drifts by a factor of ten takes both with it: the paired ratio does not see it.
    slow, fast = [2.0, 4.0, 20.0, 2.2], [1.0, 2.0, 10.0, 1.1]
    found = ratio(slow, fast)
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_interval_of_a_ratio_holds_its_median_and_widens_with_the_noise() -> None:
    quiet = ratio([2.0, 2.1, 1.9, 2.0, 2.05], [1.0] * 5)
    noisy = ratio([2.0, 3.1, 0.9, 2.5, 1.4], [1.0] * 5)
    assert quiet.low <= quiet.value <= quiet.high
    assert noisy.high - noisy.low > quiet.high - quiet.low


def test_providers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(timing, "repeats_for", lambda call, device: 1)
    samples = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, CPU, 3)
    assert "".join(order) == "ababab"
    assert {name: len(taken) for name, taken in samples.items()} == {"a": 3, "b": 3}


@pytest.fixture
def roof(monkeypatch: pytest.MonkeyPatch) -> Ceilings:
    """Compiling takes long and is torch's business: the toy's compiled form is the toy."""
    monkeypatch.setattr(bench, "compiled", lambda reference, mode=None: reference)
    return Ceilings(copy=1e9, matmul=1e12)


def test_a_wrong_provider_is_named_and_not_timed(roof: Ceilings) -> None:
    def wrong(x: Tensor) -> Tensor:
        return x**3 + 1e-3

    spec = toy.spec(peers={"a peer": lambda: wrong, "not installed": lambda: None})
    rows = list(bench._shape_rows(spec, SHAPE, torch.float32, CPU, roof, 3))
    (refused,) = [row for row in rows if row["provider"] == "a peer"]
    assert set(refused["wrong"]) == {"y"}
    assert "ms_p50" not in refused
    assert "WRONG, not timed" in bench._line(refused)
    timed = {(row["mode"], row["provider"]) for row in rows if "wrong" not in row}
    assert timed == {(mode, name) for mode in ("forward", "forward_backward") for name in ("eager", "compile", "eager again")}


def test_a_provider_that_raises_is_named_and_the_others_are_timed(roof: Ceilings) -> None:
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("no memory")

    spec = toy.spec(peers={"a peer": lambda: fails})
    rows = list(bench._shape_rows(spec, SHAPE, torch.float32, CPU, roof, 3))
    (refused,) = [row for row in rows if "wrong" in row]
    assert (refused["provider"], refused["wrong"]) == ("a peer", {"raised": "RuntimeError: no memory"})
    assert {row["provider"] for row in rows if "wrong" not in row} == {"eager", "compile", "eager again"}


def test_a_config_that_does_not_launch_cannot_win(capsys: pytest.CaptureFixture[str]) -> None:
    def fails_at_128(x: Tensor, *, backend: str) -> Tensor:
        if toy.TUNABLE.pick(CPU, 1).tiles["BLOCK"] == 128:
            raise RuntimeError("out of shared memory")
        return toy.right(x, backend=backend)

    best = tune.best_configs(toy.spec(fails_at_128), CPU, _by_block)
    assert {config.tiles["BLOCK"] for config in best["cube"].values()} == {64}
    assert "out of shared memory" in capsys.readouterr().out


def test_a_kernel_with_one_candidate_is_not_tuned() -> None:
    single = KernelSpec(tunable=Tunable("cube", toy.CANDIDATES[:1]), cases=lambda config: ())
    assert tune.best_configs(toy.spec(kernels=(single,)), CPU, _by_block) == {}


@pytest.mark.parametrize(("wrong_peer", "code"), [(True, 0), (False, 1)])
def test_a_wrong_peer_is_a_finding_and_a_wrong_form_of_ours_a_failure(
    roof: Ceilings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong_peer: bool, code: int
) -> None:
    spec = toy.spec(peers={"a peer": lambda: lambda x: 1.01 * x**3}) if wrong_peer else toy.spec()
    if not wrong_peer:
        monkeypatch.setattr(bench, "compiled", lambda reference, mode=None: lambda x: 1.01 * x**3)
    monkeypatch.setattr(bench, "specs", lambda names: [spec])
    monkeypatch.setattr(bench, "ceilings", lambda device, dtype: roof)
    out = tmp_path / "rows.jsonl"
    assert bench.run([], rounds=2, out=out, shapes="small") == code
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert any(row.get("wrong") for row in rows)
    assert {"device", "torch", "commit", "when"} <= set(rows[0])


def test_rows_carry_ratio_roof_and_noise_floor(roof: Ceilings) -> None:
    rows = list(bench._shape_rows(toy.spec(), SHAPE, torch.float32, CPU, roof, 3))
    eager = next(row for row in rows if row["provider"] == "eager" and row["mode"] == "forward")
    assert eager["vs_eager"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    moved = 2 * 8 * 8 * 4
    assert eager["roof_share"] * eager["ms_p50"] / 1e3 == pytest.approx(moved / roof.copy)
    assert json.loads(json.dumps(rows)) == rows


def test_an_op_in_its_block_is_timed_too(roof: Ceilings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    spec = toy.spec(block=lambda op, inputs: op(**inputs) + inputs["x"])
    rows = [row for row in bench._shape_rows(spec, SHAPE, torch.float32, CPU, roof, 3) if row.get("in_context")]
    assert {row["provider"] for row in rows} == {"eager", "compile", "eager again"}
    assert "in its block" in bench._line(rows[0])


def _by_block(spec: OpSpec, shape: Shape, kernel: KernelSpec, candidates: Sequence[Config]) -> list[float]:
    """The larger the block the faster."""
    return [1.0 / config.tiles["BLOCK"] for config in candidates]


def test_tuning_takes_the_fastest_config_at_every_size() -> None:
    best = tune.best_configs(toy.spec(), CPU, _by_block)
    assert {size: config.tiles["BLOCK"] for size, config in best["cube"].items()} == {4096: 128, 2048: 128, 2145: 128}


def test_a_config_with_wrong_numbers_cannot_win() -> None:
    def wrong_at_128(x: Tensor, *, backend: str) -> Tensor:
        y = toy.right(x, backend=backend)
        return y + 1.0 if toy.TUNABLE.pick(CPU, 1).tiles["BLOCK"] == 128 else y

    best = tune.best_configs(toy.spec(wrong_at_128), CPU, _by_block)
    assert {config.tiles["BLOCK"] for config in best["cube"].values()} == {64}


def test_tuning_without_a_gpu_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert tune.run([]) == 2
    assert "there is none here" in capsys.readouterr().out


def test_saved_configs_are_found_by_the_nearest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "FOLDER", tmp_path)
    configs.load.cache_clear()
    small, large = toy.CANDIDATES[1], toy.CANDIDATES[2]
    configs.save("nvidia-h200", {"commit": "abc"}, {"cube": {1000: small, 1_000_000: large}, "other": {1: small}})
    configs.save("nvidia-h200", {"commit": "def"}, {"other": {1: large}})
    monkeypatch.setattr(configs, "device_slug", lambda device: "nvidia-h200")
    cuda: Any = torch.device("cuda")
    try:
        assert toy.TUNABLE.pick(cuda, 2000) == small
        assert toy.TUNABLE.pick(cuda, 400_000) == large
        assert Tunable("other", toy.CANDIDATES).pick(cuda, 1) == large, "a second tuning replaces its own kernel only"
        assert Tunable("unknown", toy.CANDIDATES).pick(cuda, 1) == toy.CANDIDATES[0]
        assert toy.TUNABLE.pick(CPU, 2000) == toy.CANDIDATES[0], "measured configs belong to their device"
    finally:
        configs.load.cache_clear()


def test_a_forced_config_ends_with_its_block() -> None:
    with configs.forced("cube", toy.CANDIDATES[2]):
        assert toy.TUNABLE.pick(CPU, 1) == toy.CANDIDATES[2]
    assert toy.TUNABLE.pick(CPU, 1) == toy.CANDIDATES[0]
