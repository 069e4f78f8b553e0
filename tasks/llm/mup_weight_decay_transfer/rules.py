"""The rules on trial: rate and decay of each parameter class at a width.

m = width / base_width. muP methods share eta_2 ∝ 1/m, eta_head ∝ 1/m, eta_1 constant, and decay matrix-like parameters only; they
differ in the exponent of lambda_2.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.blocks.optim import Rate
from tasks.blocks.parametrization import ParamClass
from tasks.llm.mup_weight_decay_transfer.task import DecoderParams, Params

DECAY_EXPONENT: Mapping[str, float | None] = {"sqrt-width": 0.5, "constant": 0.0, "linear-width": 1.0, "no-decay": None}
"""lambda_2 = decay * m^exponent; None is no decay at all."""
STANDARD = "standard-parametrisation"


def matrix_rate(method: str, params: Params) -> tuple[float, float]:
    """(eta_2, lambda_2): peak rate and decay of matrix-like parameters."""
    m = params.width / params.base_width
    lr = params.lr * params.lr_multiplier * params.balance
    decay = params.decay * params.decay_multiplier / params.balance
    if method == STANDARD:
        return lr, decay
    exponent = DECAY_EXPONENT[method]
    return lr / m, 0.0 if exponent is None else decay * m**exponent


def rates(method: str, params: DecoderParams) -> dict[ParamClass, Rate]:
    """The rate of every parameter class.

    The standard parametrisation scales nothing and decays every parameter alike. The head is an output weight of "Tensor
    Programs V", Table 3: Adam's rate ∝ 1/m. The paper's two classes leave it open; having one side that does not grow, it is
    not decayed here.
    """
    m = params.width / params.base_width
    lr, decay = matrix_rate(method, params)
    vector, head = params.vector_lr * params.lr_multiplier, params.head_lr * params.lr_multiplier
    if method == STANDARD:
        return {ParamClass.VECTOR: Rate(vector, decay), ParamClass.MATRIX: Rate(lr, decay), ParamClass.HEAD: Rate(head, decay)}
    return {ParamClass.VECTOR: Rate(vector, 0.0), ParamClass.MATRIX: Rate(lr, decay), ParamClass.HEAD: Rate(head / m, 0.0)}
