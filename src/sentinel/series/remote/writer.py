"""Remote write: every sample that the head takes goes to another store, once it is on disk.

Samples are gathered for some seconds, encoded, put into the spool and sent from there in their order, one request
at a time. While the store is away they wait on disk; the oldest are given up when there is no room.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Final

import anyio
import httpx
import numpy as np

import sentinel
from sentinel.config.remote import RemoteWriteSettings
from sentinel.model.batch import ABSENT_BITS, STALE, Batch, Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.runtime.clock import Clock
from sentinel.runtime.retry import retry_after
from sentinel.runtime.supervise import backoff
from sentinel.runtime.whole import whole
from sentinel.series.head import has_meta
from sentinel.series.index.placing import merged
from sentinel.series.remote import wire
from sentinel.series.remote.metrics import RemoteMetrics
from sentinel.series.remote.spool import Spool

log = logging.getLogger(__name__)

MAX_SAMPLES: Final = 10_000
"""Of one request."""

MAX_GATHERED: Final = 2_000_000
"""Samples in memory; what comes while there are more is dropped and counted."""

LONGEST_PAUSE: Final = 30.0
_TRY_AGAIN: Final = (408, 425, 429)
META: Final = ("up", "sentinel_poll_duration_seconds", "sentinel_poll_samples")


class _Run:
    """Series as they are written. Their labels are encoded when they are first needed, which is in a thread: those
    of a large device take longer than the event loop should stand still for."""

    __slots__ = ("_extra", "_heads", "_layout", "_own")

    def __init__(self, own: Labels, layout: Layout, extra: Mapping[str, str]) -> None:
        """
        Args:
            own: the source's labels.
            extra: labels for series that lack them.
        """
        self._own = own
        self._layout = layout
        self._extra = extra
        self._heads: tuple[bytes, ...] | None = None

    def __len__(self) -> int:
        return len(self._layout)

    @property
    def heads(self) -> tuple[bytes, ...]:
        if self._heads is None:
            labelled = (merged(self._own, labels) for labels in self._layout.series)
            self._heads = tuple(wire.head_of(with_extra(labels, self._extra)) for labels in labelled)
        return self._heads

    def without(self, other: _Run) -> list[bytes]:
        """Those that the other has not."""
        kept = frozenset(other.heads)
        return [head for head in self.heads if head not in kept]


@dataclass(slots=True)
class _Known:
    """What has been said of a source."""

    labels: Labels
    layout: Layout
    own: _Run
    meta: tuple[bytes, ...]
    is_up: bool = True
    at: int = 0
    """Milliseconds since 1970 of its newest samples."""


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """Samples of one instant, to be encoded."""

    run: _Run | Sequence[bytes]
    values: Floats | None
    """None: they end."""
    at: int
    """Milliseconds since 1970."""
    successor: _Run | None = None
    """Series that it has go on."""

    def piece(self) -> _Piece:
        if isinstance(self.run, _Run):
            heads: Sequence[bytes] = (
                self.run.heads if self.successor is None else self.run.without(self.successor)
            )
        else:
            heads = self.run
        if self.values is None:
            return heads, np.full(len(heads), STALE), self.at
        there = self.values.view(np.uint64) != ABSENT_BITS
        if there.all():
            return heads, self.values, self.at
        return list(compress(heads, there.tolist())), self.values[there], self.at


_Piece = tuple[Sequence[bytes], Floats, int]
"""Series, values and milliseconds since 1970."""


class RemoteWriter:
    """One store. `append` and `forget` are called with what the head is called with; `run` sends."""

    def __init__(
        self, settings: RemoteWriteSettings, folder: Path, *, clock: Clock, metrics: RemoteMetrics
    ) -> None:
        """
        Raises:
            OSError: the folder cannot be used.
        """
        self._settings = settings
        self._name = settings.name
        self._clock = clock
        self._metrics = metrics
        self._spool = Spool(folder, settings.buffer)
        self._extra = dict(settings.labels)
        self._known: dict[Source, _Known] = {}
        self._kept = 0
        """How many there were after the last look for those that are gone."""
        self._gathered: list[_Gathered] = []
        self._count = 0
        self._turn = asyncio.Lock()
        """Held while a thread uses the spool."""
        self._news = asyncio.Event()
        self._reason = ""

    # Gathering

    def append(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            at = round(batch.at * 1000)
            known = self._known.get(batch.source)
            if batch.up:
                known = self._read(batch, known, at)
            elif known is None:
                known = self._known[batch.source] = self._of(batch)
                known.is_up = False
            elif known.is_up:
                self._add(known.own, None, at)
                known.is_up = False
            if known.meta:
                samples = float(len(batch.reading.layout)) if batch.up else 0.0
                self._add(known.meta, np.array([float(batch.up), batch.duration, samples]), at)

    def forget(self, source: Source) -> None:
        """A removed source: all of its series end now."""
        known = self._known.pop(source, None)
        if known is not None:
            at = round(self._clock.now() * 1000)
            if known.is_up:
                self._add(known.own, None, at)
            self._add(known.meta, None, at)

    def _read(self, batch: Batch, known: _Known | None, at: int) -> _Known:
        reading = batch.reading
        if known is None or known.layout is not reading.layout or known.labels != batch.source.labels:
            before = known.own if known is not None and known.is_up else None
            known = self._known[batch.source] = self._of(batch)
            if before is not None and not batch.source.is_received:  # whose senders say themselves what ends
                self._add(before, None, at, successor=known.own)
        known.is_up, known.at = True, at
        self._add(known.own, reading.values, at)
        return known

    def _prune(self) -> None:
        """Received sources are united without a word: forget those that nothing comes of any more."""
        if len(self._known) > 2 * self._kept + 100:
            newest = max(known.at for known in self._known.values())
            self._known = {
                source: known
                for source, known in self._known.items()
                if not source.is_received or newest - known.at < 3_600_000
            }
            self._kept = len(self._known)

    def _of(self, batch: Batch) -> _Known:
        own, layout = batch.source.labels, batch.reading.layout
        named = (own.updated({"__name__": name}) for name in META if has_meta(batch.source))
        meta = tuple(wire.head_of(with_extra(labels, self._extra)) for labels in named)
        return _Known(own, layout, _Run(own, layout, self._extra), meta)

    def _add(
        self, run: _Run | Sequence[bytes], values: Floats | None, at: int, successor: _Run | None = None
    ) -> None:
        if not len(run):
            return
        if self._count + len(run) > MAX_GATHERED:
            self._metrics.dropped.labels(self._name, "memory").inc(len(run))
            return
        self._gathered.append(_Gathered(run, values, at, successor))
        self._count += len(run)

    # Sending

    async def run(self) -> None:
        """Until cancelled."""
        settings = self._settings
        headers = {"User-Agent": f"sentinel/{sentinel.__version__}"}
        headers |= {name: value.reveal() for name, value in settings.headers.items()}
        if settings.bearer_token is not None:
            headers["Authorization"] = f"Bearer {settings.bearer_token.reveal()}"
        user = (settings.username, settings.password.reveal()) if settings.password is not None else None
        async with (
            httpx.AsyncClient(
                headers=headers,
                auth=user,
                verify=ssl.create_default_context(cafile=settings.ca_file),
                timeout=settings.timeout,
                follow_redirects=False,
                trust_env=False,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._keep_storing())
            group.create_task(self._keep_sending(client))

    async def close(self) -> None:
        """What is gathered goes to the disk; it is sent by the next life of the daemon."""
        await self.flush()
        async with self._turn:
            await asyncio.to_thread(self._spool.close)

    async def flush(self) -> None:
        """Put what is gathered into the spool; also when cancelled meanwhile."""
        await whole(self._flush())

    async def _flush(self) -> None:
        async with self._turn:
            self._prune()
            gathered, self._gathered, self._count = self._gathered, [], 0
            lost, reason = await asyncio.to_thread(self._store, gathered)
            if lost:
                self._metrics.dropped.labels(self._name, "disk").inc(lost)
                self._tell("disk", reason)
            dropped, self._spool.dropped = self._spool.dropped, 0
            if dropped:
                self._metrics.lost_segments.labels(self._name).inc(dropped)
                self._tell(
                    "full", f"more than {self._settings.buffer >> 20} MiB wait; the oldest were given up"
                )
            self._metrics.waiting.labels(self._name).set(self._spool.nbytes)
        if gathered:
            self._news.set()

    def _store(self, gathered: Sequence[_Gathered]) -> tuple[int, str]:
        """Encode, and put on the disk; in a thread.

        Returns:
            how many samples could not be written, and why.
        """
        lost, reason = 0, ""
        for part in _requests([one.piece() for one in gathered]):
            fields = (field for heads, values, at in part for field in wire.series_of(heads, values, at))
            try:
                self._spool.put(wire.compressed(b"".join(fields)))
            except OSError as error:
                lost, reason = lost + sum(len(heads) for heads, _, _ in part), str(error)
        return lost, reason

    async def _keep_storing(self) -> None:
        while True:
            await self._clock.sleep(self._settings.every)
            await self.flush()

    async def _keep_sending(self, client: httpx.AsyncClient) -> None:
        failures = 0
        while True:
            async with self._turn:
                body = await whole(asyncio.to_thread(self._spool.peek))
            if body is None:
                self._news.clear()
                await self._news.wait()
                continue
            pause = await self._sent(client, body)
            if pause is None:
                failures = 0
                async with self._turn:
                    await whole(asyncio.to_thread(self._spool.take))
                    self._metrics.waiting.labels(self._name).set(self._spool.nbytes)
                continue
            failures += 1
            await self._clock.sleep(max(pause, backoff(failures, longest=LONGEST_PAUSE)))

    async def _sent(self, client: httpx.AsyncClient, body: bytes) -> float | None:
        """None when the request is done with; otherwise the seconds to wait at least before it is tried again."""
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        try:
            # Not asyncio.timeout: httpcore gives connections back under a shield that only anyio's scopes respect.
            with anyio.fail_after(self._settings.timeout):
                response = await client.post(self._settings.url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            self._tell("unreachable", str(error) or type(error).__name__)
            self._metrics.requests.labels(self._name, "unreachable").inc()
            return 0.0
        status = response.status_code
        if 200 <= status < 300:
            self._tell("", "")
            self._metrics.requests.labels(self._name, "ok").inc()
            return None
        detail = f"{status} {response.text[:200].strip()!r}"
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            # What it refuses now it refuses again: samples too old, or labels it does not take.
            self._tell("refused", detail)
            self._metrics.requests.labels(self._name, "refused").inc()
            return None
        self._tell("failing", detail)
        self._metrics.requests.labels(self._name, "failing").inc()
        return retry_after(response.headers.get("Retry-After"), now=self._clock.now()) or 0.0

    def _tell(self, reason: str, detail: str) -> None:
        """One line for each change of state."""
        if reason == self._reason:
            return
        self._reason = reason
        facts = {"store": self._name, "reason": reason, "detail": detail}
        if reason:
            log.warning("remote write fails", extra={"facts": facts})
        else:
            log.info("remote write goes on", extra={"facts": {"store": self._name}})


def _requests(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Pieces put together into requests of about MAX_SAMPLES; large pieces are cut."""
    requests: list[list[_Piece]] = []
    room = 0
    for heads, values, at in pieces:
        for start in range(0, len(heads), MAX_SAMPLES):
            part = heads[start : start + MAX_SAMPLES]
            if len(part) > room:
                requests.append([])
                room = MAX_SAMPLES
            requests[-1].append((part, values[start : start + MAX_SAMPLES], at))
            room -= len(part)
    return requests


def with_extra(labels: Labels, extra: Mapping[str, str]) -> Labels:
    """With labels that it lacks."""
    return Labels(dict(extra) | dict(labels)) if extra else labels
