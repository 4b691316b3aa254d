"""Poll loops keep their phase, their deadline and each other out of trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from sentinel.collect.collector import PollError
from sentinel.collect.poll import PollLoops
from sentinel.collect.watch import Watch
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.runtime.clock import ManualClock

ONE = Layout.of([Labels(__name__="x")])


class Shelf:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.calls = 0
        self.forgotten: list[Source] = []

    def append(self, batches: Sequence[Batch]) -> None:
        self.calls += 1
        self.batches += batches

    def forget(self, source: Source) -> None:
        self.forgotten.append(source)


class Scripted:
    """A collector that does what its script says at each poll."""

    def __init__(self, clock: ManualClock, script: Callable[[], float | Exception]) -> None:
        self._clock = clock
        self._script = script
        self.is_closed = False

    async def poll(self, *, at: float, timeout: float) -> Reading:
        step = self._script()
        if isinstance(step, Exception):
            raise step
        await self._clock.sleep(step)
        return Reading(ONE, np.array([at]))

    async def close(self) -> None:
        self.is_closed = True


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.shelf = Shelf()
        self.registry = CollectorRegistry()
        self.loops = PollLoops(self.shelf, self.clock, self.registry, concurrency=2)

    def watch(
        self,
        name: str = "a",
        script: Callable[[], float | Exception] = lambda: 0.0,
        *,
        recipe: object = 1,
        timeout: float = 5.0,
    ) -> Watch:
        target = Target(name, "127.0.0.1", modules=("m",), interval=10.0, timeout=timeout)
        return Watch(target.source("m"), target, recipe, lambda: Scripted(self.clock, script))

    def ups(self, name: str) -> list[bool]:
        polls = [batch for batch in self.shelf.batches if batch.source.module == "m"]
        return [batch.up for batch in polls if batch.source.target == name]

    def figure(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.loops.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_polls_keep_their_interval() -> None:
    bench = Bench()
    bench.loops.replace([bench.watch()])
    async with running(bench):
        await bench.clock.advance(60)
    times = [batch.at for batch in bench.shelf.batches]
    assert len(times) in (5, 6)
    assert np.allclose(np.diff(times), 10.0)


async def test_the_phase_is_the_sources_own() -> None:
    first, second = Bench(), Bench()
    for bench in (first, second):
        bench.loops.replace([bench.watch("a"), bench.watch("b")])
        async with running(bench):
            await bench.clock.advance(10)
    assert [batch.at for batch in first.shelf.batches] == [batch.at for batch in second.shelf.batches]
    assert first.shelf.batches[0].at != first.shelf.batches[1].at


async def test_one_bad_target_leaves_the_others_polled() -> None:
    bench = Bench()

    def bug() -> Exception:
        return KeyError("a bug in the collector")

    bench.loops.replace([bench.watch("bad", bug), bench.watch("good")])
    async with running(bench):
        await bench.clock.advance(50)
    assert set(bench.ups("bad")) == {False}
    assert set(bench.ups("good")) == {True}
    assert len(bench.ups("good")) >= 4
    assert bench.figure("sentinel_poll_failures_total", module="m", reason="bug") >= 4


async def test_a_failed_poll_is_a_sample_with_its_reason() -> None:
    bench = Bench()
    bench.loops.replace([bench.watch("a", lambda: PollError("auth", "wrong key for a"))])
    async with running(bench):
        await bench.clock.advance(20)
    assert bench.shelf.batches[0].reason == "auth"
    assert [(one.up, one.reason, one.detail) for one in bench.loops.status()] == [
        (False, "auth", "wrong key for a")
    ]


async def test_an_overrun_skips_ticks_and_keeps_the_phase() -> None:
    bench = Bench()
    pauses = iter([25.0, *[0.0] * 20])
    bench.loops.replace([bench.watch("a", lambda: next(pauses), timeout=60.0)])
    async with running(bench):
        await bench.clock.advance(80)
    times = [batch.at for batch in bench.shelf.batches]
    assert np.allclose(np.diff(times)[0], 30.0)
    assert np.allclose(np.diff(times)[1:], 10.0)
    assert bench.figure("sentinel_polls_missed_total", module="m") == 2


async def test_polls_that_end_together_are_stored_together() -> None:
    bench = Bench()
    bench.loops = PollLoops(bench.shelf, bench.clock, CollectorRegistry(), concurrency=1000)
    bench.loops.replace([bench.watch(f"t{number}") for number in range(200)])
    async with running(bench):
        await bench.clock.advance(10.1)
    assert len(bench.shelf.batches) >= 200
    assert bench.shelf.calls < 180


async def test_reload_leaves_alone_what_did_not_change() -> None:
    bench = Bench()
    bench.loops.replace([bench.watch("stays"), bench.watch("goes"), bench.watch("changes")])
    async with running(bench):
        await bench.clock.advance(20)
        before = len(bench.ups("stays"))
        bench.loops.replace([bench.watch("stays"), bench.watch("changes", recipe=2), bench.watch("comes")])
        await bench.clock.advance(30)
    assert sorted(source.target for source in bench.shelf.forgotten) == ["changes", "goes"]
    assert len(bench.ups("stays")) == before + 3
    assert bench.ups("comes")
    assert not [
        batch for batch in bench.shelf.batches if batch.source.target == "goes" and batch.at > 1_700_000_025
    ]


async def test_concurrency_is_bounded() -> None:
    bench = Bench()
    under_way = 0
    most = 0

    class Counting(Scripted):
        async def poll(self, *, at: float, timeout: float) -> Reading:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().poll(at=at, timeout=timeout)
            finally:
                under_way -= 1

    def watch(name: str) -> Watch:
        plain = bench.watch(name, lambda: 3.0)
        return Watch(plain.source, plain.target, 1, lambda: Counting(bench.clock, lambda: 3.0))

    bench.loops.replace([watch(f"t{number}") for number in range(10)])
    async with running(bench):
        await bench.clock.advance(40)
    assert most == 2


async def test_a_poll_that_is_asked_for_comes_at_once_and_leaves_the_phase_alone() -> None:
    bench = Bench()
    bench.loops.replace([bench.watch("a"), bench.watch("b")])
    async with running(bench):
        await bench.clock.advance(13)
        before = [batch.at for batch in bench.shelf.batches if batch.source.target == "a"]
        asked_at = bench.clock.now()
        asking = asyncio.create_task(bench.loops.poll_now("a", ("m", "unknown")))
        await bench.clock.advance(0.1)
        await asking
        await bench.clock.advance(20)
    times = [batch.at for batch in bench.shelf.batches if batch.source.target == "a"]
    assert asked_at in times
    times.remove(asked_at)
    assert np.allclose(np.diff(times), 10.0)
    assert times[: len(before)] == before


async def test_a_poll_is_not_asked_for_more_than_once_a_second_and_never_beside_another() -> None:
    bench = Bench()
    under_way = most = 0

    class Counting(Scripted):
        async def poll(self, *, at: float, timeout: float) -> Reading:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().poll(at=at, timeout=timeout)
            finally:
                under_way -= 1

    plain = bench.watch("a")
    bench.loops.replace([Watch(plain.source, plain.target, 1, lambda: Counting(bench.clock, lambda: 0.3))])
    async with running(bench):
        await bench.clock.advance(12)
        before = len(bench.shelf.batches)
        asking = []
        for _ in range(50):
            asking.append(asyncio.create_task(bench.loops.poll_now("a", ("m",))))
            await bench.clock.advance(0.04)
        await bench.clock.advance(3)
        await asyncio.gather(*asking)
    assert most == 1
    # Two seconds of asking: at 0, 1 and 2 s, beside at most one on schedule.
    assert len(bench.shelf.batches) - before <= 4


async def test_who_asks_for_a_poll_is_not_kept_waiting_when_the_target_goes() -> None:
    bench = Bench()
    bench.loops.replace([bench.watch("a", lambda: 1e9, timeout=1e9)])
    async with running(bench):
        await bench.clock.advance(10)
        asking = asyncio.create_task(bench.loops.poll_now("a", ("m",)))
        await bench.clock.advance(1)
        bench.loops.replace([])
        async with asyncio.timeout(5):
            await asking
        await bench.loops.poll_now("a", ("m",))
    assert not bench.shelf.batches


async def test_no_answer_ends_on_the_deadline() -> None:
    bench = Bench()
    # The deadline itself runs on the event loop's clock, so it is real here, and short.
    bench.loops.replace([bench.watch("silent", lambda: 1e9, timeout=0.05), bench.watch("good")])
    async with running(bench):
        await bench.clock.advance(10)
        async with asyncio.timeout(5):
            while not bench.ups("silent"):
                await asyncio.sleep(0.01)
                await bench.clock.advance(0.02)
    assert bench.ups("silent") == [False]
    assert bench.loops.status()[0].reason == "timeout"


async def test_a_source_is_waiting_until_its_first_poll_is_stored() -> None:
    bench = Bench()
    loops, of_a = bench.loops, Labels(__name__="x", instance="a", job="m", port="1")
    loops.replace([bench.watch("a"), bench.watch("b")])
    assert loops.is_waiting(of_a)
    assert loops.is_waiting(Labels(job="m")), "what is summed over targets may miss one of them"
    for labels in (Labels(instance="a", job="other"), Labels(instance="c")):
        assert not loops.is_waiting(labels)
    async with running(bench):
        await bench.clock.advance(20)
        assert not loops.is_waiting(of_a)
        loops.replace([bench.watch("a", recipe=2), bench.watch("b")])
        assert loops.is_waiting(of_a)
        assert not loops.is_waiting(of_a.updated({"instance": "b"}))
        await bench.clock.advance(20)
        assert not loops.is_waiting(of_a)
        loops.replace([bench.watch("a", recipe=3), bench.watch("b")])
        loops.replace([bench.watch("b")])
        assert not loops.is_waiting(of_a)


async def test_first_polls_come_soon_and_the_next_ones_spread_over_the_interval() -> None:
    bench = Bench()
    slow = [
        Watch(target.source("m"), target, 1, lambda: Scripted(bench.clock, lambda: 0.0))
        for number in range(200)
        for target in [Target(f"t{number}", "127.0.0.1", modules=("m",), interval=100.0)]
    ]
    bench.loops.replace(slow)
    start = bench.clock.now()
    async with running(bench):
        await bench.clock.advance(310)
    times: dict[str, list[float]] = {}
    for batch in bench.shelf.batches:
        times.setdefault(batch.source.target, []).append(batch.at - start)
    assert max(one[0] for one in times.values()) <= 10
    seconds = sorted(one[1] for one in times.values())
    assert seconds[0] < 10
    assert seconds[100] == pytest.approx(50, abs=15)
    assert 90 < seconds[-1] <= 100
    assert all(np.allclose(np.diff(one[1:]), 100.0) for one in times.values())
    assert bench.figure("sentinel_polls_missed_total", module="m") == 0
