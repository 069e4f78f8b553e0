"""A trial of several ranks: a Ray actor for each, in one placement group, which look like one worker to the scheduler.

Every rank runs the trial's code with `trial.rank` and `trial.world_size` inside a process group of torch that lasts as long as the
trial. Rank 0 logs, keeps and returns; what the others return is dropped. The first rank that dies or fails ends the trial for all.

Ray Train is not used. It brings a controller, a result protocol and checkpoints of its own, once a run: here trials follow one another
on warm ranks, an end of any kind is one record, and a checkpoint is the trial's, on any number of ranks. What is left of it, a placement
group and a call of `init_process_group`, is less than the glue.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from harness.cluster import worker_environment
from harness.interfaces import interface_of
from harness.plan import TrialSpec
from harness.task import Resources
from harness.worker import Context, Outcome, Worker
from harness.workers import Order

MEET_S = 600.0
"""How long the ranks of a trial wait for one another at its start: their nodes may have to fetch its data."""
GRACE_S = 10.0
"""What the other ranks get to end by themselves once one has failed."""
_NODE_LABEL = "ray.io/node-id"
_AMOUNT = 1e4
"""Ray counts amounts in such parts."""


@dataclass(frozen=True)
class Reply:
    """What a rank makes of a trial. `fault` counts the ranks that failed before it, and it, from 1; 0 where it did not."""

    outcome: Outcome
    fault: int = 0


class Gang:
    """The ranks of one worker, on the nodes of these ids (joined by commas), or anywhere; calls are answered as one actor would."""

    def __init__(self, context: Context, shape: Resources, nodes: str | None) -> None:
        share, part = shape.of_rank, shape.of_node
        amounts = part.amounts() | ({"GPU": part.gpus} if part.gpus else {})
        where = [{_NODE_LABEL: node} for node in nodes.split(",")] if nodes else [dict(shape.labels)] * shape.nodes
        self._group = placement_group(
            [amounts] * shape.nodes,
            strategy="STRICT_PACK" if shape.nodes == 1 else "STRICT_SPREAD",
            bundle_label_selector=where if any(where) else None,
        )
        actor = ray.remote(_Rank)
        options = {
            "num_cpus": math.floor(share.cpus * _AMOUNT) / _AMOUNT,
            "num_gpus": share.gpus,
            "max_restarts": 0,
            "runtime_env": {"env_vars": worker_environment(share)},
        }
        self._ranks = [
            actor.options(
                **options,
                scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, rank // part.world_size),
            ).remote(dataclasses.replace(context, resources=share), rank, shape.world_size)
            for rank in range(shape.world_size)
        ]

    def nodes(self) -> Future[str]:
        """Ids of its nodes, joined by commas, once every rank has started."""
        return _all(
            [rank.node.remote() for rank in self._ranks], lambda found: ",".join(dict.fromkeys(found[rank] for rank in sorted(found)))
        )

    def execute(self, order: Order) -> Future[list[Outcome]]:
        """The outcome of the first of the trials."""
        spec = order.trials[0]
        address = self._ranks[0].open.remote()
        answers = [rank.run.remote(spec, order.packing.get(spec.id, ""), address) for rank in self._ranks]
        return _all(answers, partial(_agreed, world_size=len(answers)))

    def kill(self) -> None:
        """End every rank and give the room back."""
        for rank in self._ranks:
            ray.kill(rank)
        remove_placement_group(self._group)


def _agreed(replies: Mapping[int, Reply], world_size: int) -> list[Outcome]:
    """Of the rank that failed first; of rank 0 where none did. A gang with a rank that is still at it runs no other trial."""
    faults = [reply for reply in replies.values() if reply.fault]
    said = min(faults, key=lambda reply: reply.fault) if faults else replies[0]
    retire = len(replies) < world_size or any(reply.outcome.retire for reply in replies.values())
    energy = sum(reply.outcome.record.energy_j for reply in replies.values()) if len(replies) == world_size else math.nan
    return [dataclasses.replace(said.outcome, record=dataclasses.replace(said.outcome.record, energy_j=energy), retire=retire)]


def _all(references: Sequence[Any], join: Any) -> Future[Any]:
    """What `join` makes of all answers, by rank. The first error is that of all; a failed rank is waited with for `GRACE_S` at most."""
    answer: Future[Any] = Future()
    found: dict[int, Any] = {}
    lock = threading.Lock()

    def settle(error: BaseException | None = None) -> None:
        with lock:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(join(found))

    def came(rank: int, future: Future[Any]) -> None:
        try:
            said = future.result()
        except BaseException as error:
            settle(error)
            return
        with lock:
            found[rank] = said
            whole = len(found) == len(references)
        if whole:
            settle()
        elif isinstance(said, Reply) and said.fault:
            waiting = threading.Timer(GRACE_S, settle)
            waiting.daemon = True
            waiting.start()

    for rank, reference in enumerate(references):
        reference.future().add_done_callback(partial(came, rank))
    return answer


class _Rank(Worker):
    """One of the processes."""

    def __init__(self, context: Context, rank: int, world_size: int) -> None:
        super().__init__(context, rank=rank, world_size=world_size)
        self._store: Any = None
        self._address = ""
        self._fault = 0

    def node(self) -> str:
        """Id of its node."""
        return str(ray.get_runtime_context().get_node_id())

    def open(self) -> str:
        """A fresh meeting point, on a port that nothing uses; the last trial's is closed."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        host = ray.util.get_node_ip_address()
        self._store = TCPStore(host, 0, None, is_master=True, timeout=timedelta(seconds=MEET_S), wait_for_workers=False)
        return f"{host}:{self._store.port}"

    def run(self, spec: TrialSpec, packing: str, address: str) -> Reply:
        """This rank's part of a trial. One whose process group is left over retires."""
        import torch.distributed as dist

        self._address, self._fault = address, 0
        outcome = self.execute(spec, packing)
        if outcome.record.status not in ("ok", "diverged") and not self._fault:
            self._fault = self._world_size + 1
        return Reply(dataclasses.replace(outcome, retire=outcome.retire or dist.is_initialized()), self._fault)

    @contextmanager
    def _together(self, spec: TrialSpec, device: str) -> Iterator[None]:
        """The process group of one trial. A rank that fails says so before it leaves, so that those who miss it come after it."""
        import torch.distributed as dist

        host, _, port = self._address.rpartition(":")
        if self._rank:
            self._store = dist.TCPStore(  # type: ignore[attr-defined]
                host, int(port), None, is_master=False, timeout=timedelta(seconds=MEET_S)
            )
        store, backend = self._store, "nccl" if device == "cuda" else "gloo"
        with interface_of(ray.util.get_node_ip_address()):
            self._meet(store)
            dist.init_process_group(
                backend,
                store=dist.PrefixStore("group", store),  # type: ignore[attr-defined]
                rank=self._rank,
                world_size=self._world_size,
                timeout=timedelta(seconds=max(MEET_S, spec.time_limit_s)),
            )
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self._fault = int(store.add("faults", 1))
            # NCCL would wait for the others first. They end with the gang.
            if backend == "gloo":
                dist.destroy_process_group()
            raise
        dist.destroy_process_group()

    def _meet(self, store: Any) -> None:
        """Wait for the others, for `MEET_S` at most: a process group has only one limit, that of its longest collective."""
        store.set(f"here/{self._rank}", "")
        store.wait([f"here/{rank}" for rank in range(self._world_size)], timedelta(seconds=MEET_S))
