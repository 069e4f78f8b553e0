"""What a seed draws, and that methods differ where the book says so; the laws are tested in `test_vertex_laws`."""

from __future__ import annotations

import math

import pytest

from harness.errors import UsageError
from tests.tasks.trials import Trials, trials_of

trials = trials_of("depth-width-criticality", experiment="vertex")


def test_what_a_seed_draws_and_depth_means(trials: Trials) -> None:
    p = {"width": 16, "aspect": 0.25, "nets": 8000}
    drawn, other = ({method: trials.run(method, p, seed=seed) for method in ("critical", "chain")} for seed in (0, 1))
    stated = trials.run("exact", p)["vertex"]
    for method, found in drawn.items():
        assert found["vertex"] == pytest.approx(stated, rel=0.15)
        assert found["vertex"] != other[method]["vertex"]
        assert found["typical"] == pytest.approx(drawn["critical"]["typical"], rel=0.1)
        assert found["typical"] < 0.7
    one = trials.run("exact", {"width": 16, "aspect": 1 / 16})
    assert (one["vertex"], one["per_aspect"]) == pytest.approx((5 / 16, 5.0))
    with pytest.raises(UsageError, match="chain is no law of relu networks with skips"):
        trials.run("chain", {"skip": 0.5})


@pytest.mark.parametrize(("method", "published"), [("too-small", -0.288), ("critical", 0.0), ("too-large", 0.223)])
def test_the_kernel_only_lasts_at_criticality(trials: Trials, method: str, published: float) -> None:
    assert trials.run(method, {"depth": 16}, experiment="infinite")["rate"] == pytest.approx(published, abs=1e-3)
    found = trials.run(method, {"depth": 8, "width": 64, "nets": 400}, experiment="kernel")
    assert (3 * found["rate"], math.log(found["ratio"])) == pytest.approx((3 * published, 8 * published), abs=0.15)


def test_theorems_hold_and_their_first_order_does_not(trials: Trials) -> None:
    tanh = trials.run("critical", {"activation": "tanh", "depth": 400}, experiment="infinite")
    assert (tanh["inverse"], tanh["vertex_rate"], -200 * tanh["rate"]) == pytest.approx((1.0, 2 / 3, math.log(2)), abs=0.01)
    for kind in ("relu", "linear", "leaky"):
        p = {"activation": kind, "depth": 5, "width": 7}
        stated, first = (trials.run(method, p, experiment="law")["error"] for method in ("exact", "first-order"))
        assert stated < 1e-13 < 0.01 < first
