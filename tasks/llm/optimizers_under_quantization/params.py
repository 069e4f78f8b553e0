"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param


@dataclass(frozen=True, kw_only=True)
class Params:
    """One training run; the method is its optimizer. The defaults are the base size at laptop scale."""

    training: str = param(
        "full", "full: single precision, quantized afterwards; qat: QuEST in every forward pass, from scratch", choices=("full", "qat")
    )
    bits: int = param(4, "bits of weights and activations under quantization-aware training", unit="bits", low=1, high=8)
    size: str = param(
        "base",
        "base: the size that is swept and quantized afterwards; other: a further size of the scaling law, losses only",
        choices=("base", "other"),
    )
    width: int = param(128, "model width; a multiple of 128 for QuEST's Hadamard blocks", unit="channels", low=16, high=8192)
    depth: int = param(2, "blocks of the decoder", unit="blocks", low=1, high=128)
    head_dim: int = param(32, "width of one attention head", unit="channels", low=2, high=256)
    length: int = param(64, "tokens of a training sequence", unit="tokens", low=2, high=65536)
    batch: int = param(8, "sequences of a step", unit="sequences", low=1, high=65536)
    steps: int = param(100, "optimizer steps", unit="steps", low=2, high=10_000_000)
    warmup: int = param(10, "steps of linear warm-up", unit="steps", low=0, high=1_000_000)
    lr_multiplier: float = param(1.0, "multiplies every rate of the optimizer's base setting", low=1e-4, high=1e4)
    decay_multiplier: float = param(1.0, "multiplies the decay of the hidden matrices", low=0.0, high=1e4)
    precision: str = param("float32", "arithmetic of the training's forward pass (bfloat16: autocast)", choices=("float32", "bfloat16"))
    probe_every: int = param(10, "steps from one look at the probe loss to the next", unit="steps", low=1, high=1_000_000)
    probe_windows: int = param(24, "validation windows of the probe, which only finds the rungs", unit="windows", low=1, high=100_000)
    ladder_top: float = param(2.6, "highest rung of the common-loss ladder that is visited", unit="nats/token", low=0.0, high=20.0)
    eval_windows: int = param(96, "windows that losses and rises are means over", unit="windows", low=1, high=100_000)
    calibration_windows: int = param(32, "training windows that GPTQ is calibrated on", unit="windows", low=1, high=100_000)
