"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param


@dataclass(frozen=True, kw_only=True)
class Params:
    """One training run. The defaults are the language model's base width at laptop scale."""

    setting: str = param(
        "lm", "ffn: a feed-forward pair under injected noise gradients, no data; lm: a decoder on text", choices=("ffn", "lm")
    )
    part: str = param(
        "rules",
        "comparison that the trial belongs to; changes nothing in the run. rules: the methods across widths; spectra: eta/lambda at one "
        "width; sweep: rate and decay around the base",
        choices=("rules", "spectra", "sweep"),
    )
    width: int = param(32, "model width d (ffn: input and output width, hidden 4 d)", unit="channels", low=8, high=8192)
    base_width: int = param(32, "width at which the rules leave lr and decay as they are", unit="channels", low=8, high=8192)
    depth: int = param(1, "blocks of the decoder", unit="blocks", low=1, high=128)
    head_dim: int = param(16, "width of one attention head, the same at every model width", unit="channels", low=2, high=256)
    length: int = param(64, "tokens of a training sequence", unit="tokens", low=2, high=65536)
    batch: int = param(8, "sequences (ffn: vectors) of a step", unit="sequences", low=1, high=65536)
    steps: int = param(700, "optimizer steps, the same at every width: tokens are held fixed", unit="steps", low=2, high=10_000_000)
    warmup: int = param(30, "steps of linear warm-up", unit="steps", low=0, high=1_000_000)
    schedule: str = param("constant", "after the warm-up; spectra are those of the last step", choices=("constant", "cosine"))
    lr: float = param(0.02, "peak rate of matrix-like parameters (eta_2) at the base width", low=1e-7, high=10.0)
    vector_lr: float = param(0.02, "peak rate of vector-like parameters (eta_1)", low=1e-7, high=10.0)
    head_lr: float = param(0.02, "peak rate of the head at the base width", low=1e-7, high=10.0)
    decay: float = param(1.0, "decoupled decay of matrix-like parameters (lambda_2) at the base width", low=1e-9, high=1e4)
    lr_multiplier: float = param(1.0, "multiplies every rate: the axis of the learning-rate sweep", low=1e-6, high=1e6)
    decay_multiplier: float = param(1.0, "multiplies lambda_2: the axis of the decay sweep", low=1e-6, high=1e6)
    balance: float = param(
        1.0, "c: eta_2 times c and lambda_2 over c, so that eta/lambda moves by c^2 at a fixed eta lambda", low=1e-3, high=1e3
    )
    precision: str = param(
        "float32", "arithmetic of the forward pass (bfloat16: autocast; weights stay in float32)", choices=("float32", "bfloat16")
    )
    eval_windows: int = param(
        128, "windows of `length` tokens that val_loss and test_loss are means over", unit="windows", low=1, high=100_000
    )
    replicate: int = param(0, "redraws all random numbers of a seed: the noise floor of spectrum distances", low=0, high=1000)
