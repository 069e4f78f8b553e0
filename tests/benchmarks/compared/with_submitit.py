"""submitit's local executor, a process a job: https://github.com/facebookincubator/submitit/blob/main/docs/examples.md.

The local executor starts every job at once, so jobs are submitted as others end, as many at a time as there are workers. It has no way to
take up the jobs of a driver that is gone without own bookkeeping, so a second start submits all of them again.
"""

import time

import submitit

from compared.work import Asked, trial


def main() -> None:
    asked = Asked.words()
    executor = submitit.AutoExecutor(folder=asked.folder / "jobs", cluster="local")
    executor.update_parameters(timeout_min=10)
    left, running, results = list(range(asked.trials)), {}, {}
    while left or running:
        while left and len(running) < asked.workers:
            number = left.pop(0)
            running[number] = executor.submit(trial, number, asked.pause)
        for number in [number for number, job in running.items() if job.done()]:
            results[number] = running.pop(number).result()
        time.sleep(0.01)
    asked.keep(results)


if __name__ == "__main__":
    main()
