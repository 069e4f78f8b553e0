"""Nodes that come and go under a run: raylets of this machine, killed and started while a real driver uses them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ledger
from harness.store import StudyStore
from tests.harness.processes import Process

pytestmark = [pytest.mark.cluster, pytest.mark.lengthy]

MEMORY = 80 * 2**20
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""The head finds out within seconds that a node is gone."""


class Nodes:
    """A head without CPUs, and nodes of one CPU each."""

    def __init__(self, log: Path) -> None:
        from ray.cluster_utils import Cluster

        # What trials write their executions to is set by their node: here as for a driver of `Process`.
        self._log = log
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY, "_system_config": QUICK}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)

    def add(self, log: Path | None = None) -> Any:
        """A node that joins; `log` is where its trials write to."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY, env_vars={"THROWAWAY_LOG": str(log or self._log)})

    def lose(self, node: Any) -> None:
        """Kill a node with everything on it."""
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    running = Nodes(tmp_path / "executions.txt")
    yield running
    running.cluster.shutdown()


def run(nodes: Nodes, folder: Path, seeds: int, pause: str) -> Process:
    words = ["run", "misbehaving", "--scale", "smoke", "--study", "s", "--address", nodes.cluster.address]
    return Process(folder, *words, "--seeds", str(seeds), "--set", f"pause={pause}")


def test_nodes_die_at_the_start_and_in_the_middle_twice_and_others_join(nodes: Nodes, tmp_path: Path) -> None:
    stays, starts = nodes.add(), nodes.add()
    driver = run(nodes, tmp_path, 1, "2")
    driver.until("running 6 trials, 2 at a time")
    nodes.lose(starts)
    driver.until_executed(2)
    nodes.lose(stays)
    driver.until(f"({stays.node_id[:8]}) is gone")
    # Only nodes that join are left, and the trial that was lost goes first.
    joins = nodes.add()
    driver.until_executed(len(driver.executed()) + 1)
    nodes.lose(joins)
    driver.until(f"({joins.node_id[:8]}) is gone")
    nodes.add()
    assert driver.end() == 0, driver.out
    records = ledger.read(StudyStore(str(driver.store), "s")).records
    assert [record.status for record in records.values()] == ["ok"] * 6
    counts = Counter(driver.executed())
    assert counts.total() - 6 <= 3, "only what was in flight on a lost node runs again"
    assert max(record.attempts for record in records.values()) >= 3, "one trial has lost two nodes, and that is not its failure"


def test_a_node_on_which_trials_fail_for_its_own_reasons_is_left_out_by_name(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add()
    bad = nodes.add(log=tmp_path / "not here" / "log")
    driver = run(nodes, tmp_path, 4, "0.3")
    assert driver.end() == 0, driver.out
    assert f"({bad.node_id[:8]}) gets no more trials: trials of misbehaving that failed on it went well on others" in driver.out
    assert len(driver.executed()) == 24
