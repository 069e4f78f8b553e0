"""What holds of every experiment that packs its trials: they measure what they do alone, beside whomever, and after being stopped."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.errors import PapertrialError
from harness.lazy import load
from harness.packing import runner
from harness.params import check
from harness.task import Experiment
from harness.trial import Trial
from tasks.blocks.small_models import Pause
from tests.tasks.test_contract import EXPERIMENTS, Case, case, shrunk
from tests.tasks.trials import Trials

PACKED = [(name, experiment) for name, experiment in EXPERIMENTS if registry.task(name).experiment(experiment).run_batch]
CLOSE = 1e-5
SEEDS = 3

Key = tuple[str, int, int]
"""A method, the end of the axes that its values are from (0 or -1), and a seed."""
Made = Mapping[Key, Trial]
Parts = Callable[[str, str], tuple[Case, Trials, list[list[Key]]]]


def values(found: Case, method: str, end: int) -> dict[str, Any]:
    """Values at one end of the axes of the first grid that has the method, made small."""
    grid = next(grid for grid in found.grids if method in found.task.methods_of(grid))
    return shrunk(found.experiment, {**grid.points[end], **{name: axis[end] for name, axis in grid.axes.items()}})


def groups(found: Case) -> list[list[Key]]:
    """Trials that share a program, as the declaration says."""
    alike: dict[Hashable, list[Key]] = {}
    for method in found.methods:
        for end in (0, -1) if values(found, method, 0) != values(found, method, -1) else (0,):
            agreed = found.experiment.alike(method, values(found, method, end)) if found.experiment.alike else (method, end)
            if agreed is not None:
                alike.setdefault(agreed, []).extend((method, end, seed) for seed in range(SEEDS))
    return list(alike.values())


def made(trials: Trials, found: Case, keys: Sequence[Key], study: str) -> Made:
    return {(method, end, seed): trials(method, values(found, method, end), seed=seed, study=study) for method, end, seed in keys}


def together(found: Case, made: Made) -> dict[Key, Mapping[str, float]]:
    keys = {trial.id: key for key, trial in made.items()}
    program = load(found.experiment.run_batch)(list(made.values()))
    return {keys[said[0].id]: said[1] for said in program if isinstance(said, tuple)}


def alone(found: Case, made: Made) -> dict[Key, Mapping[str, float]]:
    return {key: runner(found.experiment)(trial) for key, trial in made.items()}


def assert_same(some: Mapping[Key, Mapping[str, float]], others: Mapping[Key, Mapping[str, float]]) -> None:
    assert some.keys() == others.keys()
    for key, metrics in some.items():
        assert dict(metrics) == pytest.approx(dict(others[key]), rel=CLOSE, abs=CLOSE, nan_ok=True), key


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """(case, trials of it, the groups of its methods and seeds)."""

    def of(name: str, experiment: str) -> tuple[Case, Trials, list[list[Key]]]:
        found = case(name, experiment)
        return found, found.trials(tmp_path_factory.mktemp("packed")), groups(found)

    return of


@pytest.mark.parametrize(("name", "experiment"), PACKED)
def test_trials_of_a_program_measure_what_they_do_alone_and_in_another_order(name: str, experiment: str, parts: Parts) -> None:
    found, trials, shared = parts(name, experiment)
    for group in shared:
        single, packed = made(trials, found, group, "alone"), made(trials, found, group, "packed")
        some = made(trials, found, list(reversed(group))[::2], "some")
        apart = alone(found, single)
        assert_same(together(found, packed), apart)
        assert_same(together(found, some), {key: apart[key] for key in some})
        for key, trial in packed.items():
            assert [sorted(row) for row in trial.curve] == [sorted(row) for row in single[key].curve], key
            for row, other in zip(trial.curve, single[key].curve, strict=True):
                assert row == pytest.approx(other, rel=CLOSE, abs=CLOSE, nan_ok=True), key
        found_numbers = {tuple(sorted(metrics.items())) for metrics in apart.values()}
        assert len(found_numbers) > len({key[:2] for key in group}), "seeds are shared"


def varied(experiment: Experiment, name: str, value: Any) -> Any:
    """Another value that a parameter may have; None where there is none."""
    if isinstance(value, bool):
        return not value
    for other in (2 * value, value + 1, value - 1) if isinstance(value, int) else (0.8 * value, 0.01):
        with suppress(PapertrialError):
            if check(experiment, name, other) != value:
                return other
    return None


@pytest.mark.parametrize(("name", "experiment"), PACKED)
def test_what_a_declaration_lets_share_a_program_can(name: str, experiment: str, parts: Parts) -> None:
    """Trials that differ in one parameter, where `alike` puts them together, measure what they do alone."""
    found, trials, _ = parts(name, experiment)
    method, alike = found.methods[0], found.experiment.alike
    base = values(found, method, 0)
    others = {name: varied(found.experiment, name, value) for name, value in base.items() if isinstance(value, int | float)}
    points = [base, *({**base, name: value} for name, value in others.items() if value is not None)]
    shared = [point for point in points if alike and alike(method, point) == alike(method, base)]
    assert not alike or "lr" not in base or any(point["lr"] != base["lr"] for point in shared), "members have rates of their own"
    packed, single = ({(method, place, 0): trials(method, p, study=s) for place, p in enumerate(shared)} for s in ("near", "near-alone"))
    assert_same(together(found, packed) if packed else {}, alone(found, single))


@pytest.mark.parametrize(("name", "experiment"), PACKED)
def test_trials_that_were_stopped_go_on_beside_others(
    name: str, experiment: str, parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, trials, shared = parts(name, experiment)
    for group in shared:
        apart = alone(found, made(trials, found, group, "apart"))
        study = f"stopped-{tmp_path.name}"
        with monkeypatch.context() as eager:
            eager.setattr("tasks.blocks.small_models.Pause", lambda: Pause(seconds=0.0, share=1.0))
            program = load(found.experiment.run_batch)(list(made(trials, found, group, study).values()))
            ended = {said[0].id for said in islice(program, 4) if isinstance(said, tuple)}
            program.close()
        # Two seeds go on together, the third after them by itself.
        for part in ([key for key in group if key[2] != 1], [key for key in group if key[2] == 1]):
            left = {key: trial for key, trial in made(trials, found, part, study).items() if trial.id not in ended}
            assert not left or any(trial.restore() for trial in left.values()), "nothing was kept"
            assert_same(together(found, left) if left else {}, {key: apart[key] for key in left})
