"""Every other service: the Apprise library by a URL, in a thread of its own with the deadline of any receiver.

Source: Apprise documentation, "URL Basics" (cto and rto: seconds to connect and to read; overflow).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

from sentinel.config.receivers.web import AppriseSettings
from sentinel.incidents.book import one_line
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.redaction import Redaction
from sentinel.notify.surroundings import Surroundings

MAX_TITLE = 250
MAX_BODY = 30_000
TYPES = {"I": "failure", "II": "failure", "III": "warning", "IV": "info"}
_LOGGERS = ("apprise", "urllib3", "requests_oauthlib")


class Apprise:
    kind = "apprise"

    def __init__(self, settings: AppriseSettings, around: Surroundings) -> None:
        if around.guard.is_narrow:
            raise OSError("Apprise connects by itself and cannot keep to [notify] networks")
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._wording = around.wording(self.kind, settings)
        url = settings.url.reveal()
        self._redaction = Redaction([url])
        self._said = _Said.installed()
        self._service = _service(url, timeout=settings.timeout)
        self._free = asyncio.Semaphore(settings.concurrency)

    async def send(self, delivery: Delivery) -> Outcome:
        facts = delivery.facts
        kind = "success" if delivery.event == "resolved" else TYPES[facts["grade"]]
        title = self._wording.text("title", facts, limit=MAX_TITLE)
        body = self._wording.text("body", facts, limit=MAX_BODY)
        # A thread that hangs keeps its place: what does not end is not started again and again.
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[bool, str]] = loop.create_future()

        def settle(result: tuple[bool, str]) -> None:
            self._free.release()
            if not ended.done():
                ended.set_result(result)

        def work() -> None:
            result = self._notify(title, body, kind)
            with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(settle, result)

        # A daemon thread: one that hangs must not hold up the end of the process.
        threading.Thread(target=work, name="apprise", daemon=True).start()
        is_sent, said = await ended
        detail = one_line(self._redaction.of(said), 200)
        return Outcome(Result.DELIVERED if is_sent else Result.RETRY, detail, is_unwell=not is_sent)

    async def close(self) -> None:
        """Apprise keeps nothing open."""

    def _notify(self, title: str, body: str, kind: str) -> tuple[bool, str]:
        self._said.begin()
        try:
            is_sent = bool(self._service.notify(title=title, body=body, notify_type=kind))
        except Exception as error:  # noqa: BLE001  a plugin's bug is a failed attempt
            return False, f"Apprise failed: {type(error).__name__}"
        return is_sent, "taken" if is_sent else self._said.lines() or "not taken"


def _service(url: str, *, timeout: float) -> Any:
    """
    Raises:
        OSError: Apprise does not know such a service, or the URL lacks something.
    """
    import apprise

    asset = apprise.AppriseAsset(
        storage_mode="memory",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        pgp_autogen=False,
        pem_autogen=False,
        service_timeout=timeout,
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        scheme = url.partition("://")[0]
        raise OSError(f"Apprise does not take this URL of {scheme}:// (its documentation lists services)")
    return service


class _Said(logging.Handler):
    """Keeps what Apprise logs in each thread, out of our log: its lines may carry tokens."""

    _one: _Said | None = None

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._here = threading.local()

    @classmethod
    def installed(cls) -> _Said:
        if cls._one is None:
            cls._one = cls()
            for name in _LOGGERS:
                logger = logging.getLogger(name)
                logger.handlers[:] = [cls._one]
                logger.propagate = False
                logger.setLevel(logging.WARNING)
        return cls._one

    def begin(self) -> None:
        self._here.lines = []

    def lines(self) -> str:
        return "; ".join(getattr(self._here, "lines", []))

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(self._here, "lines", None)
        if lines is not None and len(lines) < 5:
            lines.append(record.getMessage()[:500])
