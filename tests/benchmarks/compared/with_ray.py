"""Plain Ray tasks, one a trial: https://docs.ray.io/en/latest/ray-core/tasks.html. Nothing is kept until all are done."""

import ray

from compared.work import Asked, trial


def main() -> None:
    asked = Asked.words()
    ray.init("local", num_cpus=asked.workers, logging_level="ERROR")
    remote = ray.remote(trial)
    values = ray.get([remote.remote(number, asked.pause) for number in range(asked.trials)])
    asked.keep(dict(enumerate(values)))


if __name__ == "__main__":
    main()
