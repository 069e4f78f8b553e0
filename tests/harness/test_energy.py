"""Energy of trials, over cards that a test moves: whose counters are read, when there is no number, and who pays how much of it."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from harness import energy, registry
from harness.energy import Meter, between, meter, of_trial
from harness.judgement import judge
from harness.leaderboard import Board
from harness.mlflow_leaderboard import rows
from harness.mlflow_study import wide_table
from harness.pack import Pack
from harness.packing import Progress
from harness.plan import Overrides, TrialSpec, expand
from harness.record import Reader, Record
from harness.report.tables import layout, leaderboard_csv
from harness.task import Resources
from harness.trial import Trial
from harness.worker import Context, Worker
from tests.harness.fabricated import study_of, task_of
from tests.harness.fake_nvml import Card, Nvml

ONE, TWO = Resources(gpus=1), Resources(gpus=2, ranks=1)


def metered(resources: Resources, nvml: Nvml, *visible: str, device: str = "cuda") -> Meter:
    return meter(device, resources, lambda: visible, lambda: nvml)


def test_the_counter_is_that_of_the_card_which_torch_sees_not_of_nvmls_first() -> None:
    nvml = Nvml({"GPU-a": Card(1_000), "GPU-b": Card(50_000), "GPU-c": Card(3_000)})
    assert metered(ONE, nvml, "GPU-b").joules() == 50.0
    assert metered(TWO, nvml, "GPU-c", "GPU-b").joules() == 53.0


@pytest.mark.parametrize(
    ("resources", "visible", "device"),
    [
        (Resources(gpus=0.5), ["GPU-a"], "cuda"),
        (Resources(gpus=0.99), ["GPU-a"], "cuda"),
        (Resources(), ["GPU-a"], "cpu"),
        (ONE, ["GPU-a", "GPU-b"], "cuda"),
        (TWO, ["GPU-a"], "cuda"),
        (ONE, ["GPU-of-another-driver"], "cuda"),
    ],
    ids=["half a card", "nearly a card", "no card", "which of two?", "one of two", "unknown card"],
)
def test_without_whole_cards_of_its_own_there_is_no_number(resources: Resources, visible: Sequence[str], device: str) -> None:
    assert math.isnan(metered(resources, Nvml({"GPU-a": Card(1_000), "GPU-b": Card(1_000)}), *visible, device=device).joules())


@pytest.mark.parametrize("change", [{"counts": False}, {"split": True}, {"processes": 2}], ids=["before Volta", "MIG", "another process"])
def test_one_card_that_cannot_say_leaves_no_number_for_two(change: Mapping[str, bool | int]) -> None:
    cards = {"GPU-a": Card(1_000), "GPU-b": dataclasses.replace(Card(2_000), **change)}
    assert metered(ONE, Nvml(cards), "GPU-a").joules() == 1.0
    assert math.isnan(metered(TWO, Nvml(cards), "GPU-a", "GPU-b").joules())


def test_without_the_library_or_the_driver_there_is_no_number() -> None:
    assert math.isnan(meter("cuda", ONE, lambda: ["GPU-a"], lambda: None).joules())
    assert math.isnan(metered(ONE, Nvml({"GPU-a": Card(1)}, has_driver=False), "GPU-a").joules())
    assert math.isnan(Meter().joules())


def test_a_reading_with_company_makes_both_neighbours_unknown() -> None:
    card = Card(1_000)
    counters = metered(ONE, Nvml({"GPU-a": card}), "GPU-a")
    first = counters.joules()
    card.millijoules, card.processes = 4_000, 2
    second = counters.joules()
    card.millijoules, card.processes = 9_000, 1
    third = counters.joules()
    assert [between(first, third), between(third, first)] == pytest.approx([8.0, math.nan], nan_ok=True), "a counter that fell began anew"
    assert math.isnan(between(first, second))
    assert math.isnan(between(second, third))


def test_too_short_a_trial_and_one_that_went_on_have_no_number() -> None:
    found = [of_trial(7.0, 1.0, 0.0), of_trial(7.0, 0.99, 0.0), of_trial(7.0, 100.0, 0.5)]
    assert found == pytest.approx([7.0, math.nan, math.nan], nan_ok=True)


def test_the_library_has_what_the_fake_one_has() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name, function in inspect.getmembers(Nvml, inspect.isfunction):
        if name.startswith("nvml"):
            assert len(inspect.signature(getattr(pynvml, name)).parameters) == len(inspect.signature(function).parameters) - 1, name
    assert issubclass(pynvml.NVMLError, Exception)
    assert energy.installed_nvml() is pynvml


# Who pays


class Ticking(Card):
    """5 J more at every reading."""

    @property  # type: ignore[override]
    def millijoules(self) -> int:
        self._read = getattr(self, "_read", 0) + 5_000
        return self._read

    @millijoules.setter
    def millijoules(self, value: int) -> None:
        self._read = value


def trials(behaviour: str, seeds: int) -> list[TrialSpec]:
    values = {"behaviour": [behaviour], "size": ["1"]}
    return expand(registry.task("misbehaving"), "smoke", Overrides(seeds=seeds, methods=("plain",), values=values), {})


def test_a_worker_records_what_its_card_took_during_each_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "SHORTEST_S", 0.0)
    nvml, asked = Nvml({"GPU-a": Ticking()}), list[tuple[str, Resources]]()

    def meters(device: str, resources: Resources) -> Meter:
        asked.append((device, resources))
        return metered(ONE, nvml, "GPU-a")

    worker = Worker(Context(store_uri=str(tmp_path), study="s"), meters=meters)
    records = [worker.execute(spec).record for spec in [*trials("good", 2), *trials("raise", 1)]]
    assert [(record.status, record.energy_j) for record in records] == [("ok", 5.0), ("ok", 5.0), ("failed", 5.0)]
    assert asked == [("cpu", Resources())], "NVML is asked for its cards once a worker"
    (spec,) = trials("checkpoint", 1)
    stopped, went_on = worker.execute(spec).record, worker.execute(spec).record
    assert (stopped.status, stopped.energy_j, went_on.status) == ("failed", 5.0, "ok")
    assert math.isnan(went_on.energy_j), "the first attempt's part is not in it"


def test_a_worker_without_a_card_records_none(tmp_path: Path) -> None:
    (spec,) = trials("good", 1)
    assert math.isnan(Worker(Context(store_uri=str(tmp_path), study="s")).execute(spec).record.energy_j)


def test_members_of_a_program_share_what_was_taken_while_they_were_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "SHORTEST_S", 0.0)
    card = Card()
    experiment = registry.task("misbehaving").experiment("behave")

    def program(members: Sequence[Trial]) -> Iterator[Progress]:
        card.millijoules += 6_000
        yield 0.3
        card.millijoules += 3_000
        yield members[1], {"value": 1.0}
        yield 0.5
        card.millijoules += 8_000
        yield members[0], {"value": 1.0}
        card.millijoules += 20_000
        yield members[2], {"value": 1.0}

    counters = metered(ONE, Nvml({"GPU-a": card}), "GPU-a")
    pack = Pack(program, trials("good", 3), lambda spec, elapsed: Trial(experiment, spec, elapsed=elapsed), counters)
    found: dict[int, float] = {}
    while pack.left:
        ended, problem = pack.advance(0.0)
        assert problem is None
        found |= {one.trial.seed: one.energy_j for one in ended}
        card.millijoules += 1_000_000  # what the card takes between two slices is nobody's
    assert found == {1: 3.0, 0: 7.0, 2: 27.0}
    assert sum(found.values()) == 6 + 3 + 8 + 20


# Where it is shown


def test_a_line_of_the_ledger_and_one_of_before_keep_what_is_known(tmp_path: Path) -> None:
    (spec,) = trials("good", 1)
    record = Worker(Context(store_uri=str(tmp_path), study="s")).execute(spec).record
    for value in (12.5, math.nan):
        line = json.loads(json.dumps(dataclasses.replace(record, energy_j=value).to_json()))
        for read in (Record.from_json(line), Reader().read(line)):
            assert read is not None
            assert read.energy_j == pytest.approx(value, nan_ok=True)
    del line["energy_j"]
    assert math.isnan(Record.from_json(line).energy_j)


def board(folder: Path, joules: Mapping[tuple[str, int], float]) -> Board:
    (found,) = judge(study_of(folder, task_of(), lambda trial: {"loss": 1.0 + 0.1 * trial.seed}, change=partial(_change, joules))).boards
    return found


def _change(joules: Mapping[tuple[str, int], float], trial: TrialSpec) -> dict[str, float]:
    return {"energy_j": joules.get((trial.method, trial.seed), math.nan)}


def test_the_column_is_a_mean_over_trials_and_only_where_all_of_a_method_were_measured(tmp_path: Path) -> None:
    methods, seeds = ("left", "right"), range(5)
    all_known = {(method, seed): 10.0 * (seed + 1) for method, seed in itertools.product(methods, seeds)}
    found = board(tmp_path / "all", all_known)
    assert {row.method: row.cost.energy for row in found.rows} == {"left": 30.0, "right": 30.0}
    assert "J/trial" in layout(found).headings
    part = board(tmp_path / "part", {key: value for key, value in all_known.items() if key != ("left", 3)})
    assert {row.method: row.cost.energy for row in part.rows} == pytest.approx({"left": math.nan, "right": 30.0}, nan_ok=True)
    shown = layout(part)
    place = shown.headings.index("J/trial")
    assert {cells[0]: cells[place] for cells in shown.rows} == {"left": "–", "right": "30.0"}
    lines = {line["method"]: line["trial_energy_j"] for line in csv.DictReader(io.StringIO(leaderboard_csv([part])))}
    assert lines == {"left": "", "right": "30.0"}
    assert "J/trial" not in layout(board(tmp_path / "none", {})).headings


def test_mlflow_has_it_beside_the_other_costs(tmp_path: Path) -> None:
    known = {("left", seed): 8.0 for seed in range(5)}
    (ruling,) = judge(study_of(tmp_path, task_of(), lambda trial: {"loss": 1.0 + 0.1 * trial.seed}, change=partial(_change, known))).rulings
    assert {row["method"]: row["trial_energy_j"] for row in rows(ruling)} == {"left": 8.0, "right": None}
    table = wide_table(ruling)
    assert dict(zip(table["method"], table["J/trial"], strict=True)) == {"left": 8.0, "right": None}
    (without,) = judge(study_of(tmp_path / "without", task_of(), lambda trial: {"loss": 1.0 + 0.1 * trial.seed})).rulings
    assert "J/trial" not in wide_table(without)
