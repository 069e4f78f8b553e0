"""Which shape gets the next worker, and on which node: shapes run side by side, and none holds room that another waits for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from harness.nodes import Site, fit, room
from harness.pool import Actor, Pool
from harness.workers import Node

IDLE_S = 30.0
OVERDUE = 2.0
"""A shape without a worker takes room from one that works where it would still be at it so many times longer."""


class Placement:
    """`start(pool, node)` starts a worker, anywhere where the node is None, and `end` ends one. Several nodes are joined by commas."""

    def __init__(self, pools: Sequence[Pool], start: Callable[[Pool, str | None], Actor], end: Callable[[Actor], None]) -> None:
        self._pools, self._start, self._end = pools, start, end
        self._sites: dict[str, Site] = {}
        self._on: dict[Site, set[Actor]] = {}
        self._reserved: dict[Site, Pool] = {}
        self._out: set[str] = set()
        self._paused: set[str] = set()
        self.fed: set[str] = set()
        """Ids of the nodes that get work."""
        self._nodes: Sequence[Node] = ()
        self._addable: Sequence[tuple[Node, int]] = ()
        self.stale = True
        """Whether room or work has come since the last `grow`."""

    @property
    def quiet(self) -> bool:
        """Whether nothing waits but what has to run alone."""
        return not any(pool.queue or pool.elsewhere for pool in self._pools)

    @property
    def several(self) -> bool:
        """Whether there is more than one node."""
        return len(self._sites) > 1

    def name(self, id: str) -> str:
        """What people call a node."""
        return self._sites[id].node.name if id in self._sites else id

    def missing(self, nodes: Sequence[Node]) -> list[str]:
        """Names of the nodes that are gone since they were last seen."""
        here = {node.id for node in nodes}
        return [site.node.name for id, site in self._sites.items() if id not in here]

    def see(self, nodes: Sequence[Node], addable: Sequence[tuple[Node, int]]) -> list[Actor]:
        """The nodes as they are now; the workers on those that are gone."""
        lost: list[Actor] = []
        for id in sorted(self._sites.keys() - {node.id for node in nodes}):
            site = self._sites.pop(id)
            self._reserved.pop(site, None)
            lost += sorted(self._on[site], key=lambda actor: actor.id)
        for node in nodes:
            if node.id not in self._sites:
                self._sites[node.id] = Site(node)
                self._on[self._sites[node.id]] = set()
        self._nodes, self._addable = nodes, addable
        self._share()
        # A worker may have been on several of them.
        return list(dict.fromkeys(lost))

    def leave_out(self, id: str) -> bool:
        """A node gets no work any more; False where that is so already."""
        if id in self._out or id not in self._sites:
            return False
        self._out.add(id)
        self._share()
        return True

    def pause(self, ids: set[str]) -> None:
        """These nodes, and no others, get no work for now."""
        if ids != self._paused:
            self._paused = set(ids)
            self._share()

    def _share(self) -> None:
        """Which nodes each shape may use; workers that wait on others end."""
        fed = self.fed = self._sites.keys() - self._out - self._paused
        for pool in self._pools:
            sites = [
                site for site in self._sites.values() if site.node.id in fed and fit(pool.shape, site.node.resources, site.node.labels)
            ]
            # What needs no GPU leaves the nodes that have some to what does.
            pool.sites = sorted(sites, key=lambda site: bool(site.node.resources.get("GPU")) and not pool.shape.gpus)
            for actor in [actor for actor in pool.idle if any(site.node.id not in fed for site, _ in actor.places)]:
                self._end(actor)
            now, later = room(pool.shape, self._nodes, self._addable)
            pool.addable = max(0, later - now)
        self._opened()

    def arrive(self, actor: Actor, node: str) -> bool:
        """A worker is ready; False where its node is not known."""
        nodes = node.split(",")
        if actor.site is None and any(id not in self._sites for id in nodes):
            return False
        if actor.site is None:
            actor.pool.unplaced -= 1
            self._settle(actor, [self._sites[id] for id in nodes])
            self._opened()
        actor.ready = True
        for site, _ in actor.places:
            site.failed_starts = 0
        actor.pool.starting.discard(actor)
        self.free(actor)
        return True

    def feeds(self, actor: Actor) -> bool:
        """Whether a worker gets more work: its nodes do, and its room is kept for no other shape."""
        kept = [(site, self._reserved.get(site, actor.pool)) for site, _ in actor.places]
        return all(site.node.id in self.fed and (other is actor.pool or site.fits(other.shape)) for site, other in kept)

    def free(self, actor: Actor, *, retire: bool = False) -> None:
        """A worker has nothing to do; it is ended where it is to `retire`, or gets no more work."""
        if retire or not self.feeds(actor):
            self._end(actor)
            return
        actor.pool.idle.append(actor)
        self.stale |= not actor.pool.queue

    def leave(self, actor: Actor) -> None:
        """A worker is gone."""
        actor.pool.actors -= 1
        actor.pool.starting.discard(actor)
        if actor in actor.pool.idle:
            actor.pool.idle.remove(actor)
        if actor.site is None:
            actor.pool.unplaced -= 1
        for site, cards in actor.places:
            site.give_back(actor.pool.shape, cards)
            self._on[site].discard(actor)
            if not self._on[site] and site.node.id not in self._sites:
                del self._on[site]
        self._opened()

    def available(self, pool: Pool, *, empty: bool = False, avoid: frozenset[str] = frozenset()) -> Actor | None:
        """A worker of a shape that may be given work, on a node that it need not `avoid`; with `empty` on one where nothing runs."""
        for actor in reversed(pool.idle):
            if not any(site.alone or (empty and site.running) or site.node.id in avoid for site, _ in actor.places):
                return actor
        return None

    def dismiss(self, now: float) -> None:
        """End the workers that have had nothing to do for long: the cluster is not this run's alone."""
        for pool in self._pools:
            for actor in list(pool.idle):
                actor.spare_since = min(actor.spare_since, now) if not pool.waiting(quiet=True) else math.inf
                if now - actor.spare_since >= IDLE_S:
                    self._end(actor)

    def grow(self) -> None:
        """Start the workers that find work and room. First every shape gets one, then the one that would end last."""
        if not self.stale:
            return
        quiet = self.quiet
        for site in [site for site, pool in self._reserved.items() if pool.actors or not pool.wants(quiet)]:
            del self._reserved[site]
            self._opened()
        self.stale = False
        for pool in self._pools:
            self._elsewhere(pool)
        wanting = [pool for pool in self._pools if pool.wants(quiet)]
        while wanting:
            pool = max(wanting, key=lambda pool: (not pool.actors, pool.drain_s, sum(pool.shape.amounts().values()) + pool.shape.gpus))
            found = self._room(pool) or self._cleared(pool, quiet)
            if found or pool.unplaced < pool.addable:
                self._place(pool, found)
            else:
                wanting.remove(pool)
                if not pool.actors:
                    self._reserve(pool)
            if pool in wanting and not pool.wants(quiet):
                wanting.remove(pool)

    def _elsewhere(self, pool: Pool) -> None:
        """Workers for trials that avoid the nodes where their shape has some."""
        for batch in pool.elsewhere:
            if any(actor.pool is pool and site.node.id not in batch.avoid for site, actors in self._on.items() for actor in actors):
                continue
            sites = [site for site in pool.sites if site.node.id not in batch.avoid]
            if pool.shape.nodes > 1:
                # One that waits on any of these nodes has come back, or ends when another shape wants its room.
                free = [site for site in sites if site.fits(pool.shape)][: pool.shape.nodes]
                if len(free) == pool.shape.nodes:
                    self._place(pool, free)
                continue
            for site in sites:
                idle = [actor for actor in self._on[site] if actor.batch is None and not actor.pool.waiting(quiet=True)]
                found = site if site.fits(pool.shape) else None
                if found is None and site.without([(actor.pool.shape, actor.cards) for actor in idle]).fits(pool.shape):
                    for actor in idle:
                        self._end(actor)
                    found = site
                if found is not None:
                    self._place(pool, [found])
                    break

    def _opened(self) -> None:
        self.stale = True
        for pool in self._pools:
            pool.cursor = 0

    def _place(self, pool: Pool, sites: Sequence[Site]) -> None:
        actor = self._start(pool, ",".join(site.node.id for site in sites) or None)
        pool.actors += 1
        pool.starting.add(actor)
        if sites:
            self._settle(actor, sites)
        else:
            pool.unplaced += 1

    def _settle(self, actor: Actor, sites: Sequence[Site]) -> None:
        (actor.site, actor.cards), *actor.others = [(site, site.take(actor.pool.shape)) for site in sites]
        for site in sites:
            self._on[site].add(actor)

    def _room(self, pool: Pool) -> list[Site]:
        """The first node with room for one; where it takes several, those with the fewest workers. None where there are too few."""
        found: list[Site] = []
        for place in range(pool.cursor, len(pool.sites)):
            site = pool.sites[place]
            # An empty node is what the cluster added for the workers that wait for one.
            theirs = bool(pool.unplaced) and not site.workers
            if self._reserved.get(site, pool) is pool and not theirs and site.fits(pool.shape):
                found.append(site)
                if pool.shape.nodes == 1:
                    break
            elif not found:
                pool.cursor = place + 1
        spread = sorted(found, key=lambda site: site.workers)[: pool.shape.nodes]
        return spread if len(spread) == pool.shape.nodes else []

    def _cleared(self, pool: Pool, quiet: bool) -> list[Site]:
        """Nodes where workers that have nothing to do had to go for one of this shape."""
        done = [other for other in self._pools if other is not pool and not other.waiting(quiet)]
        spare = [actor for other in done for actor in (*other.idle, *other.starting)]
        sites, going = self._enough(
            pool, [actor for actor in spare if all(self._reserved.get(site, pool) is pool for site, _ in actor.places)]
        )
        for actor in going:
            self._end(actor)
        return sites

    def _reserve(self, pool: Pool) -> None:
        """Keep a node for a shape that is overdue: its workers of other shapes end with what they are at."""
        held = {actor for actors in self._on.values() for actor in actors}
        victims = [
            actor
            for actor in held
            if OVERDUE * actor.pool.drain_s < pool.drain_s and not any(site in self._reserved for site, _ in actor.places)
        ]
        sites, _ = self._enough(pool, sorted(victims, key=lambda actor: actor.id))
        self._reserved |= dict.fromkeys(sites, pool)

    def _enough(self, pool: Pool, actors: Iterable[Actor]) -> tuple[list[Site], list[Actor]]:
        """Nodes on which one of this shape fits once some of these workers are gone, and which; none where it would not."""
        going: dict[Site, list[tuple[Actor, Sequence[int]]]] = {}
        # Where one node is enough, none is free: `_room` has looked.
        several = pool.sites if pool.shape.nodes > 1 else []
        free = [site for site in several if self._reserved.get(site, pool) is pool and site.fits(pool.shape)]
        for actor in actors:
            for site, cards in actor.places:
                gone = going.setdefault(site, [])
                gone.append((actor, cards))
                opened = site not in free and site in pool.sites
                if opened and site.without([(other.pool.shape, its) for other, its in gone]).fits(pool.shape):
                    free.append(site)
            if len(free) >= pool.shape.nodes:
                sites = free[-pool.shape.nodes :]
                return sites, list(dict.fromkeys(other for site in sites for other, _ in going.get(site, ())))
        return [], []
