"""The trial that all sides run."""

from collections.abc import Mapping

from compared import work
from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    shifted = trial.method == "shifted"
    return {"value": work.trial(2 * trial.seed + shifted, trial.params.pause) - shifted}
