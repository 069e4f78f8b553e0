"""A cluster that exists on paper only, run by the real scheduler: utilisation, makespan, driver time, what runs again.

    python tests/benchmarks/simulated_cluster.py [--gpus 1000] [--trials 100000] [--ramp 10 100 1000 2000] [--markdown FILE]

Clock and workers are simulated and given to `harness.scheduler.Scheduler` as arguments. What Ray and the ledger take of the driver's time
is charged on the simulated clock: `ORDER_S` an order, `RECORD_S` a record.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("PAPERTRIAL_TASKS", str(Path(__file__).parents[1] / "throwaway"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from harness import ledger
from harness.engine import balanced
from harness.plan import TrialSpec
from harness.provenance import cpu_name
from harness.scheduler import Scheduler
from harness.task import Resources
from harness.worker import Context, Outcome, blank_record
from harness.workers import Cause, Died, Event, Finished, Node, Order, Ready
from tests.harness.fake_workers import Timeline

CONTEXT = Context(store_uri="nowhere", study="simulated", source_digests={"misbehaving": "0" * 64}, git_commit="0" * 40)
CARDS = 8
START_S = 5.0
ORDER_S, RECORD_S = 1.3e-3, 6e-5
"""What Ray, the ledger and the progress take of the driver, an order with its answer and a record: of runs with 10 ms and with no work."""
BACK_S = 300.0
"""A node that was taken back is replaced after so long."""
LATE_S = 600.0
SHAPES = (Resources(cpus=1, gpus=1), Resources(cpus=4, gpus=1))
SAMPLED = 20
"""One record in so many is encoded as the ledger does."""


@dataclass(frozen=True)
class Load:
    """Trials as seeds of cells. A cell's expected seconds are log-normal, clipped; a trial's own vary around them, log-normal too."""

    cells: int = 500
    median_s: float = 20.0
    sigma: float = 1.8
    least_s: float = 0.2
    most_s: float = 3600.0
    spread: float = 0.3
    dies: float = 0.001
    """Share of trials whose worker's process dies in their first run."""
    fails: float = 0.005
    oom: float = 0.001
    """Share that runs out of memory unless it runs alone."""
    preempted_h: float = 0.1
    """Preemptions of each node an hour."""
    late: float = 0.1
    """Share of nodes that join late."""


MIXED, SHORT = Load(), Load(median_s=0.02, sigma=0.5, least_s=0.002)


def plan(count: int, load: Load) -> list[TrialSpec]:
    """Seed by seed; the cells of a seed in no order of length."""
    draw = random.Random(1)
    cells = [min(load.most_s, max(load.least_s, draw.lognormvariate(math.log(load.median_s), load.sigma))) for _ in range(load.cells)]
    params = [{"cell": cell} for cell in range(load.cells)]
    return [
        TrialSpec(
            task="misbehaving",
            version=1,
            scale="smoke",
            experiment="behave",
            method="plain",
            params=params[cell],
            seed=seed,
            resources=SHAPES[cell % len(SHAPES)],
            expected_s=cells[cell],
            time_limit_s=2 * load.most_s,
        )
        for seed, cell in (divmod(place, load.cells) for place in range(count))
    ]


@dataclass
class Cluster(Timeline):
    """Nodes of eight GPUs. See `harness.workers.Workers`; `events` moves the clock on to what happens next."""

    gpus: int
    load: Load
    busy_s: float = 0.0
    had_s: float = 0.0
    """GPU-seconds that were there."""
    orders: int = 0
    preemptions: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    """How often each trial began."""
    own_s: float = 0.0
    """Processor time of the simulation itself."""

    def __post_init__(self) -> None:
        self._draw = random.Random(2)
        self._nodes: dict[str, Node] = {}
        self._on: dict[str, set[int]] = {}
        self._where: dict[int, str] = {}
        self._since = 0.0
        self._cards = 0
        nodes = [min(CARDS, self.gpus - first) for first in range(0, self.gpus, CARDS)]
        late = int(self.load.late * len(nodes))
        for place, cards in enumerate(nodes):
            if place < len(nodes) - late:
                self._join(cards)
            else:
                self.at(LATE_S, lambda cards=cards: self._join(cards))  # type: ignore[misc]

    def seconds(self, trial: TrialSpec) -> float:
        """What a trial takes, the same in every run."""
        return min(self.load.most_s, trial.expected_s * random.Random(trial.id).lognormvariate(0.0, self.load.spread))

    def fate(self, trial: TrialSpec) -> str:
        """What goes wrong with a trial by itself."""
        at = random.Random("fate" + trial.id).random()
        for what, share in (("dies", self.load.dies), ("failed", self.load.fails), ("oom", self.load.oom)):
            if (at := at - share) < 0:
                return what
        return "ok"

    def nodes(self) -> Sequence[Node]:
        """See `Workers`."""
        return list(self._nodes.values())

    def addable(self) -> Sequence[tuple[Node, int]]:
        """See `Workers`."""
        return ()

    def start(self, worker: int, shape: Resources, node: str | None) -> None:
        """See `Workers`."""
        assert node is not None
        if node not in self._nodes:
            self._where[worker] = node
            self._after(0.0, worker, lambda: Died(worker, Cause("node", "its node is gone")))
            return
        self._where[worker] = node
        self._on[node].add(worker)
        assert len(self._on[node]) <= self._nodes[node].resources["GPU"]
        self._after(START_S, worker, lambda: Ready(worker, node))

    def send(self, worker: int, order: Order) -> None:
        """See `Workers`."""
        began = time.process_time()
        self.orders += 1
        super().send(worker, order)
        self.own_s += time.process_time() - began

    def lives(self, worker: int) -> bool:
        """See `Timeline`."""
        return self._where.get(worker) in self._nodes

    def work(self, worker: int, order: Order, began: float) -> tuple[float, Callable[[], Event]]:
        """See `Timeline`."""
        outcomes: list[Outcome] = []
        spent = 0.0
        alone = len(self._on.get(self._where[worker], ())) == 1
        event: Callable[[], Event] = lambda: Finished(worker, outcomes)  # noqa: E731
        for trial in order.trials:
            first = trial.id not in self.runs
            self.runs[trial.id] = self.runs.get(trial.id, 0) + 1
            seconds, fate = self.seconds(trial), self.fate(trial)
            spent += seconds
            if fate == "dies" and first:
                event = lambda: Died(worker, Cause("process", "its process ended"))  # noqa: E731
                break
            status = "failed" if fate == "failed" else "oom" if fate == "oom" and first and not alone else "ok"
            told = {"metrics": {"value": spent} if status == "ok" else {}, "error": "" if status == "ok" else f"{status} by plan"}
            outcomes.append(Outcome(blank_record(trial, CONTEXT, status=status, seconds=seconds, **told), []))
            if spent > order.seconds:
                break

        def done() -> Event:
            self.busy_s += spent
            return event()

        return spent, done

    def kill(self, worker: int) -> None:
        """See `Workers`."""
        if node := self._where.pop(worker, None):
            self._on.get(node, set()).discard(worker)

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Workers`."""
        began = time.process_time()
        found = super().events(timeout_s)
        self.own_s += time.process_time() - began
        return found

    def close(self) -> None:
        """See `Workers`."""
        self._counted(0)

    def _counted(self, cards: int) -> None:
        self.had_s += self._cards * (self.now - self._since)
        self._since = self.now
        self._cards += cards

    def _join(self, cards: int) -> None:
        self._counted(cards)
        id = f"node-{next(self._count)}"
        self._nodes[id] = Node(id, id, {"CPU": 8.0 * cards, "GPU": float(cards)})
        self._on[id] = set()
        if self.load.preempted_h:
            self.at(self.now + self._draw.expovariate(self.load.preempted_h / 3600), lambda: self._preempt(id, cards))

    def _preempt(self, id: str, cards: int) -> None:
        self._counted(-cards)
        self.preemptions += 1
        del self._nodes[id]
        for worker in sorted(self._on.pop(id)):
            self._after(0.0, worker, lambda worker=worker: Died(worker, Cause("preempted", "its node was taken back")))  # type: ignore[misc]
        self.at(self.now + BACK_S, lambda: self._join(cards))

    def _after(self, seconds: float, worker: int, event: Callable[[], Event]) -> None:
        node = self._where[worker]
        lost = seconds > 0
        happens = lambda: event() if worker in self._where and (not lost or node in self._nodes) else None  # noqa: E731
        self.happens(self.now + seconds, happens)


@dataclass
class Result:
    """What a simulated run came to."""

    gpus: int
    trials: int
    makespan_s: float
    most_s: float
    """When 99 % of the trials have their records."""
    bound_s: float
    """The longest trial, or all work over all GPUs."""
    utilisation: float
    driver_s: float
    again: int
    batch: float
    ledger_bytes: float
    """A trial."""
    preemptions: int
    failed: list[str]
    recorded: list[str]


def simulate(trials: Sequence[TrialSpec], gpus: int, load: Load, *, longest_first: bool = True) -> Result:
    """Run trials on paper. Where it is not `longest_first`, in the order in which they are given."""
    cluster = Cluster(gpus, load, order_s=ORDER_S, record_s=RECORD_S)
    work = [cluster.seconds(trial) for trial in trials]
    began = time.process_time()
    given = balanced(trials, gpus) if longest_first else trials
    scheduler = Scheduler(CONTEXT, given, {}, cluster, cluster.clock)
    recorded, failed, size, sampled, most_s = [], [], 0, 0, 0.0
    for outcome in itertools.chain.from_iterable(scheduler.run()):
        record = outcome.record
        recorded.append(record.trial_id)
        most_s = most_s if len(recorded) > 0.99 * len(trials) else cluster.now
        if record.status != "ok":
            failed.append(record.trial_id)
        if len(recorded) % SAMPLED == 1:
            before = time.process_time()
            size, sampled = size + len(ledger.to_lines([record], len(recorded))), sampled + 1
            cluster.own_s += time.process_time() - before
    driver = time.process_time() - began - cluster.own_s
    return Result(
        gpus,
        len(trials),
        cluster.now,
        most_s,
        max(max(work), sum(work) / gpus),
        cluster.busy_s / cluster.had_s,
        driver,
        sum(cluster.runs.values()) - len(cluster.runs),
        sum(cluster.runs.values()) / cluster.orders,
        size / sampled,
        cluster.preemptions,
        failed,
        recorded,
    )


def memory(load: Load, count: int = 10_000) -> float:
    """Peak bytes a trial of plan and scheduler, on a hundred GPUs."""
    tracemalloc.start()
    simulate(plan(count, load), 100, load)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / count


HEAD = (
    "| GPUs | trials | order | utilisation | 99 % by s | makespan s | over bound | CPU s | ms a trial | batch | again | preemptions "
    "| ledger MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def row(found: Result, order: str) -> str:
    """A line of the table."""
    return (
        f"| {found.gpus:,} | {found.trials:,} | {order} | {found.utilisation:.1%} | {found.most_s:,.0f} | {found.makespan_s:,.0f} "
        f"| {found.makespan_s / found.bound_s:.2f} | {found.driver_s:.1f} "
        f"| {1e3 * found.driver_s / found.trials:.2f} | {found.batch:.1f} | {found.again:,} | {found.preemptions:,} "
        f"| {found.ledger_bytes * found.trials / 1e6:,.1f} |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--ramp", type=int, nargs="*", default=[10, 100, 1000, 2000])
    parser.add_argument("--ramp-trials", type=int, default=20_000)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    lines: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    where = f"{os.cpu_count()} cores of an {cpu_name()}, shared with others (load {os.getloadavg()[0]:.0f} as it was taken)"
    tell(f"{time.strftime('%Y-%m-%d')}, {where}.\n")
    tell(HEAD)
    trials = plan(given.trials, MIXED)
    for longest, order in ((True, "longest first"), (False, "arrival")):
        tell(row(checked(simulate(trials, given.gpus, MIXED, longest_first=longest)), order))
    for name, load in (("mixed", MIXED), ("short", SHORT)):
        for gpus in given.ramp:
            tell(row(checked(simulate(plan(given.ramp_trials, load), gpus, load)), f"{name}, longest first"))
    tell(f"\nPlan and scheduler take {memory(MIXED):,.0f} bytes a trial at their peak (10,000 mixed trials, 100 GPUs, tracemalloc).")
    if given.markdown:
        before, mark, _ = given.markdown.read_text().partition("<!-- measured -->\n")
        given.markdown.write_text(before + mark + "\n" + "\n".join(lines) + "\n")


def checked(found: Result) -> Result:
    """RuntimeError where a record is missing or double."""
    if len(found.recorded) != found.trials or len(set(found.recorded)) != found.trials:
        raise RuntimeError(f"{found.trials} trials, {len(found.recorded)} records, {len(set(found.recorded))} of them different")
    return found


if __name__ == "__main__":
    main()
