"""The comparison with other tools: its rows have commands, papertrial's is the command line itself, executions are counted right."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import parser

BENCHMARKS = Path(__file__).parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

from compared import measure, sides, table  # noqa: E402
from compared.kept import Kept  # noqa: E402
from compared.measure import Mark, Run  # noqa: E402


@pytest.mark.parametrize("side", sides.SIDES, ids=lambda side: side.name)
def test_the_command_of_every_row_exists(side: sides.Side, tmp_path: Path) -> None:
    program, *words = side.command(12, 0.01, 2, tmp_path)
    assert Path(program) == Path(sys.executable)
    if words[0] == "-m":
        assert words[1] in ("harness", "benchopt")
        assert words[1] != "benchopt" or (Path(words[3]) / "objective.py").exists()
    else:
        compile(Path(words[0]).read_text(), words[0], "exec")
        assert words[1:5] == ["12", "0.01", "2", str(tmp_path)]


def test_papertrials_row_is_its_command_line(tmp_path: Path) -> None:
    _, _, package, *words = sides.SIDES[0].command(12, 0.01, 2, tmp_path)
    asked = parser().parse_args(words)
    assert (package, words[0], asked.seeds, asked.store, asked.local) == ("harness", "run", 6, str(tmp_path), False)
    assert words[-2:] == ["--store", str(tmp_path)]


def test_papertrials_row_is_measured_by_running_it() -> None:
    """Without Ray, whose start is no matter of the table's: the rest is what the row does."""
    side = dataclasses.replace(sides.SIDES[0], command=sides.papertrial("--local", "--tracking-uri", "none"))
    run = measure.run(side, 4, 0.0, 120.0)
    assert run.wall is not None
    assert run.first_record is not None
    assert run.held == len(run.ends) == 4
    assert 0.0 < run.ends[0] <= run.ends[-1] <= run.wall
    assert run.first_record <= run.wall + measure.LOOK_S


def test_a_row_that_holds_too_few_results_is_no_figure() -> None:
    side = dataclasses.replace(sides.SIDES[0], command=lambda *_: [sys.executable, "-c", "pass"], held=lambda _: 2)
    with pytest.raises(RuntimeError, match="papertrial holds 2 results of 4"):
        measure.run(side, 4, 0.0, 120.0)


def _marks(*words: tuple[int, str, float]) -> list[Mark]:
    return [Mark(number, what == "end", at) for number, what, at in words]


def test_executions_are_counted_around_the_kill_and_the_second_start() -> None:
    """Killed at 4, started again at 10: 0 and 1 had ended, 2 ended without its driver, 3 never; 1, 2 and 3 ran again, 4 is new."""
    before = _marks((0, "start", 1), (1, "start", 1), (0, "end", 2), (2, "start", 2), (1, "end", 3), (3, "start", 3), (2, "end", 5))
    again = [mark for number in (1, 2, 3, 4) for mark in _marks((number, "start", 11), (number, "end", 12))]
    counted = measure.count([*before, *again], 4.0, 10.0, 6, 5)
    assert counted == measure.Killed(trials=6, ended=2, ended_again=1, in_flight=2, in_flight_again=2, lost=1)
    stopped = measure.count(before, 4.0, 10.0, 6, None)
    assert (stopped.in_flight, stopped.in_flight_again) == (2, 0)
    assert stopped.lost is None, "a second start that was stopped has lost nothing that is known"


def test_a_mark_that_is_still_being_written_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "marks").write_text("0 start 1.0\n0 end 2.0\n1 start 3")
    assert measure.marks(tmp_path / "marks") == _marks((0, "start", 1.0), (0, "end", 2.0))


def _run(trials: int, pause: float, wall: float | None, ends: Sequence[float]) -> Run:
    return Run(trials, pause, wall, ends, span=ends[-1], first_record=None, held=trials)


def test_overhead_is_what_trials_do_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "WORKERS", 2)
    ended = _run(4, 1.0, 6.0, (2.0, 3.0, 4.0, 5.0))
    assert ended.overhead(4) == pytest.approx((6.0 - 4 * 1.0 / 2) / 4)
    assert ended.seconds(10) == pytest.approx(6.0 + 6 * 1.0)
    stopped = _run(100, 0.0, None, (2.0, 2.5, 3.0))
    assert stopped.seconds(100) == pytest.approx(3.0 + 97 * 0.5)


def test_a_cell_says_where_it_comes_from() -> None:
    runs = {sides.SIDES[0].name: [_run(12, 0.0, 1.2, tuple(0.1 * n for n in range(1, 13)))]}
    absent = dataclasses.replace(sides.SIDES[0], name="absent", package="no_such_package")
    rows = [line.split(" | ") for line in table.table((sides.SIDES[0], absent), runs, {}).splitlines() if line.startswith("| ")]
    assert rows[1][1:4] == ["100", "100 (extrapolated from 12 trials)", "100 (extrapolated from 12 trials)"]
    assert rows[1][4:7] == [table.NOT_REACHED] * 3
    longer = table.table((sides.SIDES[0],), {sides.SIDES[0].name: [_run(100, 0.0, 9.0, [0.01 * n for n in range(1, 101)])]}, {})
    assert "| papertrial | not reached | 90 | 14 (extrapolated from 100 trials) |" in longer, "never from more trials to fewer"
    assert {cell.strip(" |") for cell in rows[2][1:]} == {"not installed"}


def test_rounds_are_compared_one_by_one() -> None:
    """Two rounds, the second twice as slow for all: the ratio is the same in both."""
    other = dataclasses.replace(sides.SIDES[0], name="other", records=None)
    ours, theirs = ([_run(12, 0.0, 2.4 * busy, (slow * busy, 2.4 * busy)) for busy in (1.0, 2.0)] for slow in (0.5, 1.5))
    text = table.table((sides.SIDES[0], other), {sides.SIDES[0].name: ours, "other": theirs}, {})
    starts = next(line for line in reversed(text.splitlines()) if line.startswith("| other"))
    assert starts.split(" | ")[1:4] == ["2.25 (1.5 to 3)", "none while it runs", "3 (3 to 3)"]


def test_a_comparison_that_was_stopped_goes_on(tmp_path: Path) -> None:
    path, side = tmp_path / "kept.jsonl", sides.SIDES[0]
    figures = _run(12, 0.01, None, [1.0, 2.0])
    died = measure.Killed(trials=6, ended=2, ended_again=1, in_flight=2, in_flight_again=2, lost=None)
    first = Kept(path)
    first.add(side, figures, 1.5)
    first.add(side, died, 2.5)
    second = Kept(path)
    assert (second.runs[side.name], second.kills, second.loads) == ([figures], {side.name: died}, [1.5, 2.5])
    assert (second.rounds(side, 12, 0.01), second.rounds(side, 12, 0.0)) == (1, 0)
