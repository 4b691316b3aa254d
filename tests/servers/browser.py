"""Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.servers.debian import PREFIX, environment, program

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """The browser itself: an unpacked package's /usr/bin script looks for files in /etc."""
    unpacked: Path = PREFIX / "usr/lib/chromium/chromium"
    return str(unpacked) if unpacked.exists() else program("chromium")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium(), env=dict(environment()), args=list(ARGUMENTS)
        )
        try:
            yield started
        finally:
            await started.close()
