"""Ray Tune: a function trainable over a grid; goes on where it stopped if it can. A fifth word `reuse` asks for `reuse_actors`.

The switch between new and restored is the usage pattern of Tuner.can_restore's page:
https://docs.ray.io/en/latest/tune/api/doc/ray.tune.Tuner.can_restore.html
"""

import sys

import ray
from ray import tune

from compared.work import Asked, trial


def main() -> None:
    asked = Asked.words()
    ray.init("local", num_cpus=asked.workers, logging_level="ERROR")
    pause = asked.pause

    def trainable(config: dict[str, int]) -> None:
        tune.report({"value": trial(config["number"], pause)})

    path = str(asked.folder / "tune")
    if tune.Tuner.can_restore(path):
        tuner = tune.Tuner.restore(path, trainable=trainable, resume_errored=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={"number": tune.grid_search(list(range(asked.trials)))},
            tune_config=tune.TuneConfig(reuse_actors=True) if "reuse" in sys.argv else None,
            run_config=tune.RunConfig(storage_path=str(asked.folder), name="tune", verbose=0),
        )
    results = [result for result in tuner.fit() if result.metrics and "value" in result.metrics]
    asked.keep({result.config["number"]: result.metrics["value"] for result in results})


if __name__ == "__main__":
    main()
