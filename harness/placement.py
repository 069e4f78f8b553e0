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
    """`start(pool, node)` starts a worker, anywhere where the node is None, and `end` ends one."""

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
        return lost

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
            for actor in [actor for actor in pool.idle if actor.site and actor.site.node.id not in fed]:
                self._end(actor)
            now, later = room(pool.shape, self._nodes, self._addable)
            pool.addable = max(0, later - now)
        self._opened()

    def arrive(self, actor: Actor, node: str) -> bool:
        """A worker is ready; False where its node is not known."""
        if actor.site is None and node not in self._sites:
            return False
        if actor.site is None:
            actor.pool.unplaced -= 1
            self._settle(actor, self._sites[node])
            self._opened()
        assert actor.site is not None
        actor.ready, actor.site.failed_starts = True, 0
        actor.pool.starting.discard(actor)
        self.free(actor)
        return True

    def free(self, actor: Actor, *, retire: bool = False) -> None:
        """A worker has nothing to do; it is ended where it is to `retire`, or where its room is kept for another shape."""
        assert actor.site is not None
        other = self._reserved.get(actor.site)
        if (
            retire
            or actor.site.node.id not in self.fed
            or (other is not None and other is not actor.pool and not actor.site.fits(other.shape))
        ):
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
        else:
            actor.site.give_back(actor.pool.shape, actor.cards)
            self._on[actor.site].discard(actor)
            if not self._on[actor.site] and actor.site.node.id not in self._sites:
                del self._on[actor.site]
        self._opened()

    def available(self, pool: Pool, *, empty: bool = False, avoid: frozenset[str] = frozenset()) -> Actor | None:
        """A worker of a shape that may be given work, on a node that it need not `avoid`; with `empty` on one where nothing runs."""
        for actor in reversed(pool.idle):
            assert actor.site is not None
            if not (actor.site.alone or (empty and actor.site.running) or actor.site.node.id in avoid):
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
            found = self._site(pool) or self._cleared(pool, quiet)
            if found is not None:
                self._place(pool, found)
            elif pool.unplaced < pool.addable:
                self._place(pool, None)
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
            for site in sites:
                idle = [actor for actor in self._on[site] if actor.batch is None and not actor.pool.waiting(quiet=True)]
                found = site if site.fits(pool.shape) else None
                if found is None and site.without([(actor.pool.shape, actor.cards) for actor in idle]).fits(pool.shape):
                    for actor in idle:
                        self._end(actor)
                    found = site
                if found is not None:
                    self._place(pool, found)
                    break

    def _opened(self) -> None:
        self.stale = True
        for pool in self._pools:
            pool.cursor = 0

    def _place(self, pool: Pool, site: Site | None) -> None:
        actor = self._start(pool, site.node.id if site else None)
        pool.actors += 1
        pool.starting.add(actor)
        if site is None:
            pool.unplaced += 1
        else:
            self._settle(actor, site)

    def _settle(self, actor: Actor, site: Site) -> None:
        actor.site, actor.cards = site, site.take(actor.pool.shape)
        self._on[site].add(actor)

    def _site(self, pool: Pool) -> Site | None:
        """The first node with room for one."""
        while pool.cursor < len(pool.sites):
            site = pool.sites[pool.cursor]
            # An empty node is what the cluster added for the workers that wait for one.
            theirs = bool(pool.unplaced) and not site.workers
            if self._reserved.get(site, pool) is pool and not theirs and site.fits(pool.shape):
                return site
            pool.cursor += 1
        return None

    def _cleared(self, pool: Pool, quiet: bool) -> Site | None:
        """A node where workers that have nothing to do had to go for one of this shape."""
        done = [other for other in self._pools if other is not pool and not other.waiting(quiet)]
        spare = [actor for other in done for actor in (*other.idle, *other.starting)]
        found = self._enough(pool, [actor for actor in spare if actor.site and self._reserved.get(actor.site, pool) is pool])
        if found is None:
            return None
        site, going = found
        for actor in going:
            self._end(actor)
        return site

    def _reserve(self, pool: Pool) -> None:
        """Keep a node for a shape that is overdue: its workers of other shapes end with what they are at."""
        held = {actor for actors in self._on.values() for actor in actors}
        victims = [actor for actor in held if actor.site not in self._reserved and OVERDUE * actor.pool.drain_s < pool.drain_s]
        found = self._enough(pool, sorted(victims, key=lambda actor: actor.id))
        if found is not None:
            self._reserved[found[0]] = pool

    def _enough(self, pool: Pool, actors: Iterable[Actor]) -> tuple[Site, list[Actor]] | None:
        """A node on which one of this shape fits once some of these workers are gone, and which."""
        going: dict[Site, list[Actor]] = {}
        for actor in actors:
            if actor.site is None:
                continue
            gone = going.setdefault(actor.site, [])
            gone.append(actor)
            if actor.site in pool.sites and actor.site.without([(other.pool.shape, other.cards) for other in gone]).fits(pool.shape):
                return actor.site, gone
        return None
