"""Quantities that stand in a power law in the place of a column and have parameters of their own.

Each is given by its log h(data; v), where v are the logs of its parameters, with the first and second derivatives in v.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.laws.terms import Array

_SHARPEST = 1e-100
Shaped = tuple[Array, Sequence[Array], Sequence[Sequence[Array]]]
"""h, (B, n); its derivative in each v; and in each pair of them."""
Function = Callable[[Sequence[Array], Sequence[Array]], Shaped]
"""Of the logs of the columns, (n,) each, and v, (B, 1) each."""


def repeated(data: Sequence[Array], v: Sequence[Array]) -> Shaped:
    """What `d` tokens are worth of which only `u` differ: u (1 + R (1 - exp(-r / R))), r = d / u - 1 repetitions.

    Muennighoff et al. (2305.16264): R repetitions decay the value of a repetition to 1/e. Less than u seen is no repetition.
    """
    log_d, log_u = data
    (log_r,) = v
    base = np.minimum(log_u, log_d)
    repetitions = np.exp(log_d - base) - 1
    decay = np.exp(log_r)
    ratio = repetitions / decay
    gained = -decay * np.expm1(-ratio)
    left = repetitions * np.exp(-ratio)
    slope, total = gained - left, 1 + gained
    first = slope / total
    return base + np.log(total), [first], [[(slope - left * ratio) / total - first * first]]


def broken(data: Sequence[Array], v: Sequence[Array]) -> Shaped:
    """(1 + (x / d)^(1/f))^f: 1 far below d, x / d far above it, f the width of the change in e-folds (Caballero et al., 2210.14891)."""
    (log_x,) = data
    log_d, log_f = v
    width = np.maximum(np.exp(log_f), _SHARPEST)
    place = (log_x - log_d) / width
    soft = np.logaddexp(0.0, place)
    on = np.exp(place - soft)
    bell = on * np.exp(-soft)
    value = width * soft
    # In s = (log x - log d) / f: dh/d(log d) = -on, dh/d(log f) = f (soft - s on), and `on` changes by `bell` with s.
    both = bell * place
    return value, [-on, value - width * place * on], [[bell / width, both], [both, value - width * place * on + width * place**2 * bell]]


def falling(data: Sequence[Array], v: Sequence[Array]) -> Shaped:
    """1 / (1 + exp(k (x - x0))): a sigmoid that falls from 1 to 0 as x passes x0."""
    (log_x,) = data
    log_k, log_x0 = v
    steep = np.exp(log_k)
    apart, middle = steep * (np.exp(log_x) - np.exp(log_x0)), steep * np.exp(log_x0)
    value = -np.logaddexp(0.0, apart)
    on = np.exp(apart + value)
    bell = on * (1 - on)
    # In s = k (x - x0): dh/ds = -on, ds/d(log k) = s, ds/d(log x0) = -k x0 = d2s/d(log x0)2.
    mixed = bell * apart * middle + on * middle
    return value, [-on * apart, on * middle], [[-bell * apart**2 - on * apart, mixed], [mixed, on * middle - bell * middle**2]]


def fading(data: Sequence[Array], v: Sequence[Array]) -> Shaped:
    """exp(-gamma x)."""
    (log_x,) = data
    (log_gamma,) = v
    value = -np.exp(log_gamma + log_x)
    return value, [value], [[value]]
