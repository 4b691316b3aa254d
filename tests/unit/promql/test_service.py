"""Queries beside the daemon's own work: the event loop goes on, and no query goes on for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine, EvaluationError, LimitError, Limits
from sentinel.promql.catalogue import Catalogue
from sentinel.promql.errors import AbandonedError, ExpressionError, QueryTimeoutError
from sentinel.promql.evaluation import Matrix
from sentinel.promql.selector import parse_selector
from sentinel.promql.service import LIMITS, QueryService, Question
from sentinel.promql.value import Vector
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from tests.unit.promql.test_evaluation import Fleet, fleet

START = 1_700_000_000.0
POLLS = 60


@pytest.fixture(scope="module")
def large() -> Head:
    """Twenty thousand counters of twenty sources."""
    head, rng = Head(), np.random.default_rng(1)
    layout = Layout.of([Labels(__name__="x", row=str(n)) for n in range(1000)])
    sources = [Source(f"h{n}", "node", Labels(instance=f"h{n}", job="node"), 15.0) for n in range(20)]
    values = np.zeros((20, 1000))
    for poll in range(POLLS):
        values += rng.uniform(0, 10, values.shape)
        at = START + 15 * poll
        head.append(
            [
                Batch(source, at + 0.1 * n, Reading(layout, values[n].copy()), True, 0.1)
                for n, source in enumerate(sources)
            ]
        )
    return head


def service_over(head: Head, limits: Limits = LIMITS) -> QueryService:
    return QueryService(Engine(head), SystemClock(), limits=limits)


def ranged(text: str, *, step: float = 5.0, timeout: float = 60.0) -> Question:
    return Question(text, START + 300, START + 15 * POLLS, step, timeout=timeout)


async def test_the_event_loop_is_not_held(large: Head) -> None:
    pauses: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            pauses.append(time.perf_counter() - before)

    with closing(service_over(large)) as service:
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(tick())
            answers = [
                (await service.ask(ranged(text), threading.Event())).answer
                for text in ("sum by (job) (rate(x[5m]))", "x", "quantile_over_time(0.9, x[1m])")
            ]
            ticking.cancel()
    assert all(isinstance(answer, Matrix) for answer in answers)
    # Most of what is left is the interpreter's own switching between threads, and a busy machine's.
    assert len(pauses) > 20
    assert np.quantile(pauses, 0.95) < 0.05


async def test_an_instant_query_takes_the_short_way_if_it_is_small(large: Head, whole: Fleet) -> None:
    threads: list[str] = []
    with closing(service_over(whole.head)) as service:
        seen = service.work

        async def work(function: object) -> object:
            threads.append("work")
            return await seen(function)  # type: ignore[arg-type]

        service.work = work  # type: ignore[method-assign,assignment]
        at = whole.end
        small = (await service.ask(Question("rate(x[2m])", at, at), threading.Event())).answer
        assert not threads
        question = Question("rate(x[2m])", at, at, lookback=60.0)
        other = (await service.ask(question, threading.Event())).answer
        assert threads
        assert isinstance(small, Vector)
        assert isinstance(other, Vector)
        assert dict(small.samples()) == pytest.approx(dict(other.samples()))
    with closing(service_over(large)) as service:
        end = START + 15 * POLLS
        question = Question("quantile_over_time(0.5, x[10m])", end, end)
        answer = (await service.ask(question, threading.Event())).answer
        assert isinstance(answer, Vector)
        assert len(answer) == 20_000


async def test_nobody_waits_any_more(large: Head) -> None:
    gone = threading.Event()
    with closing(service_over(large)) as service:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_refused(service, ranged("max_over_time(x[5m:1s])"), gone))
            await asyncio.sleep(0.05)
            gone.set()
        assert isinstance(asking.result(), AbandonedError)


async def test_a_closed_service_ends_what_runs(large: Head) -> None:
    service = service_over(large)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_refused(service, ranged("max_over_time(x[5m:1s])"), threading.Event()))
        await asyncio.sleep(0.05)
        service.close()
    assert isinstance(asking.result(), AbandonedError)


async def _refused(service: QueryService, question: Question, gone: threading.Event) -> Exception | None:
    try:
        await service.ask(question, gone)
    except EvaluationError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("question", "limits", "error"),
    [
        (ranged("max_over_time(x[5m:1s])", timeout=0.05), LIMITS, QueryTimeoutError),
        (ranged("x"), Limits(samples=10_000), LimitError),
        (ranged("x"), Limits(samples=10**9, points=10_000), LimitError),
        (ranged("x * on () group_left x"), LIMITS, EvaluationError),
        (ranged('x{row=~"("}'), LIMITS, ExpressionError),
        (ranged("(" * 10_000), LIMITS, ExpressionError),
        (ranged("x[5m]"), LIMITS, ExpressionError),
        (ranged("x", step=0.01), LIMITS, LimitError),
    ],
)
async def test_what_a_query_may_not(
    large: Head, question: Question, limits: Limits, error: type[Exception]
) -> None:
    began = time.perf_counter()
    with closing(service_over(large, limits)) as service, pytest.raises(error):
        await service.ask(question, threading.Event())
    assert time.perf_counter() - began < 10


async def test_a_window_far_beyond_all_samples_costs_little(whole: Fleet) -> None:
    with closing(service_over(whole.head)) as service:
        at = whole.end
        for text in ("rate(x[20d])", "x offset 100y", "x @ 0", "x offset -40d"):
            question = Question(text, at - 600, at, 60.0)
            assert isinstance((await service.ask(question, threading.Event())).answer, Matrix)


async def test_queries_wait_for_their_turn_but_not_for_ever(whole: Fleet) -> None:
    with closing(service_over(whole.head)) as service:
        hold = threading.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(_held(service, hold))
            await asyncio.sleep(0)
            question = Question("x", whole.end - 60, whole.end, 15.0, timeout=0.05)
            with pytest.raises(QueryTimeoutError, match="queue"):
                await service.ask(question, threading.Event())
            hold.set()


async def _held(service: QueryService, hold: threading.Event) -> None:
    async with service._turn(5.0):
        while not hold.is_set():
            await asyncio.sleep(0.001)


@pytest.fixture(scope="module")
def whole() -> Fleet:
    return fleet()


@pytest.fixture(scope="module")
def short() -> Fleet:
    return fleet(retention=480.0)


class TestCatalogue:
    @pytest.fixture
    def catalogue(self, whole: Fleet) -> Iterator[Catalogue]:
        engine = Engine(whole.head)
        with closing(QueryService(engine, SystemClock())) as service:
            yield Catalogue(engine, service, SystemClock())

    async def test_series_of_a_time(self, catalogue: Catalogue, whole: Fleet) -> None:
        gone, nobody = parse_selector('gone{instance="h1"}'), threading.Event()
        everything = await catalogue.series([gone], 0, 1e10, nobody)
        assert [str(labels) for labels in everything] == ['gone{instance="h1", job="node"}']
        assert await catalogue.series([gone], whole.end - 900, whole.end, nobody) == []
        assert await catalogue.series([gone, gone], 0, whole.end - 1500, nobody) == everything

    async def test_names_and_values(self, catalogue: Catalogue, whole: Fleet) -> None:
        nobody, y = threading.Event(), parse_selector("y")
        assert await catalogue.names([], 0, 1e10, nobody) == [
            "__name__",
            "instance",
            "job",
            "le",
            "odd",
            "row",
        ]
        assert await catalogue.names([y], 0, 1e10, nobody) == ["__name__", "instance", "job", "row"]
        assert await catalogue.values("row", [y], 0, 1e10, nobody) == ["0", "1", "2"]
        assert await catalogue.values("row", [], 0, 1e10, nobody) == ["0", "1", "2", "3"]
        assert "gone" in await catalogue.values("__name__", [], 0, 1e10, nobody)
        assert await catalogue.values("nothing", [], 0, 1e10, nobody) == []
        assert await catalogue.names([], 0, whole.end - 1e6, nobody) == []

    async def test_the_archive_too(self, whole: Fleet, short: Fleet) -> None:
        engine, nobody = Engine(short.head, short.shelf), threading.Event()
        with closing(QueryService(engine, SystemClock())) as service:
            found = Catalogue(engine, service, SystemClock())
            gone = parse_selector("gone")
            assert len(await found.series([gone], 0, 1e10, nobody)) == 5
            assert await found.series([gone], whole.end - 300, whole.end, nobody) == []
            assert "gone" in await found.values("__name__", [], 0, 1e10, nobody)
            assert await found.names([gone], 0, 1e10, nobody) == ["__name__", "instance", "job"]
            assert await found.values("instance", [gone], 0, 1e10, nobody) == ["h0", "h1", "h2", "h3", "h4"]
