"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param


@dataclass(frozen=True, kw_only=True)
class Params:
    """One training run, or one timing of a training step. The defaults are the language model at laptop scale."""

    setting: str = param("lm", "lm: a decoder on text; vit: a vision transformer on labelled images", choices=("lm", "vit"))
    part: str = param(
        "quality",
        "quality: train, then measure losses; cost: time training steps against those of mlp-gelu, in turns",
        choices=("quality", "cost"),
    )
    width: int = param(32, "model width d", unit="channels", low=8, high=8192)
    depth: int = param(2, "blocks", unit="blocks", low=1, high=128)
    head_dim: int = param(16, "width of one attention head", unit="channels", low=2, high=256)
    groups: int = param(8, "groups of channels that share a denominator; divides the width", unit="groups", low=1, high=1024)
    length: int = param(64, "lm: tokens of a training sequence", unit="tokens", low=2, high=65536)
    patch: int = param(4, "vit: side of a patch; divides the image", unit="pixels", low=1, high=64)
    batch: int = param(8, "sequences or images of a step", unit="examples", low=1, high=65536)
    steps: int = param(400, "quality: optimizer steps, the same for every method", unit="steps", low=2, high=10_000_000)
    warmup: int = param(20, "steps of linear warm-up before a cosine to a tenth", unit="steps", low=0, high=1_000_000)
    lr: float = param(3e-3, "peak learning rate of every parameter", low=1e-7, high=10.0)
    decay: float = param(0.05, "decoupled weight decay of matrices and rational coefficients", low=0.0, high=1e4)
    smoothing: float = param(0.0, "vit: label smoothing of the training loss", low=0.0, high=0.9)
    attention_init: str = param(
        "normal",
        "attention of every method alike. normal: N(0, 0.02^2); mimetic: W_q W_k ~ 0.7 noise + 0.7 I, W_v W_out ~ 0.4 noise - 0.4 I",
        choices=("normal", "mimetic"),
    )
    precision: str = param(
        "float32", "arithmetic of the forward pass (bfloat16: autocast; weights stay in float32)", choices=("float32", "bfloat16")
    )
    eval_examples: int = param(
        256, "windows or images, evenly spread, that val and test are measured on (at most all)", unit="examples", low=1, high=10_000_000
    )
    rounds: int = param(12, "cost: timed steps of each of the two networks", unit="steps", low=3, high=10_000)
