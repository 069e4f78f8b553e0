"""The laws of the vertex against networks, against an enumeration, and against each other."""

from __future__ import annotations

import pytest
import torch

from harness.errors import UsageError
from tasks.blocks.signal_propagation import piecewise_linear, propagate, random_networks
from tasks.blocks.vertex_laws import activation, critical_variance, enumerated_growth, growth, remembered_vertex, stated_vertex


@pytest.mark.parametrize(("name", "skip", "width", "law", "off"), [
    ("relu", 0.0, 16, "exact", 0.2), ("linear", 0.0, 16, "exact", 0.1), ("linear", 0.7, 16, "exact", 0.05),
    ("leaky", 0.0, 16, "exact", 0.2), ("relu", 0.9, 64, "remembered", 0.2), ("tanh", 0.0, 16, "first-order", 0.0),
])  # fmt: skip
def test_laws_are_those_of_networks(name: str, skip: float, width: int, law: str, off: float) -> None:
    """And the first order is off by more than `off`."""
    stream = torch.Generator().manual_seed(5)
    phi, variance = activation(name), critical_variance(name, skip)
    second, fourth = random_networks(phi, variance, 4, width, 128_000 // width, stream, skip=skip)
    found = float(fourth[-1].mean() / second[-1].mean() ** 2 - 1.0)
    stated = stated_vertex(law, name, 4, width, skip)
    assert found == pytest.approx(stated, rel=0.1)
    assert abs(stated_vertex("first-order", name, 4, width, skip) / stated - 1.0) >= off
    assert not skip or found < 0.8 * stated_vertex("exact", name, 4, width)


def test_critical_variances_keep_the_second_moment() -> None:
    assert [critical_variance(name) for name in ("relu", "linear", "tanh", "leaky")] == pytest.approx([2.0, 1.0, 1.0, 2 / 1.01])
    assert critical_variance("relu", 0.6) == pytest.approx(2.0 * 0.64)


@pytest.mark.parametrize(("law", "name", "skip"), [("exact", "tanh", 0.0), ("exact", "relu", 0.5), ("remembered", "tanh", 0.5)])
def test_a_law_is_not_read_where_it_does_not_hold(law: str, name: str, skip: float) -> None:
    with pytest.raises(UsageError, match="choose"):
        stated_vertex(law, name, 4, 16, skip)


def test_the_laws_of_the_vertex_agree_where_they_meet() -> None:
    relu, leaky, linear = (1.0, 0.0), (1.0, 0.1), (1.0, 1.0)
    assert [growth(slopes) for slopes in (relu, linear)] == [5.0, 2.0]
    assert growth(linear, 0.5) == pytest.approx(2.0 * (1.0 - 0.5**4))
    for slopes in (relu, leaky, linear):
        assert enumerated_growth(slopes, 7) == pytest.approx(1.0 + growth(slopes) / 7, rel=1e-12)
        assert remembered_vertex(slopes, 6, 0.0) == pytest.approx(6 * growth(slopes))
        c = (1.0 - 0.8**2) / (0.5 * sum(a**2 for a in slopes))
        assert float(propagate(piecewise_linear(*slopes), c, 6, skip=0.8)["vertex"][-1]) == pytest.approx(6 * growth(slopes, 0.8))
    assert remembered_vertex(linear, 6, 0.8) == pytest.approx(6 * growth(linear, 0.8))
    assert remembered_vertex(relu, 6, 0.8) > 1.5 * growth(relu, 0.8) * 6
