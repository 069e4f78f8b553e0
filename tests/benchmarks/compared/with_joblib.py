"""joblib's default processes: https://joblib.readthedocs.io/en/stable/parallel.html. Nothing is kept until all are done.

A fifth word `memory` keeps every result on disk as the page on caching shows it, the cached function being called in parallel:
https://joblib.readthedocs.io/en/stable/auto_examples/nested_parallel_memory.html
"""

import sys

from joblib import Memory, Parallel, delayed

from compared.work import Asked, trial


def main() -> None:
    asked = Asked.words()
    call = Memory(asked.folder / "cache", verbose=0).cache(trial) if "memory" in sys.argv else trial
    values = Parallel(n_jobs=asked.workers)(delayed(call)(number, asked.pause) for number in range(asked.trials))
    asked.keep(dict(enumerate(values)))


if __name__ == "__main__":
    main()
