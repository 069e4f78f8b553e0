"""Seconds of one prox of the group sparse envelope on a million group norms, and how its time grows with their number.

    python tests/benchmarks/group_prox.py [--groups M] [--rounds N]

One thread. The rivals compute the same u_j = clip(n_j / eta - lam, 0, 1) by sixty halvings of eta: as a plain Python loop over the
groups, the way the formula reads, and with NumPy. `sorted` is our own solver for many short rows, O(m log m). That all sides give the
same factors is checked before anything is printed. The exponent is the least-squares slope of log time against log m over four sizes,
with a percentile interval from resampling the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from interleaved import show, take
from torch import Tensor

from tasks.pruning.group_sparsity_wgsef.cost import sorted_factors
from tasks.pruning.group_sparsity_wgsef.envelope import factors, value

LAM, KEEP = 0.05, 0.125
HALVINGS = 60


def norms(groups: int) -> Tensor:
    """Norms of which some saturate, some vanish and most lie between."""
    return torch.rand(groups, generator=torch.Generator().manual_seed(groups), dtype=torch.float64).pow(3)


def python_loop(n: list[float], k: int) -> list[float]:
    """The formula, one group at a time."""

    def shares(eta: float) -> list[float]:
        return [min(1.0, max(0.0, x / eta - LAM)) for x in n]

    low, high = 1e-12, max(n) / LAM
    for _ in range(HALVINGS):
        eta = (low + high) / 2
        low, high = (eta, high) if sum(shares(eta)) > k else (low, eta)
    return [u / (u + LAM) for u in shares(high)]


def numpy_bisection(n: np.ndarray, k: int) -> np.ndarray:
    """The same on arrays."""
    low, high = 1e-12, float(n.max()) / LAM
    for _ in range(HALVINGS):
        eta = (low + high) / 2
        low, high = (eta, high) if np.clip(n / eta - LAM, 0.0, 1.0).sum() > k else (low, eta)
    u = np.clip(n / high - LAM, 0.0, 1.0)
    return u / (u + LAM)


def seconds(function: Callable[[], object]) -> float:
    """Of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def exponent(name: str, function: Callable[[Tensor, int], object], sizes: list[int], rounds: int) -> None:
    """Print the slope of log time against log m with a bootstrap interval over the rounds."""
    inputs = {str(m): (norms(m), max(1, round(KEEP * m))) for m in sizes}
    for n, k in inputs.values():
        function(n, k)
    sides = {key: lambda n=n, k=k: seconds(lambda: function(n, k)) for key, (n, k) in inputs.items()}
    times = np.log(np.array(list(take(sides, rounds).values())))
    x = np.log(sizes) - np.log(sizes).mean()
    rng = np.random.default_rng(0)
    drawn = [np.median(times[:, rng.integers(rounds, size=rounds)], axis=1) @ x / (x @ x) for _ in range(2000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    slope = float(np.median(times, axis=1) @ x / (x @ x))
    line = {"benchmark": "exponent of time over groups", "side": name, "sizes": sizes, "rounds": rounds}
    print(json.dumps(line | {"slope": round(slope, 3), "low": round(float(low), 3), "high": round(float(high), 3)}))


def main() -> None:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison; the exponents take four times as many")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n, k = norms(options.groups), max(1, round(KEEP * options.groups))
    plain = n.tolist()
    reference = factors(n, k, LAM)
    for other in (numpy_bisection(n.numpy(), k), sorted_factors(n, k, LAM).numpy()):
        np.testing.assert_allclose(other, reference.numpy(), atol=1e-9)
    short = norms(1000)
    np.testing.assert_allclose(python_loop(short.tolist(), 125), factors(short, 125, LAM).numpy(), atol=1e-9)
    sides: dict[str, Callable[[], float]] = {
        "papertrial": lambda: seconds(lambda: factors(n, k, LAM)),
        "papertrial, sorted": lambda: seconds(lambda: sorted_factors(n, k, LAM)),
        "NumPy bisection": lambda: seconds(lambda: numpy_bisection(n.numpy(), k)),
        "Python loop": lambda: seconds(lambda: python_loop(plain, k)),
    }
    notes = {
        "papertrial": "tau of a sample, then Newton steps from piece to piece, O(m) each",
        "papertrial, sorted": "binary search over sorted breakpoints: O(m log m)",
        "NumPy bisection": f"{HALVINGS} halvings, a pass each",
        "Python loop": f"{HALVINGS} halvings, a loop over the groups each",
    }
    show(f"prox of {options.groups:,} groups", "s", take(sides, options.rounds), over="papertrial", notes=notes)
    sizes = [options.groups // 16, options.groups // 4, options.groups, 4 * options.groups]
    exponent("prox", lambda n, k: factors(n, k, LAM), sizes, 4 * options.rounds)
    exponent("prox, sorted", lambda n, k: sorted_factors(n, k, LAM), sizes, 4 * options.rounds)
    exponent("value", value, sizes, 4 * options.rounds)


if __name__ == "__main__":
    main()
