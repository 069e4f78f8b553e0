"""Bytes and requests that a trial costs on an object store: parts of a ledger against one that is uploaded whole at every sync.

    PYTHONPATH=. python tests/benchmarks/store_traffic.py [--trials 1000,10000] [--group 100]

Both sides write the same records, `--group` of them a sync, to moto's S3 server through a line that counts the bytes of requests. The
first side is the sink of a run with its curves, lease and ledger; the second uploads what a local ledger of the same records holds.
Read back, both hold every record. A last line runs a whole study of 1,000 trials through the command line and counts its requests.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

os.environ["PAPERTRIAL_TASKS"] = str(Path(__file__).parents[1] / "throwaway")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from harness import ledger, lock, registry
from harness.cli import main as papertrial
from harness.engine import run_trials
from harness.plan import Overrides, expand
from harness.sink import RemoteSink
from harness.store import StudyStore
from harness.worker import Outcome
from tests.object_store import Line, Server, served


def outcomes(count: int) -> list[Outcome]:
    """Records as trials leave them, each with a curve of 20 points."""
    trials = expand(registry.task("misbehaving"), "smoke", Overrides(seeds=-(-count // 6)), {})[:count]
    with tempfile.TemporaryDirectory() as folder:
        one = next(iter(run_trials(StudyStore(folder, "s"), trials[:1], local=True).records.values()))
    draw = random.Random(0)
    return [
        Outcome(
            replace(one, trial_id=trial.id, method=trial.method, params=trial.params, seed=trial.seed, metrics={"value": draw.gauss(0, 1)}),
            [{"step": float(step), "value": draw.gauss(0, 1)} for step in range(20)],
        )
        for trial in trials
    ]


def in_parts(store: StudyStore, groups: list[list[Outcome]]) -> None:
    """As a run does it, a sync a group."""
    with lock.held(store):
        sink = RemoteSink(store, lambda _record: None)
        for group in groups:
            sink._put(group)
        sink.close()


def whole(store: StudyStore, groups: list[list[Outcome]]) -> None:
    """The whole ledger at every sync, without curves."""
    text = b""
    for group in groups:
        text += ledger.to_lines([outcome.record for outcome in group], text.count(b"\n") + 1)
        store.write_bytes("ledger.jsonl", text)


def measured(server: Server, line: Line, side: str, count: int, group: int) -> None:
    """One side at one size, as a line of JSON."""
    every, prefix = outcomes(count), f"{side}-{count}"
    groups = [every[start : start + group] for start in range(0, count, group)]
    store = StudyStore(server.uri(prefix, line.port), "study")
    before, began = line.sent, time.perf_counter()
    (in_parts if side == "parts" else whole)(store, groups)
    seconds, sent, requests = time.perf_counter() - began, line.sent - before, server.requests(prefix)
    began = time.perf_counter()
    contents = ledger.read(store)
    assert len(contents.records) == count, "a record is lost"
    size = len(ledger.to_lines([outcome.record for outcome in every], 1))
    found = {
        "side": side,
        "trials": count,
        "syncs": len(groups),
        "bytes_a_trial": round(sent / count),
        "bytes_of_a_record": round(size / count),
        "requests_a_trial": round(len(requests) / count, 4),
        "ms_a_sync": round(1000 * seconds / len(groups), 1),
        "read_back_s": round(time.perf_counter() - began, 2),
    }
    print(json.dumps(found), flush=True)


def study(server: Server) -> None:
    """The requests of a whole run of 1,000 trials."""
    words = ["run", "misbehaving", "--scale", "smoke", "--seeds", "167", "--study", "s", "--local", "--tracking-uri", "none"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert papertrial([*words, "--store", server.uri("whole-run")]) == 0
    asked = server.requests("whole-run")
    kinds = Counter(f"{method} {name.partition('/')[2].partition('/')[0].partition('?')[0] or 'list'}" for method, name in asked)
    print(json.dumps({"side": "papertrial run, 1,002 trials", "requests": len(asked), **dict(kinds.most_common())}))


def main() -> None:
    """Every size on both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", default="1000,10000")
    parser.add_argument("--group", type=int, default=100)
    options = parser.parse_args()
    with served() as server:
        line = Line(server.port)
        for count in map(int, options.trials.split(",")):
            for side in ("parts", "whole"):
                measured(server, line, side, count, options.group)
        line.end()
        study(server)


if __name__ == "__main__":
    main()
