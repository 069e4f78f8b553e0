"""What trials are expected to take is shown by the plan, and one that does not fit is refused before anything starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness import memory, registry
from harness.errors import ResourceError, TaskError
from harness.plan import Overrides, TrialSpec, expand
from harness.task import Hardware, Resources
from tests.harness.conftest import Command, Said

LAPTOP = Hardware(name="this machine", cpus=4, memory_gib=8.0)
SERVER = Hardware(name="this machine", gpus=2, gpu_gib=40.0, cpus=64, memory_gib=512.0)


def trials(scale: str, gib: float) -> list[TrialSpec]:
    return expand(registry.task("roomy"), scale, Overrides(values={"gib": [str(gib)]}), {})


def told(scale: str, gib: float, machine: Hardware | None, *, alone: bool = False) -> Sequence[str]:
    return memory.too_large(trials(scale, gib), [registry.task("roomy")], machine, alone=alone)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, papertrial: Command) -> Command:
    """`on(machine, words...)` runs the command line there."""

    def command(machine: Hardware, *words: str) -> Said:
        monkeypatch.setattr(memory, "here", lambda trials: machine)
        return papertrial(*words)

    return command


def test_trials_carry_what_their_method_takes() -> None:
    assert {trial.method: trial.expected_gib for trial in trials("smoke", 3.0)} == {"small": pytest.approx(0.3), "large": 3.0}


@pytest.mark.parametrize(
    ("shape", "machine", "each", "at_once"),
    [
        (Resources(), LAPTOP, 2.0, 4),
        (Resources(cpus=2), LAPTOP, 4.0, 2),
        (Resources(cpus=8), LAPTOP, 8.0, 1),
        (Resources(gpus=0.125), SERVER, 5.0, 8),
        (Resources(gpus=0.3), SERVER, 40.0 / 3, 3),
        (Resources(gpus=1), SERVER, 40.0, 1),
        (Resources(gpus=2), SERVER, 80.0, 1),
    ],
)
def test_trials_share_what_there_is(shape: Resources, machine: Hardware, each: float, at_once: int) -> None:
    found = memory.room(shape, machine)
    assert found is not None
    assert (found.each, found.at_once) == (pytest.approx(each), at_once)


@pytest.mark.parametrize("shape", [Resources(gpus=0.125), Resources(gpus=4)])
def test_nothing_is_said_of_gpus_that_are_not_there(shape: Resources) -> None:
    assert memory.room(shape, LAPTOP) is None


def test_a_trial_alone_has_all_of_main_memory_but_no_more_of_a_card_than_it_declares() -> None:
    assert told("smoke", 5.0, LAPTOP)
    assert not told("smoke", 5.0, LAPTOP, alone=True)
    assert told("gpu", 12.0, SERVER, alone=True)


def test_a_card_that_is_here_counts_before_the_one_that_the_scale_names() -> None:
    assert not told("gpu", 9.0, SERVER)
    assert told("gpu", 11.0, SERVER)


@pytest.mark.parametrize("machine", [None, LAPTOP])
@pytest.mark.parametrize(("scale", "fits", "too_much"), [("gpu", 2.5, 2.6), ("paper", 10.0, 10.1)])
def test_without_a_card_here_the_one_that_the_scale_names_counts(machine: Hardware, scale: str, fits: float, too_much: float) -> None:
    assert not told(scale, fits, machine)
    assert told(scale, too_much, machine)


def test_who_does_not_fit_is_named_once_by_its_largest_trial_with_what_to_do() -> None:
    planned = [*trials("gpu", 3.0), *trials("gpu", 4.0)]
    (sentence,) = memory.too_large(planned, [registry.task("roomy")], None)
    for part in ("roomy, experiment fill", "large (gib=4.0)", "4 GiB", "2.5 GiB", "a card of 10 GiB", "4 at a time", "--set"):
        assert part in sentence
    with pytest.raises(ResourceError, match="large"):
        memory.check(planned, [registry.task("roomy")], None)


def test_a_run_is_refused_before_anything_starts(on: Command, tmp_path: Path) -> None:
    said = on(LAPTOP, "run", "roomy", "--scale", "smoke", "--set", "gib=3", "--tracking-uri", "none", "--store", "s")
    assert said.code == 2
    assert "a trial of large (gib=3.0) is expected to take 3 GiB" in said.err.replace("\n", " ")
    assert "--local" in said.err
    assert not (tmp_path / "s").exists()
    said = on(LAPTOP, "run", "roomy", "--scale", "smoke", "--set", "gib=3", "--tracking-uri", "none", "--store", "s", "--local")
    assert said.code == 0


def test_a_plan_shows_the_peak_and_what_does_not_fit(on: Command) -> None:
    said = on(LAPTOP, "plan", "roomy", "--scale", "gpu")
    assert said.code == 0
    assert "peak memory of a trial: 1 GiB (large); 4 at a time: 4 of 10 GiB of a GPU of a card of 10 GiB" in said.out
    assert "expected to take" not in said.out
    said = on(SERVER, "plan", "roomy", "--scale", "gpu", "--set", "gib=11")
    assert said.code == 0
    assert "4 at a time: 44 of 40 GiB of a GPU of this machine" in said.out
    assert "a trial of large (gib=11.0) is expected to take 11 GiB" in said.out


def test_the_expectation_survives_json_and_older_plans_have_none() -> None:
    (trial,) = (trial for trial in trials("gpu", 2.0) if trial.method == "large")
    row = json.loads(json.dumps(trial.to_json()))
    assert TrialSpec.from_json(row) == trial
    del row["expected_gib"]
    older = TrialSpec.from_json(row)
    assert (older.id, older.expected_gib) == (trial.id, 0.0)
    with pytest.raises(ValueError, match="another shape"):
        TrialSpec.from_json(row | {"expected_gib": "2"})


def test_this_machine_has_cpus_and_memory() -> None:
    machine = memory.here([])
    assert machine.cpus >= 1
    assert machine.memory_gib > 0.1


def test_cards_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aa, 81559'\necho '1, GPU-bb, 40960'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    asking = trials("gpu", 1.0)
    assert (memory.here(asking).gpus, memory.here(asking).gpu_gib) == (2, 40.0)
    assert memory.here(trials("smoke", 1.0)).gpus == 0, "none asks for one"
    for visible, gpus in (("0", 1), ("GPU-bb", 1), ("1,0", 2), ("", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert memory.here(asking).gpus == gpus


@pytest.mark.parametrize("about", [{"gpus": 1}, {"gpu_gib": 80.0}, {"cpus": 0}, {"memory_gib": -1.0}])
def test_hardware_that_contradicts_itself_is_refused(about: dict[str, float]) -> None:
    with pytest.raises(TaskError, match="hardware"):
        Hardware(name="odd", **about)  # type: ignore[arg-type]
