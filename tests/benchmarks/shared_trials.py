"""What sharing a required trial (a dense network that many methods prune) saves a study, from the trial seconds of its records.

python tests/benchmarks/shared_trials.py STUDY [--store URI]
"""

from __future__ import annotations

import argparse
import json

from harness.store import open_study
from harness.study import load


def main() -> None:
    """Print, for each method, its seconds, and the study's cost beside what it would be if every trial trained its own base."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--store", default="results")
    options = parser.parse_args()
    study = load(open_study(options.study, options.store))
    seconds = dict(zip(study.frame["trial_id"], study.frame["seconds"], strict=True))
    requires = {trial.id: trial.requires for trial in study.plan}

    def beneath(id: str) -> float:
        """Seconds of all that a trial needs."""
        below = requires[id]
        return seconds[below] + beneath(below) if below else 0.0

    by_method: dict[str, list[float]] = {}
    for trial in study.plan:
        by_method.setdefault(trial.method, []).append(seconds[trial.id])
    for method, values in by_method.items():
        print(f"{method:<28} {len(values):>4} trials {sum(values):>9.1f} s {sum(values) / len(values):>8.2f} s each")
    shared = sum(seconds.values())
    bases = {below for below in requires.values() if below}
    alone = sum(seconds[id] + beneath(id) for id in seconds if id not in bases)
    print(f"shared {shared:.0f} s, of which {sum(seconds[id] for id in bases):.0f} s for {len(bases)} bases; each its own {alone:.0f} s")
    print(json.dumps({"study": study.name, "shared_s": round(shared, 1), "own_s": round(alone, 1), "ratio": round(alone / shared, 2)}))


if __name__ == "__main__":
    main()
