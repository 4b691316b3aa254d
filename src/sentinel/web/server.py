"""uvicorn inside the daemon's event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from sentinel.runtime.sockets import ListenError
from sentinel.web.live import Live

BACKLOG = 1024
MAX_CONNECTIONS = 2000
GRACE = 3
"""Seconds that requests under way get when the daemon stops; streams end at once."""
STOP_DEADLINE = 5.0


class _Server(uvicorn.Server):
    """Signals are the daemon's business."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ListenError: taken, not allowed, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        place = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        hint = "; change [web] listen, or stop what runs there"
        raise ListenError(
            f"cannot listen on {place}: {(error.strerror or str(error)).lower()}{hint}"
        ) from None
    bound.setblocking(False)
    return bound


async def serve(app: FastAPI, bound: socket.socket) -> None:
    """Serve until cancelled; then ends within STOP_DEADLINE, open streams or not.

    `bound` stays open, so that serving can start again after a bug.
    """
    live: Live = app.state.live
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE,
            backlog=BACKLOG,
        )
    )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[bound.dup()]), name="http server")
        ticking = group.create_task(live.run(), name="live pages")
        try:
            # Waiting, unlike awaiting, leaves the server running when this task is cancelled: it ends in order.
            await asyncio.wait({serving, ticking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ticking.cancel()
            live.close()
            server.should_exit = True
            await asyncio.wait({serving}, timeout=STOP_DEADLINE)
