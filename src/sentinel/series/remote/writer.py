"""Remote write: every sample that the head takes goes to another store, once it is on disk.

Samples are gathered for some seconds, encoded, put into the spool and sent from there in their order, one request
at a time. While the store is away they wait on disk; the oldest are given up when there is no room.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np

import sentinel
from sentinel.config.remote import RemoteWriteSettings
from sentinel.model.batch import STALE, Batch, Floats, Layout, Source
from sentinel.model.labels import Labels
from sentinel.runtime.clock import Clock
from sentinel.runtime.retry import retry_after
from sentinel.runtime.supervise import backoff
from sentinel.series.placing import merged
from sentinel.series.remote import wire
from sentinel.series.remote.metrics import RemoteMetrics
from sentinel.series.remote.spool import Spool

log = logging.getLogger(__name__)

MAX_SAMPLES: Final = 10_000
"""Of one request."""

MAX_GATHERED: Final = 2_000_000
"""Samples in memory; what comes while there are more is dropped and counted."""

LONGEST_PAUSE: Final = 300.0
_TRY_AGAIN: Final = (408, 425, 429)
META: Final = ("up", "sentinel_poll_duration_seconds", "sentinel_poll_samples")


@dataclass(slots=True)
class _Known:
    """What has been said of a source."""

    labels: Labels
    layout: Layout
    heads: tuple[bytes, ...]
    """Of its own series, in the layout's order."""
    meta: tuple[bytes, ...]
    is_up: bool = True


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
        self._gathered: list[_Piece] = []
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
                self._stale(known.heads, at)
                known.is_up = False
            if known.meta:
                samples = float(len(batch.reading.layout)) if batch.up else 0.0
                self._add(known.meta, np.array([float(batch.up), batch.duration, samples]), at)

    def forget(self, source: Source) -> None:
        """A removed source: all of its series end now."""
        known = self._known.pop(source, None)
        if known is not None:
            at = round(self._clock.now() * 1000)
            self._stale([*(known.heads if known.is_up else ()), *known.meta], at)

    def _read(self, batch: Batch, known: _Known | None, at: int) -> _Known:
        reading = batch.reading
        if known is None or known.layout is not reading.layout or known.labels != batch.source.labels:
            before = known.heads if known is not None and known.is_up else ()
            known = self._known[batch.source] = self._of(batch)
            kept = frozenset(known.heads)
            self._stale([head for head in before if head not in kept], at)
        known.is_up = True
        self._add(known.heads, reading.values, at)
        return known

    def _of(self, batch: Batch) -> _Known:
        own = batch.source.labels
        heads = (wire.head_of(self._labelled(merged(own, labels))) for labels in batch.reading.layout.series)
        meta = [wire.head_of(self._labelled(own.updated({"__name__": name}))) for name in META if own]
        return _Known(own, batch.reading.layout, tuple(heads), tuple(meta))

    def _labelled(self, labels: Labels) -> Labels:
        return Labels(self._extra | dict(labels)) if self._extra else labels

    def _stale(self, heads: Sequence[bytes], at: int) -> None:
        if heads:
            self._add(heads, np.full(len(heads), STALE), at)

    def _add(self, heads: Sequence[bytes], values: Floats, at: int) -> None:
        if self._count + len(heads) > MAX_GATHERED:
            self._metrics.dropped.labels(self._name, "memory").inc(len(heads))
            return
        self._gathered.append((heads, values, at))
        self._count += len(heads)

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
        """Put what is gathered into the spool."""
        async with self._turn:
            pieces, self._gathered, self._count = self._gathered, [], 0
            for part in _requests(pieces):
                try:
                    await asyncio.to_thread(self._store, part)
                except OSError as error:
                    self._metrics.dropped.labels(self._name, "disk").inc(
                        sum(len(heads) for heads, _, _ in part)
                    )
                    self._tell("disk", str(error))
            dropped, self._spool.dropped = self._spool.dropped, 0
            if dropped:
                self._metrics.lost_segments.labels(self._name).inc(dropped)
                self._tell(
                    "full", f"more than {self._settings.buffer >> 20} MiB wait; the oldest were given up"
                )
            self._metrics.waiting.labels(self._name).set(self._spool.nbytes)
        if pieces:
            self._news.set()

    def _store(self, pieces: list[_Piece]) -> None:
        body = b"".join(field for heads, values, at in pieces for field in wire.series_of(heads, values, at))
        self._spool.put(wire.compressed(body))

    async def _keep_storing(self) -> None:
        while True:
            await self._clock.sleep(self._settings.every)
            await self.flush()

    async def _keep_sending(self, client: httpx.AsyncClient) -> None:
        failures = 0
        while True:
            async with self._turn:
                body = await asyncio.to_thread(self._spool.peek)
            if body is None:
                self._news.clear()
                await self._news.wait()
                continue
            pause = await self._sent(client, body)
            if pause is None:
                failures = 0
                async with self._turn:
                    await asyncio.to_thread(self._spool.take)
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
            async with asyncio.timeout(self._settings.timeout):
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
