"""The laws of the vertex against networks, and what a seed moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from tests.tasks.trials import Trials


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("depth-width-criticality", tmp_path, experiment="vertex")


@pytest.mark.parametrize(("activation", "skip", "width", "law", "off"), [
    ("relu", 0.0, 16, "exact", 0.2), ("linear", 0.0, 16, "exact", 0.1), ("linear", 0.7, 16, "exact", 0.05),
    ("leaky", 0.0, 16, "exact", 0.2), ("relu", 0.9, 32, "remembered", 0.2), ("tanh", 0.0, 16, "first-order", 0.0),
])  # fmt: skip
def test_laws_are_those_of_networks(trials: Trials, activation: str, skip: float, width: int, law: str, off: float) -> None:
    """And the first order is off by more than `off`."""
    p = {"activation": activation, "skip": skip, "width": width, "aspect": 4 / width, "nets": 128_000 // width}
    found, stated, first = (trials.run(method, p)["vertex"] for method in ("critical", law, "first-order"))
    assert found == pytest.approx(stated, rel=0.1)
    assert abs(first / stated - 1.0) >= off
    assert not skip or found < 0.8 * trials.run("exact", {**p, "skip": 0.0})["vertex"]


@pytest.mark.parametrize(("method", "p"), [("exact", {"activation": "tanh"}), ("chain", {"skip": 0.5}), ("exact", {"skip": 0.5})])
def test_a_law_is_not_read_where_it_does_not_hold(trials: Trials, method: str, p: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="choose"):
        trials.run(method, p)


def test_what_a_seed_draws_and_depth_means(trials: Trials) -> None:
    p = {"width": 16, "aspect": 0.25, "nets": 2000}
    assert trials.run("critical", p) != trials.run("critical", p, seed=1)
    assert trials.run("chain", p)["vertex"] != trials.run("chain", p, seed=1)["vertex"]
    one = trials.run("exact", {"width": 16, "aspect": 1 / 16})
    assert one["vertex"] == pytest.approx(5 / 16)
    assert one["per_aspect"] == pytest.approx(5.0)
    assert trials.run("chain", p)["typical"] == pytest.approx(trials.run("critical", p)["typical"], rel=0.1)
    assert trials.run("critical", p)["typical"] < 0.7


def test_the_kernel_only_lasts_at_criticality(trials: Trials) -> None:
    p = {"depth": 8, "width": 64, "nets": 400}
    for method, published in (("too-small", -0.288), ("critical", 0.0), ("too-large", 0.223)):
        assert trials.run(method, {"depth": 16}, experiment="infinite")["rate"] == pytest.approx(published, abs=1e-3)
        assert trials.run(method, p, experiment="kernel")["rate"] == pytest.approx(published, abs=0.05)
    tanh = trials.run("critical", {"activation": "tanh", "depth": 400}, experiment="infinite")
    assert tanh["inverse"] == pytest.approx(1.0, abs=0.01)
    assert tanh["vertex_rate"] == pytest.approx(2 / 3, abs=0.01)
    for kind in ("relu", "linear", "leaky"):
        law = {"activation": kind, "depth": 5, "width": 7}
        assert (
            trials.run("exact", law, experiment="law")["error"] < 1e-13 < 0.01 < trials.run("first-order", law, experiment="law")["error"]
        )
