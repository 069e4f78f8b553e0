"""A throw-away task whose names and numbers are as long as any that people use."""

from dataclasses import dataclass

from harness.estimates import Difference, Mean, Of
from harness.task import Above, Below, Claim, Experiment, Grid, Method, Metric, Paper, Scale, Task, param

PROPOSED = "proposed-rule-with-per-layer-learning-rates"
BASELINE = "baseline-that-was-tuned-as-long-as-the-proposed-rule"
LOSS, NORM = "validation_loss_after_the_last_step", "gradient_norm_of_the_output_layer"


@dataclass(frozen=True)
class Params:
    """Parameters."""

    width: int = param(64, "width of the hidden layers, which everything else follows", unit="channels", low=1)
    learning_rate_of_the_output_layer: float = param(1.25e-7, "peak learning rate of the last layer, after warm-up", low=0.0)


train = Experiment(
    "training-and-evaluation",
    params=Params,
    metrics=[
        Metric(LOSS, unit="nats/byte", better="lower"),
        Metric(NORM, unit="", better="lower"),
        Metric("tokens_per_second_of_the_whole_machine", unit="tokens/s", better="higher"),
        Metric("perplexity_on_held_out_documents", unit="", better="lower"),
        Metric("share_of_dead_units", unit="share", better="none"),
    ],
    run="throwaway.wide.names_that_are_longer_than_half_a_terminal.experiment:run",
)


def _gap(metric: str) -> Difference:
    return Difference(Of(BASELINE, Mean(metric)), Of(PROPOSED, Mean(metric)))


TASK = Task(
    id="names-that-are-longer-than-half-a-terminal",
    version=1,
    paper=Paper(arxiv="0000.00011", title="On Internationalisation: Names and Numbers That Fill a Line of a Terminal", year=2026),
    methods=[
        Method(PROPOSED, "proposed", "what the paper proposes, with a learning rate a layer"),
        Method(BASELINE, "baseline", "one learning rate for all layers"),
        Method("control-with-shuffled-per-layer-learning-rates", "control", "the rates of the proposed rule in another order"),
    ],
    experiments=[train],
    scales={
        "smoke": Scale(
            description="for tests",
            grids=[Grid(train, axes={"width": (64, 2048, 65536), "learning_rate_of_the_output_layer": (1.25e-7, 0.0009765625)})],
            seeds=5,
            time_limit_s=30.0,
        )
    },
    claims=[
        Claim(
            id="C1-loss-of-the-baseline-exceeds-that-of-the-rule",
            statement="The baseline's validation loss is higher.",
            source="Table 2",
            estimate=_gap(LOSS),
            holds=Above(0.0),
            published=0.0123456,
            unit="nats/byte",
            primary=True,
        ),
        Claim(
            id="C2-gradient-norms-differ-by-less-than-a-billionth",
            statement="Gradient norms hardly differ.",
            source="Fig. 3",
            estimate=_gap(NORM),
            holds=Below(1e-9),
            published=1.234e-10,
        ),
        Claim(
            id="K1-controls-process-as-many-tokens-in-a-second",
            statement="The control is as fast.",
            source="ours",
            kind="control",
            estimate=_gap("tokens_per_second_of_the_whole_machine"),
            holds=Below(1e9),
            unit="tokens/s",
        ),
    ],
)
