"""Live pages: the board is rendered once a tick and language, and what changed goes to every browser."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from sentinel.web.board import Board, read_board
from sentinel.web.seams.faces import Faces

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at the board while somebody watches."""
BEAT = 10.0
"""Seconds after which a silent stream says that it is alive."""
MAX_FRAMES = 32
"""Frames that wait for one browser before they are replaced by one snapshot."""
MAX_STREAMS = 500

_BEAT = b"event: beat\ndata: 1\n\n"
_CHANGED = b"event: changed\ndata: 1\n\n"


class Rendering(Protocol):
    """Turns a board into the regions of the page."""

    def regions(self, board: Board, language: str, /) -> Mapping[str, str]: ...


class LiveMetrics:
    """Own metrics of the live pages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = Gauge("sentinel_web_streams", "Browsers that watch live pages.", registry=registry)
        self.resyncs = Counter(
            "sentinel_web_stream_resyncs",
            "Times a slow browser lost its waiting frames and got a snapshot instead.",
            registry=registry,
        )


class Stream:
    """One browser's frames; bounded, and a browser that falls behind gets a snapshot in their place."""

    def __init__(self, language: str, *, wants_regions: bool) -> None:
        self.language = language
        self.wants_regions = wants_regions
        self._frames: deque[bytes] = deque()
        self._is_behind = False
        self._is_closed = False
        self._news = asyncio.Event()

    def put(self, frame: bytes) -> bool:
        """Add a frame; False when the browser was too slow and needs a snapshot."""
        if len(self._frames) >= MAX_FRAMES:
            self._frames.clear()
            self._is_behind = True
        if not self._is_behind:
            self._frames.append(frame)
        self._news.set()
        return not self._is_behind

    def catch_up(self, snapshot: bytes) -> None:
        """Put a snapshot in place of everything that waits."""
        self._frames.clear()
        self._frames.append(snapshot)
        self._is_behind = False
        self._news.set()

    def close(self) -> None:
        self._is_closed = True
        self._news.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """What to send, with a beat when there is nothing else, until closed."""
        while not self._is_closed:
            try:
                async with asyncio.timeout(BEAT):
                    await self._news.wait()
            except TimeoutError:
                yield _BEAT
                continue
            self._news.clear()
            while self._frames:
                yield self._frames.popleft()


class Live:
    """Renders the board for everybody who watches."""

    def __init__(self, faces: Faces, rendering: Rendering, registry: CollectorRegistry) -> None:
        self._faces = faces
        self._rendering = rendering
        self._metrics = LiveMetrics(registry)
        self._streams: set[Stream] = set()
        self._regions: dict[str, Mapping[str, str]] = {}
        self._is_closed = False
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Look at the board now rather than at the next tick: somebody has just changed something."""
        self._poked.set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for stream in self._streams:
            stream.close()

    async def run(self) -> None:
        """Ticks until cancelled; rests while nobody watches."""
        self._is_closed = False
        while True:
            is_poked = self._poked.is_set()
            self._poked.clear()
            if self._streams:
                await self.tick(is_poked=is_poked)
            try:
                async with asyncio.timeout(TICK):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def tick(self, *, is_poked: bool = False) -> None:
        """Broadcast what changed since the last tick."""
        board = await read_board(self._faces)
        changed: dict[str, bytes] = {}
        for language in {stream.language for stream in self._streams}:
            before = self._regions.get(language, {})
            after = self._regions[language] = self._rendering.regions(board, language)
            news = {name: html for name, html in after.items() if before.get(name) != html}
            changed[language] = _frames(news)
        if not is_poked and not any(changed.values()):
            return
        for stream in tuple(self._streams):
            frame = changed.get(stream.language, b"") if stream.wants_regions else b""
            if not stream.put(frame + _CHANGED):
                self._metrics.resyncs.inc()
                stream.catch_up(self._snapshot(stream))

    def watch(self, language: str, *, wants_regions: bool, seen: str) -> AsyncIterator[bytes] | None:
        """A new browser's frames: a snapshot first unless it shows the present state already; None when full.

        Args:
            seen: the digest of the regions that the page was rendered with.
        """
        if len(self._streams) >= MAX_STREAMS or self._is_closed:
            return None
        return self._sent(Stream(language, wants_regions=wants_regions), seen)

    async def _sent(self, stream: Stream, seen: str) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        if stream.language not in self._regions or not self._streams:
            board = await read_board(self._faces)
            self._regions[stream.language] = self._rendering.regions(board, stream.language)
        if digest(self._regions[stream.language]) != seen:
            stream.catch_up(self._snapshot(stream))
        self._streams.add(stream)
        self._metrics.streams.inc()
        try:
            async for frame in stream.frames():
                yield frame
        finally:
            self._streams.discard(stream)
            self._metrics.streams.dec()

    def _snapshot(self, stream: Stream) -> bytes:
        regions = self._regions.get(stream.language, {}) if stream.wants_regions else {}
        return _frames(regions) + _CHANGED


def digest(regions: Mapping[str, str]) -> str:
    """Names what a page shows."""
    text = "\0".join(f"{name}\0{html}" for name, html in sorted(regions.items()))
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def _frames(regions: Mapping[str, str]) -> bytes:
    """Regions as server-sent events; every line of the HTML is a data line of its own."""
    parts = []
    for name, html in regions.items():
        lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
        parts.append(f"event: {name}\n{lines or 'data: <!-- -->'}\n".encode(errors="replace"))
    return b"".join(parts)
