from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from prometheus_client import CollectorRegistry

from sentinel.web.board import Board, read_board
from sentinel.web.live import MAX_FRAMES, MAX_STREAMS, Live, digest
from tests.unit.web.fakes import Rooms, poll


class Counting:
    """Renders the number of targets, and counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def regions(self, board: Board, language: str) -> Mapping[str, str]:
        self.count += 1
        return {"wall": f"{board.targets} targets\n{language}", "fixed": "same"}


class Watched:
    """A live board over fakes."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.rendering = Counting()
        self.registry = CollectorRegistry()
        self.live = Live(self.rooms.faces(), self.rendering, self.registry)

    def watch(
        self, language: str = "en", *, seen: str = "", wants_regions: bool = True
    ) -> AsyncIterator[bytes]:
        frames = self.live.watch(language, wants_regions=wants_regions, seen=seen)
        assert frames is not None
        return frames

    async def seen(self) -> str:
        return digest(self.rendering.regions(await read_board(self.rooms.faces()), "en"))


async def _open(frames: AsyncIterator[bytes]) -> bytes:
    """The first frame that carries something."""
    assert await anext(frames) == b"retry: 1000\n\n"
    return await anext(frames)


async def test_a_new_browser_gets_a_snapshot() -> None:
    watched = Watched()
    first = await _open(watched.watch())
    assert b"event: wall\ndata: 0 targets\ndata: en\n\n" in first
    assert b"event: fixed\ndata: same\n\n" in first
    assert first.endswith(b"event: changed\ndata: 1\n\n")


async def test_a_browser_that_shows_the_present_state_gets_only_what_changes() -> None:
    watched = Watched()
    frames = watched.watch(seen=await watched.seen())
    assert await anext(frames) == b"retry: 1000\n\n"
    next_frame = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    await watched.live.tick()
    watched.rooms.fleet.polls = [poll("a")]
    await watched.live.tick()
    frame = await next_frame
    assert b"data: 1 targets" in frame
    assert b"fixed" not in frame


async def test_one_render_a_tick_and_language_serves_everybody() -> None:
    watched = Watched()
    streams = [watched.watch() for _ in range(5)] + [watched.watch("zh-CN")]
    for stream in streams:
        await _open(stream)
    before = watched.rendering.count
    watched.rooms.fleet.polls = [poll("a")]
    await watched.live.tick()
    assert watched.rendering.count - before == 2
    for stream in streams[:5]:
        assert b"1 targets\ndata: en" in await anext(stream)
    assert b"1 targets\ndata: zh-CN" in await anext(streams[5])


async def test_nothing_changed_nothing_sent_unless_somebody_acted() -> None:
    watched = Watched()
    stream = watched.watch()
    await _open(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await watched.live.tick()
    await asyncio.sleep(0)
    assert not waiting.done()
    await watched.live.tick(is_poked=True)
    assert await waiting == b"event: changed\ndata: 1\n\n"


async def test_a_slow_browser_gets_a_snapshot_in_place_of_its_waiting_frames() -> None:
    watched = Watched()
    stream = watched.watch()
    await _open(stream)
    for count in range(1, MAX_FRAMES + 2):
        watched.rooms.fleet.polls.append(poll(f"t{count}"))
        await watched.live.tick()
    frame = await anext(stream)
    assert f"{MAX_FRAMES + 1} targets".encode() in frame
    assert b"fixed" in frame
    assert watched.registry.get_sample_value("sentinel_web_stream_resyncs_total") == 1


async def test_pages_that_only_want_to_know_when_get_no_regions() -> None:
    watched = Watched()
    stream = watched.watch(wants_regions=False)
    assert await _open(stream) == b"event: changed\ndata: 1\n\n"


async def test_closing_ends_every_stream_and_lets_nobody_in() -> None:
    watched = Watched()
    stream = watched.watch()
    await _open(stream)
    assert watched.registry.get_sample_value("sentinel_web_streams") == 1
    watched.live.close()
    assert [frame async for frame in stream] == []
    assert watched.registry.get_sample_value("sentinel_web_streams") == 0
    assert watched.live.watch("en", wants_regions=True, seen="") is None


async def test_streams_are_bounded() -> None:
    watched = Watched()
    streams = [watched.watch(wants_regions=False) for _ in range(MAX_STREAMS)]
    for stream in streams:
        await _open(stream)
    assert watched.live.watch("en", wants_regions=True, seen="") is None
