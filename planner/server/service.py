"""Everything a running server holds, in one place: what routes get to see."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from planner.server.access.admission import Admission, Background
from planner.server.access.exchange import Exchange
from planner.server.access.keys import Key, Keys, Scope, WrongKeyError, WrongKeys
from planner.server.access.limits import Amount, Rates, Spending, check_limits
from planner.server.access.origins import Origins
from planner.server.challenge import ChallengeWatch
from planner.server.current import InUse, Served, freeze_gc_again
from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import Assignment, Decision, DecisionQuery, MemoryRecorder, Recorder
from planner.server.direct.upstream import Upstream
from planner.server.drift import Watch
from planner.server.lasting import Heap
from planner.server.models import Models
from planner.server.observing.metrics import Metrics
from planner.server.observing.rolling_metrics import RollingMetrics
from planner.server.observing.trace import Tracing
from planner.server.request.choosing import first_policy
from planner.server.rules import Reading, Rules
from planner.server.workers.peers import Peers
from planner.solving.latency import Latency, Work
from search.choice import Choice
from search.errors import DecisionLogError, PlanError, PlannerError
from search.plan import Plan

__all__ = [
    "Service",
    "work_of",
]

#: decisions that latencies are learned from at the start
_PAST = 1000

_LOGGER = logging.getLogger("planner.server")


@dataclass(slots=True)
class Service:
    """A server's parts.

    Parameters
    ----------
    keys, wrong_keys:
        Who may do what, and how those are slowed that try.
    origins:
        By which names, and from which web pages, the server may be called.
    current:
        The planner in use.
    models:
        What it chooses among.
    upstream, upstreams:
        The policies' own servers, for requests that nothing is planned for: one, or by the policy's name.
        A policy in this process has none.
    access_log:
        Hears of each request when it has ended.
    peers:
        The other processes of this server.
    tracing:
        Hears what requests do.
    background, beside:
        What runs after answers have left, and how a plan is run beside one (shadow mode); None: none is.
    challenge:
        A challenger beside the planner in use; None: there is none.
    """

    current: InUse
    models: Models
    rules: Rules = field(default_factory=Rules)
    keys: Keys = field(default_factory=Keys)
    origins: Origins = field(default_factory=Origins)
    wrong_keys: WrongKeys = field(default_factory=WrongKeys)
    recorder: Recorder = field(default_factory=MemoryRecorder)
    upstream: Upstream | None = None
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    rates: Rates = field(default_factory=Rates)
    spending: Spending = field(default_factory=Spending)
    admission: Admission = field(default_factory=Admission)
    latency: Latency = field(default_factory=Latency)
    background: Background = field(default_factory=Background)
    beside: Callable[..., Awaitable[None]] | None = None
    rolling: RollingMetrics = field(default_factory=RollingMetrics)
    metrics: Metrics = field(default_factory=Metrics)
    access_log: Callable[[Exchange], None] | None = None
    peers: Peers = field(default_factory=Peers)
    tracing: Tracing = field(default_factory=Tracing)
    challenge: ChallengeWatch | None = None
    heap: Heap = field(default_factory=Heap)
    watch: Watch = field(init=False)
    reading: Reading = field(init=False)
    is_ready: bool = False

    def __post_init__(self) -> None:
        if self.upstream is not None:
            self.upstreams = {self.upstream.policy: self.upstream, **self.upstreams}
        # in shadow mode clients may go on naming a policy as its own server does
        names = {one.model: one.policy for one in reversed([*self.upstreams.values()])}
        self.reading = Reading(self.rules, self.models.policies, names if self.rules.shadow else {})
        log = self.recorder if isinstance(self.recorder, DecisionLog) else None
        self.watch = Watch(self.current, log, sources=self.rules.sources)

    def drawn(self, response_id: str) -> tuple[Served, Assignment | None]:
        """Which planner decides about a request, and how that was drawn where there is a challenger."""
        if self.challenge is None:
            return self.current.served, None
        return self.challenge.challenge.draw(self.current.served, response_id)

    def passing(self, asked: str | None = None) -> Upstream | None:
        """Where a request goes that nothing is planned for; None where the policy is in this process.

        ``asked``: the policy that it names. Else it is the one that the planner begins with, or another one
        that has a server of its own where that failed lately or has none.
        """
        if asked is not None:
            return self.upstreams.get(asked)
        first = first_policy(self.current.served, self.models)
        known = [name for name in dict.fromkeys((first, *self.upstreams)) if name in self.upstreams]
        there = [name for name in known if name not in self.models.resting] or known
        return self.upstreams[there[0]] if there else None

    async def start(self) -> None:
        """Learn from the log how long things take and what keys have spent today, and begin what runs beside
        requests. Raises DecisionLogError where the log cannot say what keys with limits have spent."""
        await self._seed()
        try:
            past = await self.recorder.search(DecisionQuery(limit=_PAST))
            self.latency.learn(seen for record in reversed(past) for seen in work_of(record.decision))
        except DecisionLogError as error:
            _LOGGER.warning("the log's latencies cannot be read: %s", error)
        self.peers.start()
        self.heap.start()
        self.watch.start()
        if self.challenge is not None:
            await self.challenge.start()
        self.is_ready = True

    async def _seed(self) -> None:
        """Go on counting from what the log knows of today."""
        if not isinstance(self.recorder, DecisionLog):
            return
        try:
            spent = await self.recorder.spent(self.spending.since)
        except DecisionLogError as error:
            if any(key.is_limited for key in self.keys):
                raise
            _LOGGER.warning("what keys have spent today cannot be read: %s", error)
            return
        self.spending.seed({name: Amount(*each) for name, each in spent.items()})

    def ended(self, exchange: Exchange) -> None:
        """Count a request that has ended, and write it down where that is asked for."""
        self.tracing.end(exchange)
        self.metrics.exchanged(exchange)
        self.rolling.exchanged(exchange)
        if self.access_log is not None:
            self.access_log(exchange)

    async def let_in(self, authorization: str | None, scope: Scope, address: str) -> Key:
        """The key of a request, as ``Keys.who``; whoever tries wrong ones has to wait for the refusal."""
        try:
            return self.keys.who(authorization, scope)
        except WrongKeyError:
            await self.wrong_keys.met(address)
            raise

    async def reload(self) -> Served:
        """Take the keys and the planner as they lie in their places now, each by itself.

        Broken ones are refused (PlannerError, OSError) and the old ones stay.
        """
        broken: PlannerError | OSError | None = None
        try:
            keys = await asyncio.to_thread(self.keys.reread)
            check_limits(keys, self.rules.prices)
            self.keys = keys
            _LOGGER.info("%d API keys are in use", len(self.keys))
        except (PlannerError, OSError) as error:
            _LOGGER.error("the API keys are refused, the old ones stay: %s", error)
            broken = error
        if self.challenge is not None:
            await self.challenge.challenge.reload()
        try:
            served = await self.current.reload()
        except (PlannerError, OSError) as error:
            self.metrics.reloaded(False)
            _LOGGER.error("the planner at %s is refused, the old one stays: %s", self.current.place, error)
            raise
        self.metrics.reloaded(True)
        freeze_gc_again()
        _LOGGER.info("planner %s is in use", served.fingerprint[:12])
        if broken is not None:
            raise broken
        return served

    async def close(self) -> None:
        """Write what waits, and close every model."""
        self.is_ready = False
        await self.peers.close()
        await self.heap.close()
        await self.background.close()
        await self.watch.close()
        if self.challenge is not None:
            await self.challenge.close()
        await self.recorder.close()
        for upstream in self.upstreams.values():
            await upstream.close()
        await self.models.close()
        await self.tracing.close()


#: as ``str(Probe)`` has it
_PROBE = re.compile(r"(\d+) samples of (.+?)(?: scored by (.+))?")


def work_of(decision: Decision) -> Iterator[tuple[Work, int, float, int]]:
    """(work, tokens, seconds, load) of each stage; the load then is not known and taken to be 1."""
    if decision.error is not None or decision.outcome in ("failed", "cancelled", "refused", "deadline"):
        return
    for step in decision.steps:
        drawn = _samples(step.look)
        if step.next_look is None:
            try:
                work = Work.of(Choice(step.policy, step.prm, Plan.parse(step.plan)), drawn)
            except PlanError:
                continue
        else:
            found = _PROBE.fullmatch(step.next_look)
            if found is None:
                continue
            work = Work(policy=found[2], prm=found[3], n=max(1, int(found[1]) - drawn), is_tree=False)
        yield work, step.spend.tokens, step.spend.seconds, 1


def _samples(look: str) -> int:
    found = _PROBE.fullmatch(look)
    return 0 if found is None else int(found[1])
