"""The rule loop: every group on its own phase, changes handed on a tick at a time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry

from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.labels import EMPTY, Labels
from sentinel.rules.alerts import RuleAlerts
from sentinel.rules.lineage import link
from sentinel.rules.metrics import RuleMetrics
from sentinel.rules.queries import Queries
from sentinel.rules.rows import ending
from sentinel.rules.rule import RuleGroup
from sentinel.rules.run import GroupRun, Lookup, Yield
from sentinel.rules.seams import Expressions, Ledger, Readability, Recorder
from sentinel.rules.state import PATIENCE
from sentinel.rules.status import GroupStatus
from sentinel.rules.succession import ended, rule_of, take_over
from sentinel.rules.surroundings import Surroundings
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

SLICE = 0.05
"""Seconds of evaluation after which other tasks get their turn."""

LATE = 10.0
"""Seconds by which a group's tick may be overdue before the loop counts as stuck."""

SOON = 1.0
"""Seconds between two evaluations that were asked for; longer where one takes more than a quarter of it."""

FIRST_DELAY = 10.0
"""Seconds within which every group is evaluated for the first time."""

_STATES = (AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN)


class RuleEngine:
    """Evaluates rule groups and keeps their alerts.

    Not thread-safe: everything happens on the event loop's thread.
    """

    def __init__(
        self,
        groups: Iterable[RuleGroup],
        *,
        expressions: Expressions,
        readability: Readability,
        ledger: Ledger,
        recorder: Recorder,
        clock: Clock,
        registry: CollectorRegistry,
        external_labels: Labels = EMPTY,
        external_url: str = "",
        grace: float = 60.0,
        is_waiting: Callable[[Labels], bool] = lambda _: False,
        may_be_sent: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """
        Args:
            grace: seconds after `restore` in which an alert that is not returned stays as it was.
            is_waiting: whether something that could feed an alert with these labels has yet to be polled for
                the first time; the alert stays as it is until then.
            may_be_sent: whether somebody else may send series of an instance that is no target.
        """
        self._queries = Queries(expressions)
        self._ledger = ledger
        self._recorder = recorder
        self._clock = clock
        self._metrics = RuleMetrics(registry)
        self._around = Surroundings(
            readability,
            self._queries.ask,
            external_labels,
            external_url,
            grace,
            self._note_expansion_failure,
            self._is_removed,
            is_waiting,
        )
        self._instances: frozenset[str] | None = None
        self._may_be_sent = may_be_sent
        self._runs: list[GroupRun] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._tasks_of: asyncio.TaskGroup | None = None
        self._last_tick = clock.monotonic()
        self._soon = asyncio.Event()
        self.replace(groups)

    # The loop

    async def run(self) -> None:
        """Evaluates until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks_of = group
                self._spawn_all()
                await self._watch()
        finally:
            self._tasks_of = None
            self._tasks.clear()

    @property
    def last_tick(self) -> float:
        """Monotonic seconds at which the loop last showed that no group is stuck: what the watchdog goes by."""
        return self._last_tick

    async def _watch(self) -> None:
        while True:
            now = self._clock.monotonic()
            if all(run.next_tick is None or now - run.next_tick < LATE for run in self._runs):
                self._last_tick = now
            await self._clock.sleep(1.0)

    def _spawn_all(self) -> None:
        if self._tasks_of is None:
            return
        for run in self._runs:
            name = f"rules {run.group.identity}"
            self._tasks.append(self._tasks_of.create_task(self._tick_forever(run), name=name))
        self._tasks.append(self._tasks_of.create_task(self._evaluate_when_asked(), name="rules when asked"))

    async def _tick_forever(self, run: GroupRun) -> None:
        clock, interval = self._clock, run.group.interval
        if run.next_tick is None:
            run.next_tick = clock.monotonic() + _phase(run.group) * min(interval, FIRST_DELAY)
        while True:
            await clock.sleep(run.next_tick - clock.monotonic())
            # After a pause of the whole machine only the newest tick counts.
            run.next_tick += self._count_missed(run) * interval
            # The tick's own instant, however late the loop got to it.
            at = clock.now() - max(clock.monotonic() - run.next_tick, 0.0)
            await self._evaluate(run, at)
            run.next_tick += (self._count_missed(run) + 1) * interval

    def _count_missed(self, run: GroupRun) -> int:
        """Ticks that went by since the one that is due or was evaluated last."""
        assert run.next_tick is not None
        missed = int(max(self._clock.monotonic() - run.next_tick, 0.0) // run.group.interval)
        if missed:
            run.missed.inc(missed)
        return missed

    def evaluate_soon(self) -> None:
        """Evaluate every group beside its ticks, which stay where they are: something has happened.

        At once, but at most once a second; what is asked for meanwhile comes when that second is over.
        """
        self._soon.set()

    async def _evaluate_when_asked(self) -> None:
        while True:
            await self._soon.wait()
            self._soon.clear()
            began = self._clock.monotonic()
            for run in self._runs:
                await self._evaluate(run, self._clock.now())
            spent = self._clock.monotonic() - began
            await self._clock.sleep(max(SOON - spent, 3 * spent))

    async def _evaluate(self, run: GroupRun, at: float) -> None:
        async with run.turn:
            # A tick that comes late is not worth going back for once a later instant has been evaluated.
            if run.last_evaluation is None or at > run.last_evaluation:
                await self._evaluate_rules(run, at)

    async def _evaluate_rules(self, run: GroupRun, at: float) -> None:
        out = Yield()
        turn = self._clock.monotonic()
        try:
            for step in run.evaluate(at, out, self._recorder.append, self._clock.monotonic):
                if isinstance(step, Lookup):
                    await self._look_up(step)
                    turn = self._clock.monotonic()
                elif step - turn > SLICE:
                    await asyncio.sleep(0)
                    turn = self._clock.monotonic()
        finally:
            # Also when a reload ends this run in the middle: these steps have been taken.
            self._hand_on(out.changes)

    async def _look_up(self, lookup: Lookup) -> None:
        """In a thread, so that polls and other groups go on."""
        turn = self._clock.monotonic()
        for _ in lookup.prepare():
            if self._clock.monotonic() - turn > SLICE:
                await asyncio.sleep(0)
                turn = self._clock.monotonic()
        await asyncio.to_thread(lookup.carry_out)

    def evaluate_once(self, at: float) -> None:
        """Evaluate every group now, in order, as if its tick were at that instant (Unix seconds)."""
        for run in self._runs:
            out = Yield()
            for step in run.evaluate(at, out, self._recorder.append, self._clock.monotonic):
                if isinstance(step, Lookup):
                    for _ in step.prepare():
                        pass
                    step.carry_out()
            self._hand_on(out.changes)

    def _hand_on(self, changes: Sequence[AlertChange]) -> None:
        if changes:
            self._ledger.submit(changes)
            self._count()

    def _count(self) -> None:
        counts = dict.fromkeys(_STATES, 0)
        for alerts in self._all_alerts():
            for state, count in alerts.counts().items():
                counts[state] += count
        for state, count in counts.items():
            self._metrics.alerts.labels(str(state)).set(count)

    # What people and other parts ask

    def active(self) -> Sequence[Alert]:
        """Every alert that is pending, firing or unknown."""
        return [alert for alerts in self._all_alerts() for alert in alerts.active()]

    @property
    def groups(self) -> Sequence[GroupStatus]:
        return [run.status() for run in self._runs]

    def _all_alerts(self) -> Iterable[RuleAlerts]:
        return (rule.alerts for run in self._runs for rule in run.rules if rule.alerts is not None)

    # Changes from outside

    def replace(self, groups: Iterable[RuleGroup]) -> None:
        """Evaluate these from now on.

        A rule with the same identity (file, group, name, expression, `for`, labels) keeps its alerts; those of
        the others end with the reason "rule removed".
        """
        at = self._clock.now()
        before = {run.group.identity: run for run in self._runs}
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._queries.forget()
        left = [rule for run in self._runs for rule in run.rules]
        self._runs = [GroupRun(group, self._around, self._metrics) for group in groups]
        kept: set[int] = set()
        for run in self._runs:
            old = before.get(run.group.identity)
            if old is not None:
                kept |= {id(rule) for rule in take_over(run, old)}
        changes, batches = [], []
        sources = {rule.source for run in self._runs for rule in run.rules}
        for rule in left:
            if id(rule) not in kept and rule.alerts is not None:
                changes += rule.alerts.end(at, "rule removed")
            if rule.source not in sources:
                batches.append(ending(rule.source, at))
        for identity in before.keys() - {run.group.identity for run in self._runs}:
            self._metrics.remove(identity)
        if batches:
            self._recorder.append(batches)
        link(self._runs)
        self._hand_on(changes)
        self._spawn_all()

    def restore(self, alerts: Iterable[Alert], at: float, *, stopped_at: float | None = None) -> None:
        """Take back the alerts of an earlier run of the daemon, before the first evaluation.

        They stay as they were until their rule returns them again, or has had time to read what it needs. Those
        that others sent are none of ours.

        Args:
            at: now, Unix seconds.
            stopped_at: when rules were last evaluated, if that is known; after an outage of more than an hour
                pending alerts begin anew.
        """
        is_long = stopped_at is not None and at - stopped_at > PATIENCE
        changes = []
        for alert in alerts:
            if alert.state is AlertState.INACTIVE or alert.sent is not None:
                continue
            found = rule_of(alert, self._runs)
            if found is None or found.alerts is None:
                changes.append(ended(alert, at, "rule removed"))
            elif is_long and alert.state is AlertState.PENDING:
                changes.append(ended(alert, at, "long outage"))
            else:
                found.alerts.restore(alert, at)
        self._hand_on(changes)
        self._count()

    def retain(self, instances: Collection[str]) -> None:
        """Name the targets that exist: alerts of others that their rules no longer return end with the reason
        "target removed". Call it after `restore` and whenever the inventory changes."""
        self._instances = frozenset(instances)
        at = self._clock.now()
        changes: list[AlertChange] = []
        for alerts in self._all_alerts():
            changes += alerts.end_removed(at)
        self._hand_on(changes)

    def shift(self, seconds: float) -> None:
        """The wall clock was set forward by that much: everything keeps its age."""
        for alerts in self._all_alerts():
            alerts.shift(seconds)
        for run in self._runs:
            if run.last_evaluation is not None:
                run.last_evaluation += seconds

    def _is_removed(self, labels: Labels) -> bool:
        instance = labels.get("instance")
        if instance is None or self._instances is None or instance in self._instances:
            return False
        return not self._may_be_sent(instance)

    def _note_expansion_failure(self, _text: str) -> None:
        self._metrics.expansion_failures.inc()


def _phase(group: RuleGroup) -> float:
    """A share of the interval that depends only on the group, so that load spreads evenly."""
    digest = hashlib.blake2b(group.identity.encode("utf-8", "surrogateescape"), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32
