"""From a number to its trials, and back: what a claim reads is what runs again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.behind import chosen, trials_of
from harness.commands.trials import _Listed
from harness.plan import Overrides, TrialSpec, expand, placeholders
from harness.task import Grid, Scale, param
from tests.harness.conftest import Command
from tests.harness.fabricated import Outcome, experiment_of, study_of, task_of


def planned(task: str, scale: str) -> list[TrialSpec]:
    own = registry.task(task)
    return expand(own, scale, Overrides(), placeholders(own, scale))


@pytest.mark.parametrize(("claim", "methods"), [("C1-relu", {"crrelu", "relu"}), ("C3-tanh", {"gaussian-cdf", "tanh"})])
def test_a_claim_reads_its_methods_at_every_seed_and_rate(claim: str, methods: set[str]) -> None:
    task, trials = registry.task("crrelu"), planned("crrelu", "laptop")
    found = trials_of(task.claim(claim), trials)
    assert {trial.method for trial in found} == methods
    assert {trial.seed for trial in found} == {trial.seed for trial in trials}
    experiment = found[0].experiment
    assert [trial.id for trial in found] == [t.id for t in trials if t.method in methods and t.experiment == experiment]


def test_what_a_chosen_trial_needs_comes_with_it() -> None:
    task, trials = registry.task("chain"), planned("chain", "smoke")
    needing = next(trial for trial in trials if trial.requires)
    found = chosen([task], "smoke", trials, [], [needing.id])
    assert {trial.id for trial in found} >= {needing.id, needing.requires}
    assert all(not trial.requires or trial.requires in {other.id for other in found} for trial in found)
    assert len(found) < len(trials)


def test_a_claim_run_again_alone_gives_its_number_again(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local").code == 0
    whole = {row["claim"]: row for row in json.loads(papertrial("verdicts", "misbehaving-smoke", "--json").out)}
    assert {name: row["group"] for name, row in whole.items()} == {own.id: own.group for own in registry.task("misbehaving").claims}
    claim = whole["C1-shift"]
    words = claim["again"].split()
    assert words[:2] == ["papertrial", "run"]
    assert papertrial(*words[1:], "--local", "--tracking-uri", "none").code == 0
    study = "misbehaving-smoke-C1-shift"
    (alone,) = json.loads(papertrial("verdicts", study, "--claim", "C1-shift", "--json").out)
    for name in ("verdict", "estimate", "low", "high", "seeds", "trials"):
        assert alone[name] == claim[name]
    assert sum(claim["seeds"].values()) / len(claim["seeds"]) == pytest.approx(claim["estimate"])
    listed = json.loads(papertrial("trials", study, "--json").out)
    assert [row["trial"] for row in listed] == claim["trials"]
    assert {row["status"] for row in listed} == {"ok"}


def test_one_trial_runs_again_and_measures_the_same(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local", "--set", "behaviour=good,raise", "--study", "s").code == 1
    rows = json.loads(papertrial("trials", "s", "--json").out)
    good = next(row for row in rows if row["status"] == "ok")
    failed = json.loads(papertrial("trials", "s", "--failed", "--json").out)
    assert [row["trial"] for row in failed] == [row["trial"] for row in rows if row["status"] == "failed"]
    assert failed
    assert all("Traceback" in row["error"] for row in failed)
    assert smoke("--local", "--trial", good["trial"][:8], "--study", "one").code == 0
    (again,) = json.loads(papertrial("trials", "one", "--json").out)
    assert again["metrics"] == good["metrics"]
    assert Path("results/one").is_dir()


def test_what_a_claim_stands_on_runs_with_it() -> None:
    task, trials = registry.task("grokking-stablemax"), planned("grokking-stablemax", "laptop")
    rolled, floor = (task.claim(name) for name in ("rolled", "floor"))
    found = chosen([task], "laptop", trials, ["rolled"], [])
    own = {trial.id for trial in trials_of(rolled, trials)}
    assert not {trial.id for trial in trials_of(floor, trials)} <= own, "its control reads others"
    assert {trial.id for claim in (rolled, floor) for trial in trials_of(claim, trials)} <= {trial.id for trial in found}


def test_what_is_not_recorded_yet_waits(papertrial: Command, smoke: Command) -> None:
    assert smoke("--local").code == 0
    ledger = Path("results/misbehaving-smoke/ledger.jsonl")
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:1]))
    states = [row["status"] for row in json.loads(papertrial("trials", "misbehaving-smoke", "--json").out)]
    assert states.count("ok") == 1
    assert set(states) == {"ok", "waiting"}
    assert "waiting" in papertrial("trials", "misbehaving-smoke").out


def test_a_claim_of_another_scale_or_of_no_task_is_a_sentence(papertrial: Command) -> None:
    said = papertrial("plan", "grokking-stablemax", "--scale", "laptop", "--claim", "C2-stablemax")
    assert said.code == 2
    assert "is not tested at scale laptop" in said.err


def test_trials_are_listed_with_what_varies_among_them_and_what_they_measured(tmp_path: Path) -> None:
    def left(trial: TrialSpec) -> Outcome:
        if trial.seed == 0:
            return {"late": 3.0} if trial.params["width"] == 16 else None
        return "oom" if trial.seed == 2 else {"loss": 0.5, "late": 1.0}

    task = task_of(grids=lambda train: [Grid(train, axes={"width": (8, 16)})], seeds=3)
    listed = _Listed(study := study_of(tmp_path, task, left), np.arange(12))
    assert (listed.varied(), listed.metrics()) == (["width"], ["late", "loss"]), "the first trial with a record has no loss"
    assert [listed.row(at)["status"] for at in range(12)] == [*["waiting"] * 2, *["ok"] * 6, *["oom"] * 4]
    assert [listed.row(at)["metrics"] for at in (0, 2, 4, 8)] == [{}, {"late": 3.0}, {"late": 1.0, "loss": 0.5}, {}]
    failed = listed.failed()
    assert [failed.row(at)["trial"] for at in range(4)] == [trial.id for trial in study.plan if trial.seed == 2]
    assert "made to end oom" in failed.row(0)["error"]
    assert _Listed(study, failed.places[:2]).varied() == [], "both have one width"


@dataclass(frozen=True)
class _Rate:
    rate: float = param(0.1, "what another experiment has")


def test_what_one_experiment_has_and_another_has_not_does_not_vary(tmp_path: Path) -> None:
    train, prune = experiment_of(), experiment_of(name="prune", params=_Rate)
    grids = [Grid(train, axes={"width": (8, 16)}), Grid(prune)]
    scales = {"laptop": Scale(description="minutes", grids=grids, seeds=2, time_limit_s=60.0)}
    study = study_of(tmp_path, task_of(experiments=[train, prune], scales=scales), lambda trial: {"loss": 1.0})
    assert _Listed(study, np.arange(len(study.plan))).varied() == ["width"]
