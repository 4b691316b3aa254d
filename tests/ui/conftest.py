from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request
from prometheus_client import CollectorRegistry

from sentinel.runtime.clock import SystemClock
from sentinel.web.app import create_app
from sentinel.web.server import listen, serve
from tests.servers.browser import browser as chromium
from tests.unit.web.fakes import Rooms

CATCH_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class Site:
    """The application over fakes, on a port that stays the same over restarts."""

    def __init__(self) -> None:
        self.rooms = Rooms(clock=SystemClock())
        self._bound = listen("127.0.0.1", 0)
        self.port = self._bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._bound.fileno() < 0:
            self._bound = listen("127.0.0.1", self.port)
        app = create_app(self.rooms.faces(), CollectorRegistry())
        self._task = asyncio.create_task(serve(app, self._bound))

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._bound.close()


class Visit:
    """A page with everything that went wrong on it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.transferred = 0
        self._site = site

    async def watch(self) -> None:
        await self.page.add_init_script(CATCH_VIOLATIONS)
        self.page.on("pageerror", self._failed)
        self.page.on("console", self._told)
        self.page.on("request", self._sent)
        session = await self.page.context.new_cdp_session(self.page)
        await session.send("Network.enable")

        def loaded(event: dict[str, float]) -> None:
            self.transferred += int(event["encodedDataLength"])

        session.on("Network.loadingFinished", loaded)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _sent(self, request: Request) -> None:
        if not request.url.startswith(self._site.url):
            self.outside.append(request.url)

    async def violations(self) -> list[str]:
        found: list[str] = await self.page.evaluate("window.violations")
        return found


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.start()
    yield site
    await site.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
def visit(site: Site, browser: Browser) -> Callable[..., Awaitable[Visit]]:
    """Opens pages of the site, each in a fresh browser context."""

    async def opened(path: str = "/", **context: object) -> Visit:
        page = await (await browser.new_context(**context)).new_page()  # type: ignore[arg-type]
        visit = Visit(page, site)
        await visit.watch()
        await page.goto(site.url + path)
        return visit

    return opened
