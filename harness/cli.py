"""The command line: parsing and exit codes. What a verb does is in `harness.commands`, imported when it is used.

Exit codes: 0 all trials ok; 1 some trials did not end ok, or the run was stopped; 2 usage; 3 a gate fell short;
4 a gate cannot judge.
"""

from __future__ import annotations

import argparse
import atexit
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from harness.errors import PapertrialError, UsageError, unknown
from harness.lazy import load
from harness.masking import learn
from harness.options import add_data, add_run, add_selection, add_store, add_tracking
from harness.shown import failure, plain, sentence
from harness.stopping import Stopped

NEW_KINDS = ("custom", "supervised", "theorem", "small-models")
DESCRIPTION = "Puts the claims of machine-learning papers on trial: every claim re-run, decided with an interval."


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the nearest verb when the verb is the mistake."""

    def error(self, message: str) -> NoReturn:
        print(f"papertrial: {sentence(message)} (see `{self.prog} --help`)", file=sys.stderr)
        raise SystemExit(2)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            label = "command" if action.dest == "verb" else str(action.dest).replace("_", "-")
            raise unknown(label, str(value), [str(choice) for choice in action.choices])


class _Version(argparse.Action):
    """Reads the version of the installed package when it is asked for: that takes longer than all of the grammar."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"papertrial {version('papertrial')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The whole grammar. A test freezes it: options are a promise to people's scripts."""
    top = _Parser(prog="papertrial", description=DESCRIPTION)
    top.add_argument("--version", action=_Version, help="the version, and stop")
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True, parser_class=_Parser)

    def verb(name: str, module: str, summary: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=f"harness.commands.{module}:run")
        return added

    listed = verb("list", "listing", "papers, tasks, claims, best verdict so far")
    listed.add_argument("--field", help="only this field, such as llm")
    listed.add_argument("--markdown", metavar="FILE", help="write the papers with their verdicts and what is known in short to this file")
    _json(listed)
    add_store(listed)

    studies = verb("ls", "ls", "studies of a store and those committed beside it: how far they are, what they decided")
    studies.add_argument("folder", nargs="?", metavar="FOLDER", help="a store, or a study: the same as --store")
    _json(studies)
    add_store(studies)

    shown = verb("show", "show", "methods, parameters with units, scales with cost, claims with sources")
    shown.add_argument("task", metavar="TASK")
    of_which = "at each scale of the study that tests most claims, of these has most seeds, of these is the newest"
    shown.add_argument("--claim", help=f"only this claim, with its verdicts ({of_which}) and the command that runs it again")
    _json(shown)
    add_store(shown)

    planned = verb("plan", "plan", "what would run, how many trials, what is already done, estimated cost")
    add_selection(planned)
    _json(planned)

    add_run(verb("run", "run", "run what is left of a plan, then write tables, verdicts, report"))

    status = verb("status", "status", "done, failed, running, time left")
    status.add_argument("study", metavar="STUDY")
    _json(status)
    add_store(status)

    report = verb("report", "report", "leaderboard, verdicts and HTML of a study")
    report.add_argument("study", metavar="STUDY")
    report.add_argument("--open", action="store_true", help="open the HTML report in a browser")
    report.add_argument("--full", action="store_true", help="every column of the leaderboards, not only what ranks and what claims read")
    report.add_argument("--tables", action="store_true", help="write leaderboard and verdicts again, also where the study has them")
    add_store(report)

    judged = verb("verdicts", "verdicts", "what the records decide, claim by claim; with --claim its seeds and trials")
    judged.add_argument("study", metavar="STUDY")
    judged.add_argument("--claim", action="append", default=[], help="only this claim, whole (repeat for several)")
    _json(judged)
    add_store(judged)

    trials = verb("trials", "trials", "the trials of a study with what they measured")
    trials.add_argument("study", metavar="STUDY")
    trials.add_argument("--claim", action="append", default=[], help="only the trials behind this claim (repeat for several)")
    trials.add_argument("--failed", action="store_true", help="only those that left a record and did not end ok")
    _json(trials)
    add_store(trials)

    site = verb("site", "site", "static pages over many studies: papers, claims to filter, methods, one flat table")
    site.add_argument("stores", nargs="+", metavar="STORE", help="a folder of studies, or a study")
    site.add_argument("--out", required=True, metavar="DIR", help="the folder to write")
    site.add_argument("--reports", action="store_true", help="draw the report of every study too, which takes seconds each")

    compared = verb("compare", "compare", "two studies, seed by seed: what became better or worse, and which verdicts changed")
    compared.add_argument("before", metavar="STUDY", help="the one to compare with")
    compared.add_argument("after", metavar="STUDY", help="the new one")
    compared.add_argument(
        "--gate",
        action="store_true",
        help="exit with 3 when a number that ranks methods is worse beyond chance, a method loses seeds or a claim falls, and with 4 "
        "when that cannot be judged: something is missing, or more differs than was allowed",
    )
    compared.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="WORD[,WORD...]",
        help="differences that are meant: data, version, source, device, libraries, parameters, seeds (an independent replicate)",
    )
    compared.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="[STATISTIC=]LOSS[,...]",
        help="pass only when a loss as large as this is excluded (non-inferiority): of all numbers that rank methods, or of one statistic",
    )
    compared.add_argument("--strict", action="store_true", help="a claim that falls from reproduced to inconclusive stops the gate too")
    compared.add_argument("--csv", metavar="FILE", help="write every difference")
    add_store(compared)

    _fit(verb("fit", "fit", "fit a scaling law to a CSV, a Parquet file or a study"))

    published = verb("publish", "publish", "write a study to MLflow; publishing twice changes nothing")
    published.add_argument("study", metavar="STUDY")
    add_store(published)
    add_tracking(published)

    data = verb("data", "data", "what data is here, what it is, how to get the rest")
    data.add_argument("action", choices=["list", "prepare", "push"], help="push: into the store, from which nodes of a cluster fetch it")
    data.add_argument("names", nargs="*", metavar="NAME", help="data sets; prepare takes all when none is named")
    data.add_argument("--force", action="store_true", help="prepare or push again even if a copy is there")
    add_data(data)
    add_store(data)

    new = verb("new", "new", "a working task skeleton with its test")
    new.add_argument("name", metavar="FIELD/PAPER")
    new.add_argument("--kind", choices=NEW_KINDS, default=NEW_KINDS[0], help="what the paper does: the skeleton is built from its blocks")

    tested = verb("test", "test", "ask of a task what holds of every task: its declaration, its metrics, repeats, seeds, checkpoints")
    tested.add_argument("task", metavar="TASK")
    tested.add_argument("--data", action="append", default=[], metavar="NAME[:KIND]=PATH", help="your own files for a data set")

    doctor = verb("doctor", "doctor", "what this machine can run: GPUs, Ray, Triton, data, versions")
    doctor.add_argument("--job", action="store_true", help="what `ray job submit --working-dir .` would send from here, and whether it may")
    return top


def _fit(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "law", metavar="LAW", help="power-law, power-law-floor, chinchilla, precision, ...; `help` lists them with their columns"
    )
    verb.add_argument(
        "source", metavar="FILE|STUDY", nargs="?", help="CSV, TSV, JSONL or Parquet, also gzipped, or a study by name, folder or URI"
    )
    for name in ("x", "x1", "x2", "n", "d", "u", "un", "flops", "m", "s1", "s2", "active", "experts", "loss", "y"):
        verb.add_argument(f"--{name}", metavar="COLUMN", help=f"the table's column for the law's {name}, or a formula: 'C/(6*N)'")
    verb.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="K=V[,V...]",
        help="only rows whose K is one of V, in quotes where it holds commas: 'm=\"a,b\",c' (repeatable)",
    )
    verb.add_argument("--group", default="", metavar="COLUMN[,COLUMN...]", help="columns whose values make the groups")
    verb.add_argument("--reference", metavar="[COLUMN=]VALUE", help="the group in which efficiencies are 1")
    verb.add_argument("--share", metavar="NAME[,NAME...]", help="parameters that have one value in all groups")
    verb.add_argument("--separate", action="store_true", help="share nothing between groups")
    verb.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="keep a parameter at a value: E=1.69 (repeatable)")
    verb.add_argument("--tie", action="append", default=[], metavar="NAME=OTHER", help="one exponent for two: beta=alpha (repeatable)")
    verb.add_argument(
        "--prior", action="append", default=[], metavar="NAME=V+-S", help="what is known of it: alpha=0.34+-0.05 (repeatable)"
    )
    verb.add_argument("--budget", default="", metavar="C[,C...]", help="report the best model and data at these 6 n d FLOPs")
    verb.add_argument("--isoflop", action="store_true", help="show N* of the isoFLOP curves beside the law's (budgets: --flops, or 6 n d)")
    verb.add_argument(
        "--through", metavar="LAW", help="sigmoid, error-of-loss: --predict from the loss that this law gives, such as chinchilla"
    )
    verb.add_argument("--predict", action="append", default=[], metavar="n=..,d=..", help="report the law there, with bands (repeatable)")
    verb.add_argument("--huber", metavar="DELTA", help="Huber's delta in log y, or `none` for least squares (default: the law's)")
    verb.add_argument("--weights", metavar="COLUMN", help="weight of each row: 4 stands for an error half as large")
    verb.add_argument("--errors", metavar="COLUMN", help="standard error of y in each row")
    verb.add_argument("--censored", metavar="COLUMN", help="where y is only a bound: > (the truth is above), < (below), otherwise empty")
    verb.add_argument("--starts", choices=["data", "published"], default="data", help="add the starting grid of the law's paper")
    verb.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples; 0 gives no intervals (default: 1000)")
    verb.add_argument("--cluster", metavar="COLUMN", help="resample all rows of one value together: the checkpoints of a run, or a seed")
    verb.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    verb.add_argument("--better", choices=["higher", "lower"], default="higher", help="pareto: which y is better")
    verb.add_argument("--compare", action="store_true", help="score nested laws and separate fits too")
    verb.add_argument(
        "--holdout",
        metavar="SHARE|COLUMN>=NUMBER|COLUMN=VALUE",
        help="compare: the rows that each law predicts from the others (default: 0.2, the fifth of largest compute)",
    )
    verb.add_argument("--skip-empty", action="store_true", help="leave out rows with an empty cell instead of refusing them")
    verb.add_argument("--allow-gap", action="store_true", help="accept a column whose values lie 10,000-fold apart")
    verb.add_argument("--json", metavar="FILE", help="write everything that was found")
    verb.add_argument("--markdown", metavar="FILE", help="write the tables")
    verb.add_argument("--plots", metavar="DIR", help="write figures: fit with extrapolation, residuals")
    verb.add_argument("--tracking-uri", metavar="U", help="write the fit to MLflow there")
    add_store(verb)


def _json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print it as JSON, for scripts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    learn(*words, *(word.partition("=")[2] for word in words))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        if any("\0" in word for word in words):
            raise UsageError("an argument holds a NUL character")
        options = parser().parse_args(words)
        options.words = words
        return int(load(options.run)(options))
    except PapertrialError as error:
        print(f"papertrial: {plain(' '.join(str(error).split()))}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, Stopped):
        print("papertrial: stopped", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        print(f"papertrial: {failure(error)}", file=sys.stderr)
        return 2


def script() -> NoReturn:
    """The command as a process, which ends when the command has.

    Not by the interpreter's own way out: that waits for threads that a trial left running, and breaks in the native code of a Ray that
    was stopped while its workers started.
    """
    code = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
