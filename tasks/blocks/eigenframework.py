"""What ridge regression on random features risks, in closed form, from the eigenvalues of the kernel and the target's coefficients.

The eigenframework of Simon et al. 2024 (arXiv 2311.14646, section 4): n examples, k features, a ridge, eigenvalues l_i and noise s^2 in,
test and train error out. Its two equations are solved here for the logarithm of gamma alone: kappa = gamma (1 - z / k), and then
(n - z) kappa = ridge, which rises in gamma wherever z < min(n, k).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize_scalar

from tasks.blocks.probes import power_law_spectrum

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """A task as the framework sees it."""

    values: Floats
    """(m,): eigenvalues l_i > 0 of the kernel."""
    signal: Floats
    """(m,): squares v_i^2 of the target's coefficients in the eigenfunctions."""
    noise: float = 0.0
    """Variance of what is added to the targets, also to those that are tested on."""

    @classmethod
    def power_law(cls, modes: int, eigenvalues: float, signal: float, noise: float = 0.0) -> Spectrum:
        """l_i ~ i^-eigenvalues and v_i^2 ~ i^-signal, each with the sum 1."""
        return cls(power_law_spectrum(modes, eigenvalues).numpy(), power_law_spectrum(modes, signal).numpy(), noise)

    def noisier(self, relative: float, examples: float) -> Spectrum:
        """The same with more noise: `relative` over what interpolation of so many noiseless targets leaves of the signal."""
        return replace(self, noise=self.noise + relative * uncaptured(self, examples)) if relative else self


@dataclass(frozen=True)
class Solution:
    """The constants of the framework, and the errors that they give."""

    kappa: float
    gamma: float
    freedom: float
    """z: degrees of freedom that are spent on learning, sum l / (l + gamma)."""
    test_error: float
    """Mean squared error against noisy targets; infinite where the number of features is that of the examples and there is no ridge."""
    train_error: float


def solve(task: Spectrum, examples: float, features: float, ridge: float) -> Solution:
    """The framework at one ridge >= 0; 0 is its limit from above. `features` may be infinite: kernel ridge regression.

    The ridge is that of min |F w - y|^2 + ridge |w|^2, F F^T being the kernel matrix on average. ValueError where nothing is left to
    solve: without a ridge the smaller one of examples and features has to be below the number of eigenvalues.
    """
    values, least = task.values, min(examples, features)
    if not (examples > 0 and features > 0 and ridge >= 0):
        raise ValueError(f"the framework needs examples and features > 0 and a ridge >= 0, not {examples}, {features} and {ridge}")
    if not ridge and least >= len(values):
        raise ValueError(f"without a ridge {least} examples or features leave nothing open of {len(values)} eigenvalues")

    def freedom(log_gamma: float) -> float:
        return float((values / (values + math.exp(log_gamma))).sum())

    def excess(log_gamma: float) -> float:
        z = freedom(log_gamma)
        return math.log(examples - z) + math.log1p(-z / features) + log_gamma - math.log(ridge) if z < least else -math.inf

    high = math.log(2.0 * float(values.sum()) / least + 4.0 * ridge / examples) + 1.0  # z <= sum l / gamma
    low = math.log(ridge / examples) if ridge else -math.inf  # both slacks are at most 1
    if least < len(values):
        interpolating = float(brentq(lambda t: freedom(t) - least, math.log(float(values.min()) / len(values)) - 40.0, high, xtol=1e-14))
        low = max(low, interpolating)
    # A ridge that rounding cannot tell from none leaves the root where it is.
    root = float(brentq(lambda t: max(excess(t), -700.0), low, high, xtol=1e-14)) if ridge and excess(low) < 0.0 else low
    return _errors(task, examples, features, ridge, root)


def _errors(task: Spectrum, n: float, k: float, ridge: float, log_gamma: float) -> Solution:
    gamma = math.exp(log_gamma)
    shares = task.values / (task.values + gamma)
    z, q = float(shares.sum()), float((shares**2).sum())
    # The slack that is the difference of two large numbers is taken from the other one.
    if not ridge:
        z = min(n, k)
        kappa, left = gamma * (1.0 - z / k), (n - z) / n
    elif n <= k:
        kappa = gamma * (1.0 - z / k)
        left = ridge / kappa / n
    else:
        kappa, left = ridge / (n - z), (n - z) / n
    open_share, narrowed = 1.0 - z / k, 1.0 - q / k
    unlearned = (1.0 - shares) * (1.0 - shares * open_share / narrowed)
    variance = 1.0 - (q * (1.0 - 2.0 * z / k) + z * z / k) / (n * narrowed)
    risk = float((unlearned * task.signal).sum()) + task.noise
    test = risk / variance if variance > 1e-12 else math.inf
    return Solution(kappa, gamma, z, test, left**2 * test)


def best_ridge(task: Spectrum, examples: float, features: float, low: float = 1e-12, high: float = 1e4) -> tuple[float, Solution]:
    """The ridge >= 0 of the least test error between `low` and `high`, or 0, and what it gives."""
    grid = np.linspace(math.log(low), math.log(high), 49)

    def risk(log_ridge: float) -> float:
        return solve(task, examples, features, math.exp(log_ridge)).test_error

    place = int(np.argmin([risk(at) for at in grid]))
    around = (grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)])
    found = math.exp(minimize_scalar(risk, bounds=around, method="bounded", options={"xatol": 1e-7}).x)
    candidates = [(found, solve(task, examples, features, found))]
    if min(examples, features) < len(task.values):
        candidates.append((0.0, solve(task, examples, features, 0.0)))
    return min(candidates, key=lambda pair: (pair[1].test_error, pair[0]))


def largest_rise(task: Spectrum, ladder: Sequence[int], ridge: float | None = None) -> float:
    """The largest log ratio of test errors where n or k takes the next step of a ladder: at the best ridge of each, or at one ridge."""

    def risk(n: int, k: int) -> float:
        found = best_ridge(task, n, k)[1] if ridge is None else solve(task, n, k, ridge)
        return math.log(found.test_error)

    risks = np.array([[risk(n, k) for k in ladder] for n in ladder])
    return float(max(np.diff(risks, axis=0).max(), np.diff(risks, axis=1).max()))


def overfitting_at_best(exponent: float, decay: float, relative_noise: float) -> float:
    """Train over test error at the best ridge of kernel regression, in the limit of many examples (paper, Theorem 2).

    l_i = i^-exponent, v_i^2 = i^-decay with 1 < decay < 2 exponent + 1. `relative_noise` is the noise over what interpolation of
    noiseless targets leaves of the signal, sum (gamma / (l + gamma))^2 v^2. The root s of the ratio solves
    a - b - (a - 1) b s + (a - 1) (1 - s)^b noise = 0; it is 0 where the left side is negative at 0: no ridge is the best one.
    """
    a, b = exponent, decay

    def balance(s: float) -> float:
        return a - b - (a - 1.0) * b * s + (a - 1.0) * math.pow(1.0 - s, b) * relative_noise

    return 0.0 if balance(0.0) <= 0 else math.pow(brentq(balance, 0.0, 1.0), 2)


def uncaptured(task: Spectrum, examples: float) -> float:
    """What the kernel leaves of the signal when it interpolates noiseless targets: sum (gamma / (l + gamma))^2 v^2 at no ridge."""
    gamma = solve(task, examples, math.inf, 0.0).gamma
    return float(((gamma / (task.values + gamma)) ** 2 * task.signal).sum())
