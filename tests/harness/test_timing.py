"""How long trials take, and how long a run still will: by a clock that is turned by hand."""

from __future__ import annotations

import heapq
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness import ledger, registry
from harness.durations import span
from harness.plan import Overrides, TrialSpec, expand
from harness.progress import RunProgress
from harness.record import Record, Status
from harness.store import open_study
from harness.timing import DECLARED, ELSEWHERE, Cost, Timings
from tests.harness.conftest import Command

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def trials_of(seeds: int, declared: dict[str, float]) -> list[TrialSpec]:
    """Trials of the methods `plain` and `shifted`, and the seconds that are declared of them."""
    found = expand(registry.task("misbehaving"), "smoke", Overrides(seeds=seeds, values={"size": ["1"]}), {})
    return [replace(trial, expected_s=declared[trial.method]) for trial in found]


def record(trial: TrialSpec, seconds: float, status: Status = "ok") -> Record:
    """What the trial left."""
    named = {name: getattr(trial, name) for name in ("task", "version", "scale", "experiment", "method", "seed", "params")}
    return Record(trial_id=trial.id, **named, metrics={}, status=status, seconds=seconds)


def told(
    trials: Sequence[TrialSpec],
    takes: dict[str, float],
    *,
    slots: int,
    start_s: float,
    before: Sequence[Record] = (),
    between_s: float = 0.0,
) -> list[str]:
    """Lines of a run whose workers take `start_s` to start and whose trials take as long as `takes` says, each with the time left.

    `between_s` goes by before each trial.
    """
    now = [1000.0]
    screen = io.StringIO()
    lines: list[str] = []
    known = {each.trial_id for each in before}
    todo = [trial for trial in trials if trial.id not in known]
    with RunProgress(trials, Console(file=screen, width=200), before, lambda: now[0]) as progress:
        progress.begin(todo, slots)
        busy = [1000.0 + start_s] * slots
        ends = []
        for trial in todo:
            at = heapq.heappop(busy) + between_s + takes[trial.method]
            heapq.heappush(busy, at)
            ends.append((at, trial))
        whole = max(at for at, _ in ends)
        for at, trial in sorted(ends, key=lambda end: (end[0], end[1].id)):
            now[0] = at
            shown = len(screen.getvalue())
            progress.observe(record(trial, takes[trial.method]))
            lines += [f"{line} | {whole - at:g}" for line in screen.getvalue()[shown:].splitlines()]
    return lines


def ranges(lines: Sequence[str]) -> list[tuple[float, float, float]]:
    """(from, to, what was left in truth) of each line that says what is left."""
    found = []
    for line in lines:
        said, _, truth = line.partition(" | ")
        if "left" not in said:
            continue
        numbers = re.findall(r"([\d.]+)(?: (s|min|h))?(?= to| left| )", said.partition("/s, ")[2].replace("about ", ""))
        low = 0.0 if "up to" in said else float(numbers[0][0]) * UNITS[numbers[0][1] or numbers[-1][1]]
        found.append((low, float(numbers[-1][0]) * UNITS[numbers[-1][1]], float(truth)))
    return found


@pytest.mark.parametrize(
    ("takes", "declared"),
    [
        ({"plain": 30.0, "shifted": 30.0}, {"plain": 10.0, "shifted": 10.0}),
        ({"plain": 30.0, "shifted": 2.0}, {"plain": 3.0, "shifted": 9.0}),
        ({"plain": 20.0, "shifted": 20.0}, {"plain": 0.0, "shifted": 0.0}),
    ],
    ids=["too low", "the wrong way round", "not declared"],
)
def test_what_was_measured_soon_replaces_what_was_declared(takes: dict[str, float], declared: dict[str, float]) -> None:
    lines = told(trials_of(20, declared), takes, slots=2, start_s=15.0)
    said = ranges(lines)
    assert len(said) >= 10
    # From a tenth of the run on: half a minute is what figures of five minutes and trials under way leave open.
    for low, high, truth in said[2:]:
        assert low - 31 <= truth <= high + 31, lines
    assert all(high - low <= 0.35 * truth + 61 for low, high, truth in said[5:]), lines


def test_what_is_left_is_not_said_before_anything_is_known_nor_when_nothing_is() -> None:
    trials = trials_of(40, {"plain": 10.0, "shifted": 10.0})
    lines = told(trials, {"plain": 10.0, "shifted": 10.0}, slots=1, start_s=0.0)
    assert lines[-1].startswith("80/80 trials, ")
    assert "left" not in lines[-1]
    assert "left" in lines[-2]
    failed = io.StringIO()
    with RunProgress(trials[:1], Console(file=failed, width=200), (), lambda: 0.0) as progress:
        progress.begin(trials[:1], 1)
        progress.observe(record(trials[0], 0.0, "failed"))
    assert failed.getvalue().splitlines()[-1].endswith("1 failed")


def test_nothing_is_said_of_what_is_left_while_the_start_is_most_of_a_run() -> None:
    takes = {"plain": 1e-4, "shifted": 2e-4}
    for declared in (0.0, 0.1):
        lines = told(trials_of(18, dict.fromkeys(takes, declared)), takes, slots=2, start_s=11.0)
        assert [line.split("/s")[0].split(",")[0] for line in lines] == ["1/36 trials", "36/36 trials"]
        assert not [line for line in lines if "left" in line]
        later = ranges(told(trials_of(18, dict.fromkeys(takes, declared)), dict.fromkeys(takes, 3.0), slots=2, start_s=11.0))
        assert len(later) > 1
        assert all(low - 3 <= truth <= high + 3 <= 3 * truth + 10 for low, high, truth in later), later


def test_what_goes_by_between_trials_goes_on_trial_by_trial() -> None:
    """Not as a share of their seconds: methods that were not measured yet take seconds where those before took none."""
    takes = {"plain": 1e-3, "shifted": 2.0}
    trials = sorted(trials_of(60, {"plain": 2.0, "shifted": 2.0}), key=lambda trial: trial.method)
    said = ranges(told(trials, takes, slots=1, start_s=1.0, between_s=1.0))
    assert len(said) > 10
    assert all(low - 31 <= truth <= high + 31 and high <= 1.5 * truth + 31 for low, high, truth in said), said


def test_the_last_trials_leave_workers_idle() -> None:
    trials = trials_of(2, {"plain": 1.0, "shifted": 1.0})[:3]
    lines = told(trials, {"plain": 100.0, "shifted": 130.0}, slots=2, start_s=0.0)
    assert lines[-2] == "2/3 trials, 0.0154/s, 70 s to 2 min left | 70", "one of two workers is at work"


def test_records_of_before_count_from_the_start() -> None:
    trials = trials_of(12, {"plain": 1.0, "shifted": 1.0})
    before = [record(trial, 60.0) for trial in trials[:2]]
    said = ranges(told(trials, {"plain": 60.0, "shifted": 60.0}, slots=2, start_s=0.0, before=before))
    assert 0.7 * said[0][2] <= said[0][0] <= said[0][2] <= said[0][1] + 31
    unknown = Timings(trials)
    known = Timings(trials)
    for each in before:
        known.learn(each)
    assert known.total(trials) == Cost(1440.0, 1440.0, 1440.0)
    assert unknown.total(trials) == Cost(24 * DECLARED[0], 24.0, 24 * DECLARED[1])


def test_a_cell_that_was_not_measured_is_corrected_by_those_that_were() -> None:
    trials = trials_of(2, {"plain": 10.0, "shifted": 4.0})
    plain, shifted = (next(trial for trial in trials if trial.method == method) for method in ("plain", "shifted"))
    timings = Timings(trials)
    timings.learn(record(plain, 90.0, "failed"))
    assert timings.cost(timings.cell(plain.id)).expected_s == 10.0, "a trial that failed says nothing of how long others take"
    timings.learn(record(plain, 20.0))
    timings.learn(record(plain, 40.0))
    assert timings.cost(timings.cell(plain.id)) == Cost(30.0, 30.0, 30.0)
    assert timings.cost(timings.cell(shifted.id)) == Cost(4.0, 12.0, 12.0), "declarations were three times too low"
    timings.learn_elsewhere([(shifted, 7.0), (shifted, 9.0), (plain, 1.0)])
    assert timings.cost(timings.cell(plain.id)).expected_s == 30.0, "its own records stand"
    fresh = Timings(trials)
    fresh.learn_elsewhere([(record(shifted, 0.0), 8.0)])
    assert fresh.cost(fresh.cell(shifted.id)) == Cost(8.0 * ELSEWHERE[0], 8.0, 8.0 * ELSEWHERE[1])


def test_a_plan_expects_what_its_study_and_others_of_its_store_took(papertrial: Command) -> None:
    run = ("misbehaving", "--scale", "smoke")
    unmeasured = json.loads(papertrial("plan", *run, "--json").out)
    assert unmeasured["expected_s"] == pytest.approx(18e-4)
    assert papertrial("run", *run, "--seeds", "1", "--local", "--tracking-uri", "none", "--set", "pause=0.01").code == 0
    (folder,) = Path("results").glob("misbehaving-smoke*")
    records = ledger.read(open_study(folder.name)).records.values()
    words = ("plan", *run, "--set", "pause=0.01", "--json")
    planned = json.loads(papertrial(*words).out)
    assert planned["left"] == 12
    for name in ("expected_s", "expected_low_s", "expected_high_s"):
        assert planned[name] == pytest.approx(2 * sum(own.seconds for own in records))
    other = json.loads(papertrial(*words, "--study", "fresh").out)
    assert other["expected_s"] == pytest.approx(3 * sum(own.seconds for own in records))
    assert other["expected_high_s"] == pytest.approx(ELSEWHERE[1] * other["expected_s"])
    for row in other["rows"]:
        assert row["expected_s"] == pytest.approx(3 * sum(own.seconds for own in records if own.method == row["method"]))
    committed = Path("results/reference") / folder.name
    committed.parent.mkdir()
    folder.rename(committed)
    (committed / "ledger.jsonl").unlink()
    assert json.loads(papertrial(*words, "--study", "fresh").out)["expected_s"] == pytest.approx(other["expected_s"]), (
        "read from its tables"
    )


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (170.0, 355.0, "3 to 6 min"),
        (48.0, 130.0, "50 s to 2 min"),
        (300.0, 310.0, "about 5 min"),
        (0.1, 3.2, "up to 3 s"),
        (0.0, 0.001, "up to 1 s"),
        (3000.0, 9000.0, "50 min to 2.5 h"),
        (86400.0 * 2.1, 86400.0 * 4, "2 to 4 d"),
    ],
)
def test_spans_are_round(low: float, high: float, says: str) -> None:
    assert span(low, high) == says
