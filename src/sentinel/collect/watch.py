"""A source to be polled, one poll of it, and what is known of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sentinel.collect.collector import Collector, PollError
from sentinel.model.batch import Batch, Source
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

GRACE = 0.25
"""Seconds after its timeout in which a collector may still say itself why nothing came; then it is cut off."""


@dataclass(frozen=True, slots=True)
class PollStatus:
    """What is known of a source: for the target pages and the API."""

    source: Source
    target: Target
    up: bool | None = None
    """None: not polled yet."""
    at: float | None = None
    """Unix seconds of the last poll's start."""
    duration: float = 0.0
    samples: int = 0
    reason: str = ""
    detail: str = ""
    since: float | None = None
    """Unix seconds since which it has been up or down."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A source to be polled and the means to do it."""

    source: Source
    target: Target
    recipe: object
    """Module and auth: while these and the target stay equal, a reload leaves the running loop alone."""
    open: Callable[[], Collector] = field(compare=False)


async def poll_once(watch: Watch, clock: Clock) -> Batch:
    """One poll with a collector of its own."""
    collector = watch.open()
    try:
        return await poll_with(collector, watch, clock)
    finally:
        await collector.close()


async def poll_with(collector: Collector, watch: Watch, clock: Clock) -> Batch:
    """One poll on its deadline; whatever goes wrong comes back as a batch that says so."""
    source, timeout = watch.source, watch.target.timeout
    started, at = clock.monotonic(), clock.now()
    try:
        async with asyncio.timeout(timeout + GRACE):
            reading = await collector.poll(at=at, timeout=timeout)
        return Batch(source, at, reading, up=True, duration=clock.monotonic() - started)
    except TimeoutError:
        reason, detail = "timeout", f"no answer within {timeout:g} s"
    except PollError as error:
        reason, detail = error.reason, error.text
    except Exception as error:  # a bug in one collector must not blind the daemon
        log.exception("poll bug", extra={"facts": {"source": source.name}})
        reason, detail = "bug", f"{type(error).__name__} in the collector; see the log"
    spent = clock.monotonic() - started
    return Batch.down(source, at=at, duration=spent, reason=reason, detail=detail)


def watches_by_target(status: Iterable[PollStatus]) -> Mapping[str, list[PollStatus]]:
    """Sources grouped by target name, in the order given."""
    grouped: dict[str, list[PollStatus]] = {}
    for one in status:
        grouped.setdefault(one.source.target, []).append(one)
    return grouped
