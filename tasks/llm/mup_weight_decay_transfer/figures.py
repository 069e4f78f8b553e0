"""Plots of the report, one line a method."""

from __future__ import annotations

from harness.task import Figure

_FFN = {"setting": "ffn", "part": "rules"}
_LM = {"setting": "lm", "part": "rules"}
_SWEPT_WIDTHS = (16, 32, 64, 128, 256, 512, 1024)


def _over_width(id: str, title: str, metric: str, setting: dict[str, str], caption: str = "") -> Figure:
    return Figure(id=id, title=title, x="width", y=metric, where=setting, log_x=True, log_y=True, caption=caption)


def _sweep(axis: str, held: str, width: int) -> Figure:
    name = axis.removesuffix("_multiplier")
    where = {"part": "sweep", "width": width, held: 1.0}
    title = f"{'Learning-rate' if name == 'lr' else 'Decay'} sweep at width {width}"
    return Figure(id=f"{name}-sweep-{width}", title=title, x=axis, y="val_loss", where=where, log_x=True)


FIGURES = (
    _over_width("gain-ffn", "Gain of the synthetic pair", "gain", _FFN, "Flat is what the paper's rule promises."),
    _over_width("gain-lm", "Sublayer gain of the decoder", "gain", _LM, "Flat is what the paper's rule promises."),
    _over_width("sigma-ffn", "Top singular value, synthetic pair", "sigma_top", _FFN),
    _over_width("sigma-lm", "Top singular value, decoder", "sigma_top", _LM),
    _over_width("horizon-lm", "How steady each run is", "horizon", _LM, "eta*lambda*T: above 3 the start is forgotten."),
    Figure(id="loss-width", title="Validation loss over width", x="width", y="val_loss", where=_LM, log_x=True),
    *(_sweep("lr_multiplier", "decay_multiplier", width) for width in _SWEPT_WIDTHS),
    *(_sweep("decay_multiplier", "lr_multiplier", width) for width in _SWEPT_WIDTHS),
    Figure(id="curve-lm", title="Training loss at width 64", x="step", y="train_loss", where=_LM | {"width": 64}),
    Figure(
        id="curve-ffn", title="Gain on the way to the steady state, width 64", x="step", y="gain", where=_FFN | {"width": 64}, log_y=True
    ),
)
