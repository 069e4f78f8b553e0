"""`papertrial run`: the plan minus what is done, then tables, verdicts, report and MLflow."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from harness import engine, ledger, lock, memory, provenance
from harness.causes import endings, traced
from harness.commands.publish import check, publish
from harness.commands.selection import Selection, select
from harness.commands.until_decided import until_decided
from harness.console import console as make_console
from harness.console import warn
from harness.durations import seconds
from harness.engine import RunResult, left_to_do
from harness.errors import ResourceError, StoreError
from harness.frames import write_trials
from harness.judgement import judge
from harness.ledger import LedgerContents
from harness.masking import again
from harness.plan import TrialSpec
from harness.plans import Plan, save_plan
from harness.progress import RunProgress
from harness.record import Record
from harness.stopping import Stop
from harness.store import StudyStore
from harness.study import load, save_env
from harness.task import Hardware

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""A variable that Ray sets for the command of a submitted job."""


@dataclass
class _Known:
    """What a command has read of its study, for what comes after: each thing is read once."""

    plan: Plan | None = None
    contents: LedgerContents | None = None
    """Of the ledger, where no trial was recorded since it was read."""


def run(options: argparse.Namespace) -> int:
    """Run, write, tell. The exit code is 0 only when every trial of the command ended ok."""
    check(options)
    selection = select(options)
    store, console = selection.store, make_console()
    budget_s = seconds(options.budget, "--budget") if options.budget is not None else None
    for data in {trial.data.fingerprint: trial.data for trial in selection.trials if trial.data}.values():
        for note in data.notes:
            warn(console, f"{data.source}: {note}")
    machine = None if _on_a_cluster(options) else memory.here(selection.trials)
    if machine:
        _check_cards(selection, machine, options)
    _check_memory(selection, machine, options)
    store.check_writable()
    stop = Stop(
        f"stopping; what was recorded is safe in {store.uri}, and this goes on from it: {_go_on(options.words)}",
        f"left before the tables were written; `papertrial report {store.uri}` writes them",
        budget_s=budget_s,
    )
    known = _Known()
    with lock.held(store, partial(warn, console)), stop.installed():

        def run_trials(trials: Sequence[TrialSpec], retry: bool) -> RunResult:
            return _run_trials(selection, trials, options, console, stop, retry, known)

        if selection.looks:
            trials, result = until_decided(selection, options, console, stop, run_trials)
        else:
            trials, result = selection.trials, run_trials(selection.trials, options.retry)
        kept = _finish(store, trials, options, console, known)
    return _tell(result, kept, trials, store, console, options.words)


def _check_cards(selection: Selection, here: Hardware, options: argparse.Namespace) -> None:
    """ResourceError, before Ray takes its time to start, where a trial that is left to do asks for more GPUs than this machine has."""
    if max((trial.resources.gpus for trial in selection.trials), default=0) <= here.gpus:
        return
    left = left_to_do(selection.store, selection.trials, ledger.read(selection.store).records, retry=options.retry)
    if beyond := [trial for trial in left if trial.resources.gpus > here.gpus]:
        raise ResourceError(
            f"a trial asks for {beyond[0].resources}; this machine has {here.cpus} CPUs + {here.gpus} GPUs. Another --scale may do with "
            "it; --address or `ray job submit` goes to a cluster"
        )


def _check_memory(selection: Selection, machine: Hardware | None, options: argparse.Namespace) -> None:
    """ResourceError where a trial that is left to do does not fit. The ledger is read only where one of the plan does not."""
    if memory.too_large(selection.trials, selection.tasks, machine, alone=options.local):
        left = left_to_do(selection.store, selection.trials, ledger.read(selection.store).records, retry=options.retry)
        memory.check(left, selection.tasks, machine, alone=options.local)


def _on_a_cluster(options: argparse.Namespace) -> bool:
    """Whether trials run on machines that this one cannot look into: then the scale's own hardware is what they must fit."""
    return not options.local and bool(options.address or os.environ.get("RAY_ADDRESS"))


def _run_trials(
    selection: Selection, trials: Sequence[TrialSpec], options: argparse.Namespace, console: Console, stop: Stop, retry: bool, known: _Known
) -> RunResult:
    """Put trials of the selection into the study's plan, and run what is left of them. What it read is `known` from then on."""
    say, store = partial(warn, console), selection.store
    known.contents = None
    contents = ledger.read(store)
    if contents.absent:
        raise StoreError(
            f"{store.uri} has tables of records and no ledger, as a study that was published: a run would write its own tables over them. "
            "Name another study with --study"
        )
    known.plan = save_plan(store, trials, whole=selection.whole, chosen=selection.overrides.values, looks=selection.looks, say=say)
    save_env(store, provenance.environment(options.words))
    for damage in contents.damages:
        say(damage)
    left = left_to_do(store, trials, contents.records, retry=retry)
    for trial in left:
        if trial.id in contents.records and contents.records[trial.id].status == "ok":
            say(f"what trial {trial.id} ({trial.method}, seed {trial.seed}) kept is gone or damaged, and others need it: it runs again")
    console.print(f"study {store.name}: {len(trials)} trials, {len(trials) - len(left)} recorded before")
    if not left and (bad := endings(contents.records[trial.id].status for trial in trials)):
        say(f"nothing is left to run: {bad} before, and only --retry runs these again: {_retry(options.words)}")
    waiting = {trial.id for trial in left}
    for words in provenance.of_other_sources(contents.records[trial.id] for trial in trials if trial.id not in waiting):
        say(words)

    def observe(record: Record) -> None:
        progress.observe(record)
        before = contents.records.get(record.trial_id)
        if before and before.status == "ok" and record.status != "ok":
            say(f"trial {record.trial_id} ({record.method}, seed {record.seed}) ended {record.status} this time: its ok record stays")
        for note in record.notes.splitlines():
            say(f"trial {record.trial_id} ({record.method}, seed {record.seed}) {note}")

    with RunProgress(trials, console, contents.records.values()) as progress:
        result = engine.run_trials(
            store,
            trials,
            local=options.local,
            address=options.address,
            retry=retry,
            packs=not options.no_packing,
            mixed_hardware=options.mixed_hardware,
            before=contents,
            stop=stop,
            observe=observe,
            announce=progress.begin,
            say=say,
        )
    known.contents = None if result.executed else contents
    return result


def _finish(
    store: StudyStore, trials: Sequence[TrialSpec], options: argparse.Namespace, console: Console, known: _Known
) -> Mapping[str, Record]:
    """Everything downstream of the ledger, from what is in the store: the same for a whole run and a stopped one. Returns its records."""
    from harness import report

    contents = known.contents or ledger.read(store)
    write_trials(store, contents.records.values())
    _tell_why([contents.records[trial.id] for trial in trials if trial.id in contents.records], len(trials), store, console)
    judgement = judge(load(store, contents, known.plan))
    texts = report.files(judgement)
    files = report.write(store, texts)
    report.terminal(judgement, console)
    console.print(f"{'report':<15} {files['report.html']}", soft_wrap=True)
    for name in ("leaderboard.md", "verdicts.md"):
        console.print(f"{name:<15} {files[name]}", soft_wrap=True)
    publish(judgement, options.tracking_uri, texts, console)
    return contents.records


def _tell_why(found: Sequence[Record], trials: int, store: StudyStore, console: Console) -> None:
    """How many did not end ok, and what most of these said: before the tables, which hold little then."""
    if bad := [(record.status, record.error) for record in found if record.status != "ok"]:
        warn(console, traced(bad, trials, store.words))


def _tell(
    result: RunResult, kept: Mapping[str, Record], trials: Sequence[TrialSpec], store: StudyStore, console: Console, words: Sequence[str]
) -> int:
    """Say how the run ended, and count what the store holds: what was measured and is not there is not done."""
    found = [kept[trial.id] for trial in trials if trial.id in kept]
    states = Counter(record.status for record in found)
    missing = len(trials) - len(found)
    troubles = endings(record.status for record in found)
    if result.stopped:
        console.print(
            f"stopped with {missing} trials to go; everything measured is safe in {store.uri}; go on with: {_go_on(words)}", soft_wrap=True
        )
    elif troubles:
        warn(console, f"{troubles} of {len(trials)} trials; only --retry runs them again: {_retry(words)}")
    if missing and not result.stopped:
        lost = f"{missing} of {len(trials)} trials have no record in {store.uri}: their nodes or their records were lost"
        console.print(f"{lost}; go on with: {_go_on(words)}", style="yellow", soft_wrap=True)
    return 0 if states["ok"] == len(trials) else 1


def _go_on(words: Sequence[str]) -> str:
    """The command again; in a submitted job the submission, of which only its own command is known here."""
    return f"the same `ray job submit`, of {again(words)}" if _JOB in os.environ else again(words)


def _retry(words: Sequence[str]) -> str:
    return again(words if "--retry" in words else [*words, "--retry"])
