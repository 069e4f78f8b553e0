"""Studies that run until their claims are decided: looks fixed before the first seed, and nothing decided between them."""

from __future__ import annotations

import csv
import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.claims import exact
from harness.engine import RunResult
from harness.errors import UsageError
from harness.estimates import In, Mean, Of, paired
from harness.looks import CAP, Look, added, parse, reached, schedule
from harness.plan import Overrides, TrialSpec, expand
from harness.plans import load_plan, read_plan, save_plan
from harness.stats import Sample
from harness.stopping import Stop, Stopped
from harness.store import StudyStore
from harness.study import Study
from harness.task import Above, Metric, Within
from harness.verdict import Verdict, decide
from tests.harness.conftest import Command
from tests.harness.fabricated import difference_claim, experiment_of, study_of, task_of, verdicts_of
from tests.harness.processes import Process

RUN = ["run", "drawing", "--scale", "smoke", "--until-decided", "--tracking-uri", "none"]


def test_the_looks_share_the_error_of_one_interval() -> None:
    looks = schedule()
    assert [look.seeds for look in looks] == [3, 5, 8, 12, CAP]
    assert sum(look.level for look in looks) == pytest.approx(0.05)
    assert all(look.level / look.seeds == pytest.approx(0.05 / 48) for look in looks)


@pytest.mark.parametrize(("cap", "seeds"), [(3, [3]), (4, [3, 4]), (12, [3, 5, 8, 12]), (21, [3, 5, 8, 12, 20, 21])])
def test_a_cap_is_the_last_look_and_no_error_is_left_over(cap: int, seeds: list[int]) -> None:
    looks = schedule(cap)
    assert [look.seeds for look in looks] == seeds
    assert sum(look.level for look in looks) == pytest.approx(0.05)


@pytest.mark.parametrize("cap", [2, 0, 801])
def test_a_cap_that_is_none_is_refused(cap: int) -> None:
    with pytest.raises(UsageError, match="--cap must lie in 3 to 800"):
        schedule(cap)


@pytest.mark.parametrize("value", [[], [[3, 0.01], [3, 0.02]], [[5, 0.01], [3, 0.02]], [[3, 2.0]], [[3.0, 0.01]], [[True, 0.1]], [[3]], 5])
def test_looks_of_another_shape_are_no_looks(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        parse(value)


def _planned(tmp_path: Path, seeds: int = 5) -> tuple[StudyStore, list[TrialSpec]]:
    return StudyStore(str(tmp_path), "s"), expand(task_of(), "laptop", Overrides(seeds=seeds), {})


def test_a_plan_keeps_the_looks_that_it_was_given_first(tmp_path: Path) -> None:
    store, trials = _planned(tmp_path)
    save_plan(store, trials, looks=schedule(8))
    assert read_plan(store).looks == schedule(8)
    save_plan(store, trials)
    save_plan(store, trials, looks=schedule(20))
    assert read_plan(store).looks == schedule(8)
    assert load_plan(store) == trials
    assert json.loads((tmp_path / "s" / "plan.json").read_text())["schema_version"] >= 5, "nobody who knows no looks may read it"


def test_a_plan_without_looks_is_written_and_read_as_before(tmp_path: Path) -> None:
    store, trials = _planned(tmp_path)
    save_plan(store, trials)
    text = (tmp_path / "s" / "plan.json").read_text()
    assert text.startswith('{"schema_version": 7, "checksum": "')
    assert "looks" not in text
    assert read_plan(store).looks == ()


def test_looks_that_were_edited_are_damage(tmp_path: Path) -> None:
    store, trials = _planned(tmp_path)
    save_plan(store, trials, looks=schedule(8))
    path, said = tmp_path / "s" / "plan.json", list[str]()
    path.write_text(path.read_text().replace("[8, ", "[9, "))
    assert read_plan(store, said.append).looks == schedule(8)
    assert "its checksum is not its own" in said[0]


def test_a_look_is_complete_when_all_its_trials_have_left_a_record(tmp_path: Path) -> None:
    _, trials = _planned(tmp_path, 8)
    looks = schedule(8)
    of = {trial.id for trial in trials if trial.seed < 5}
    assert [reached(looks, trials, ids) for ids in (set(), of, of - {trials[0].id}, {t.id for t in trials})] == [0, 2, 0, 3]
    assert reached(looks, trials, of - {next(t.id for t in trials if t.seed == 4)}) == 1
    later_first = [t for t in trials if t.seed > 2] + [t for t in trials if t.seed < 3]
    assert reached(looks, later_first, {t.id for t in trials if t.seed > 2}) == 2, "a plan grows at its end, whatever the seeds are called"
    assert [added(looks, complete, seeds) for complete, seeds in ((0, 3), (1, 5), (1, 3), (1, 6), (3, 8), (3, 11))] == [0, 0, 0, 3, 0, 3]


LOOKS = (Look(3, 0.01), Look(5, 0.015), Look(8, 0.02))


def _study(tmp_path: Path, value: Callable[[int], float], seeds: int, **changes: Any) -> Study:
    """A study with looks, in which `left` minus `right` is `value` of the seed."""

    def outcome(trial: TrialSpec) -> dict[str, float] | str | None:
        found = value(trial.seed)
        return {"loss": found * (trial.method == "left")}

    task = task_of(**({"claims": [difference_claim(primary=True)]} | changes))
    return replace(study_of(tmp_path, task, outcome, seeds=seeds), looks=LOOKS)


def _only(study: Study) -> Verdict:
    (found,) = verdicts_of(study)
    return found


EARLY = [1.0, 1.02, 0.98, -90.0, -120.0, -80.0, -100.0, -95.0]
"""Three seeds that decide, and five that would turn them."""


def test_a_verdict_is_that_of_the_first_look_that_decides(tmp_path: Path) -> None:
    at_first = _only(_study(tmp_path, EARLY.__getitem__, 3))
    later = _only(_study(tmp_path, EARLY.__getitem__, 8))
    assert at_first.verdict == later.verdict == "reproduced"
    assert later.interval == at_first.interval == Sample.of(EARLY[:3]).interval(0.99)
    assert (later.n, later.confidence) == (3, 0.99)
    assert "Decided at look 1 of 3 (3 seeds), by an interval of 99.00 %." in later.reason
    assert "The 5 seeds after it do not open it again, where look 3 alone would say not reproduced." in later.reason
    assert "do not open" not in at_first.reason


def test_a_look_judges_at_its_own_level(tmp_path: Path) -> None:
    values = [1.0, 1.1, 1.25, 0.9, 0.8]
    p = Sample.of(values[:3]).p(Above(0.0))
    assert 0.003 < p < 0.01
    strict = replace(_study(tmp_path, values.__getitem__, 3), looks=(Look(3, 0.003), Look(5, 0.02)))
    assert _only(strict).verdict == "inconclusive"
    assert "Undecided at look 1 of 2 (3 seeds), the next at 5." in _only(strict).reason
    assert _only(replace(strict, looks=())).verdict == "reproduced", "one interval over all seeds would decide"
    assert _only(replace(strict, looks=LOOKS)).verdict == "reproduced"


def test_nothing_is_decided_between_looks(tmp_path: Path) -> None:
    clear = [1.0, 1.02, 0.98, 1.0, 1.01, 1.0, 0.99, 1.0].__getitem__
    before = _only(_study(tmp_path, clear, 2))
    assert (before.verdict, before.n, before.confidence) == ("inconclusive", 2, 0.99)
    assert "Undecided at no look yet, the first at 3 seeds." in before.reason
    noisy = [5.0, -4.0, 1.0, 4.0, -2.0, 1.0, 3.0, 1.5, 900.0, 901.0, 900.0].__getitem__
    on_the_way, extra = _only(_study(tmp_path, noisy, 8)), _only(_study(tmp_path, noisy, 11))
    assert on_the_way.verdict == extra.verdict == "inconclusive"
    assert extra.interval == on_the_way.interval
    assert "Undecided at the cap of 8 seeds. 3 seeds were added by hand after the last complete look" in extra.reason
    assert "by hand" not in on_the_way.reason
    assert "1 seed was added by hand" in _only(_study(tmp_path, noisy, 4)).reason


def test_an_exact_claim_is_refuted_by_any_seed(tmp_path: Path) -> None:
    experiment = experiment_of(metrics=[Metric("loss", "", "lower")])
    claims = exact("E", experiment["loss"], method="left", holds=Within(-1, 1), source="theorem")
    found = _only(_study(tmp_path, lambda seed: 2.0 * (seed == 3), 4, claims=claims, experiment=experiment))
    assert found.verdict == "not reproduced", "it leaves nothing to chance, so that no look is needed"


def test_a_claim_that_stands_on_another_follows_its_first_verdict(tmp_path: Path) -> None:
    control = difference_claim(id="control", kind="control", holds=Within(-5.0, 0.0))
    claim = difference_claim(id="own", stands_on=["control"])
    found = {v.claim: v for v in verdicts_of(_study(tmp_path, EARLY.__getitem__, 8, claims=[control, claim]))}
    assert found["control"].verdict == "not reproduced"
    assert found["own"].verdict == "not tested"
    assert "which does not hold" in found["own"].reason


def test_primary_claims_are_held_together_at_each_look(tmp_path: Path) -> None:
    values = [1.0, 1.1, 1.25]
    p = Sample.of(values).p(Above(0.0))
    looks = (Look(3, 1.5 * p), Look(5, 0.02))
    one = replace(_study(tmp_path, values.__getitem__, 3), looks=looks)
    assert _only(one).verdict == "reproduced"
    two = _study(tmp_path, values.__getitem__, 3, claims=[difference_claim(id=id, primary=True) for id in ("a", "b")])
    found = verdicts_of(replace(two, looks=looks))
    assert {v.verdict for v in found} == {"inconclusive"}


def _verdicts(folder: Path) -> dict[str, dict[str, str]]:
    return {row["claim"]: row for row in csv.DictReader((folder / "verdicts.csv").open())}


def test_a_planted_effect_ends_early_and_none_goes_on_to_the_cap(papertrial: Command, tmp_path: Path) -> None:
    said = papertrial(*RUN, "--local")
    assert said.code == 0, said.err
    study = tmp_path / "results" / "drawing-smoke-until-decided"
    assert _verdicts(study)["C1"]["verdict"] == "reproduced"
    assert _verdicts(study)["C1"]["n"] == "5"
    assert _verdicts(study)["C2"]["verdict"] == "inconclusive", "what is not primary is not waited for"
    assert {trial.seed for trial in load_plan(StudyStore(str(study.parent), study.name))} == set(range(5))
    for words in (["status", study.name], ["plan", "drawing", "--scale", "smoke", "--until-decided"]):
        assert "drawing, scale smoke: look 2 of 5 (5 seeds), the next at 8" in papertrial(*words).out
    assert "at 99.48 %" in (study / "verdicts.md").read_text()
    said = papertrial(*RUN, "--local", "--set", "effect=0", "--cap", "8", "--study", "null")
    assert said.code == 0
    assert [line for line in said.out.splitlines() if "open: C1" in line][-1].startswith("drawing: look 3 of 3 (8 seeds), the last")
    found = _verdicts(study.with_name("null"))["C1"]
    assert (found["verdict"], found["n"]) == ("inconclusive", "8")
    assert "Undecided at the cap of 8 seeds" in found["reason"]


def test_seeds_added_by_hand_decide_nothing_and_are_said(papertrial: Command, tmp_path: Path) -> None:
    study = tmp_path / "results" / "s"
    words = ["--local", "--study", "s", "--set", "effect=0.8"]
    assert papertrial(*RUN, *words, "--cap", "5").code == 0
    before = _verdicts(study)["C1"]
    assert before["verdict"] == "inconclusive"
    plain = [word for word in RUN if word != "--until-decided"]
    assert papertrial(*plain, *words, "--seeds", "40").code == 0
    after = _verdicts(study)["C1"]
    assert [after[name] for name in ("verdict", "low", "high", "n")] == [before[name] for name in ("verdict", "low", "high", "n")]
    assert "35 seeds were added by hand after the last complete look" in after["reason"]
    assert "look 2 of 2 (5 seeds), the last; 35 seeds belong to no look" in papertrial("status", "s").out
    assert papertrial(*plain, "--local", "--study", "t", "--set", "effect=0.8", "--seeds", "40").code == 0
    assert _verdicts(study.with_name("t"))["C1"]["verdict"] == "reproduced", "forty seeds that were planned at once do decide"


def test_other_seeds_are_looked_at_in_the_order_of_the_plan(papertrial: Command, tmp_path: Path) -> None:
    study, words = tmp_path / "results" / "s", ["--local", "--study", "s", "--set", "effect=2"]
    assert papertrial(*RUN, *words, "--first-seed", "50").code == 0
    store = StudyStore(str(study.parent), "s")
    seeds, before = {trial.seed for trial in load_plan(store)}, _verdicts(study)["C1"]
    assert seeds == set(range(50, 50 + int(before["n"])))
    assert before["verdict"] == "reproduced"
    assert papertrial(*[word for word in RUN if word != "--until-decided"], *words, "--seeds", "1").code == 0
    after = _verdicts(study)["C1"]
    assert [after[name] for name in ("verdict", "low", "high", "n")] == [before[name] for name in ("verdict", "low", "high", "n")]
    assert "1 seed was added by hand" in after["reason"]


def test_looks_are_fixed_before_the_first_seed(papertrial: Command, tmp_path: Path) -> None:
    plain = [word for word in RUN if word != "--until-decided"]
    assert papertrial(*plain, "--local", "--study", "s").code == 0
    said = papertrial(*RUN, "--local", "--study", "s")
    assert said.code == 2
    assert "study s has records already, and looks are fixed before the first seed" in said.err
    assert papertrial(*RUN, "--local", "--cap", "8").code == 0
    (study,) = (path.name for path in (tmp_path / "results").glob("*-until-decided"))
    assert papertrial(*RUN, "--local").code == 0, "the plan says what the cap is"
    said = papertrial(*RUN, "--local", "--cap", "12")
    assert said.code == 2
    assert "looks at 3, 5, 8 seeds: its cap was fixed before the first one" in said.err
    said = papertrial(*RUN, "--local", "--study", study, "--first-seed", "50")
    assert said.code == 2
    assert f"study {study} looks at seeds from 0 on" in said.err


def test_a_plan_before_the_first_look_has_no_seeds_beyond_it(papertrial: Command) -> None:
    said = papertrial("plan", "drawing", "--scale", "smoke", "--until-decided")
    assert "no look yet, the first at 3 seeds\n" in said.out


def test_claims_that_no_trial_tests_are_said_not_to_be_waited_for(papertrial: Command) -> None:
    said = papertrial(*RUN, "--local", "--method", "new")
    assert "(3 seeds), the next at 5; not tested by these trials, and not waited for: C1" in said.out


def test_claims_that_lost_seeds_are_not_waited_for(papertrial: Command, tmp_path: Path, executions: Callable[[], list[str]]) -> None:
    said = papertrial(*RUN, "--local", "--set", "lost=3", "--set", "effect=0")
    assert said.code == 1
    assert "more seeds cannot decide C1, which lost seeds" in said.out
    assert len(executions()) == 10
    papertrial(*RUN, "--local", "--set", "lost=3", "--set", "effect=0", "--retry")
    assert len(executions()) == 12, "the two that failed, once"


def test_what_failed_is_run_again_once_and_not_at_every_look(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.commands import run

    real, asked = run._run_trials, list[bool]()

    def run_trials(*of: Any) -> RunResult:
        asked.append(of[-2])
        return real(*of)

    monkeypatch.setattr(run, "_run_trials", run_trials)
    assert papertrial(*RUN, "--local", "--retry", "--cap", "8", "--set", "effect=0").code == 0
    assert asked == [True, False, False]


def test_the_budget_ends_the_trials_and_the_next_look(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    said = papertrial(*RUN, "--local", "--budget", "0.000001s", "--study", "s")
    assert said.code == 1
    assert "the budget is spent in the middle of a look" in said.out
    monkeypatch.setattr(Stop, "seconds_left", 1e-9)
    said = papertrial(*RUN, "--local", "--budget", "2h", "--study", "s")
    assert said.code == 0
    assert "which passes the budget: it ends here" in said.out
    assert "look 1 of 5 (3 seeds)" in papertrial("status", "s").out


def test_a_run_that_was_killed_goes_on_in_the_look_it_was_in(papertrial: Command, tmp_path: Path) -> None:
    words = [*RUN[:-2], "--local", "--cap", "8", "--set", "pause=0.05", "--set", "effect=0", "--study"]
    run = Process(tmp_path, *words, "killed")
    run.until_executed(8)
    run.process.kill()
    run.end()
    run = Process(tmp_path, *words, "killed")
    assert run.end() == 0, run.out
    assert "look 1 of 3" not in run.out, "what was decided on before the kill is not judged again"
    assert "look 2 of 3 (5 seeds), the next at 8; open: C1" in run.out
    counts = Counter(run.executed())
    assert len(counts) == 16
    assert counts.total() <= 17, "only what was in flight runs again"
    assert papertrial(*words, "whole", "--store", str(run.store), "--tracking-uri", "none").code == 0
    assert _verdicts(run.store / "killed") == _verdicts(run.store / "whole")


def test_a_signal_in_a_later_look_stops_the_run_as_in_the_first(papertrial: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()
    monkeypatch.setattr("harness.stopping._tell", told.append)
    said = papertrial(*RUN, "--local", "--set", "stopped=4", "--set", "effect=0", "--study", "s")
    assert said.code == 1
    assert "stopped with 2 trials to go" in said.out
    assert told[0].startswith("SIGTERM: stopping; what was recorded is safe in")
    assert "look 1 of 5 (3 seeds), the next at 5" in papertrial("status", "s").out


def test_a_signal_between_two_looks_stops_the_next_one() -> None:
    stop = Stop()
    with stop.installed():
        stop.over()
        signal.raise_signal(signal.SIGTERM)
        stop.check()
        stop.begin()
        with pytest.raises(Stopped):
            stop.check()


def test_looks_run_on_ray_as_they_do_here(papertrial: Command, tmp_path: Path, ray_here: None) -> None:
    assert papertrial(*RUN, "--study", "ray").code == 0
    assert papertrial(*RUN, "--study", "here", "--local").code == 0
    found = [_verdicts(tmp_path / "results" / name) for name in ("ray", "here")]
    assert found[0] == found[1]


def test_decide_reads_each_look_from_its_own_seeds(tmp_path: Path) -> None:
    from harness.evidence import Evidence

    study = _study(tmp_path, EARLY.__getitem__, 8)
    evidence = Evidence(study, study.tasks["toy"], "laptop")
    gap = paired("left", "right", experiment_of()["loss"])
    assert [len(at.per_seed(gap).values) for at in evidence.looks] == [3, 5, 8]
    assert [len(at.records) for at in evidence.looks] == [6, 10, 16], "what rounding hides is read from them too"
    assert [at.confidence for at in evidence.looks] == [0.99, 0.985, 0.98]
    assert evidence.confidence == 0.95, "of leaderboards, which decide nothing"
    assert len(evidence.per_seed(Of("left", In("train", Mean("loss")))).values) == 8
    assert decide(evidence)[0].n == 3
