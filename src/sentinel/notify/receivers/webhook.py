"""Webhook: Alertmanager's payload version 4 by HTTP POST.

Source: Alertmanager notify/webhook (Message) and template (Data); a firing alert's endsAt is Go's zero time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

import sentinel
from sentinel.config.notify import WebhookSettings
from sentinel.incidents.book import one_line
from sentinel.notify.facts import AlertFacts, Facts
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.redaction import Redaction
from sentinel.runtime.retry import retry_after

ZERO_TIME = "0001-01-01T00:00:00Z"
MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""
MAX_READ = 4096
MAX_DETAIL = 200
"""Characters of an answer that go into the log and the timeline."""
READ_OUT = 0.5
"""Seconds; the status has been read by then, so nothing depends on it."""
_TRY_AGAIN = (408, 425, 429)
_UNWELL = (429, 502, 503, 504)


class Webhook:
    kind = "webhook"

    def __init__(self, settings: WebhookSettings, *, now: Callable[[], float]) -> None:
        self._name = settings.name
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._url = settings.url.reveal()
        self._now = now
        headers = {name: value.reveal() for name, value in settings.headers.items()}
        self._redaction = Redaction([self._url, *headers.values()])
        self._client = httpx.AsyncClient(
            headers={"User-Agent": f"sentinel/{sentinel.__version__}"} | headers,
            verify=ssl.create_default_context(cafile=settings.ca_file),
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=settings.concurrency, keepalive_expiry=30),
        )

    async def send(self, delivery: Delivery) -> Outcome:
        headers = {"Content-Type": "application/json", "Idempotency-Key": delivery.key}
        body = orjson.dumps(payload(delivery.facts, receiver=self._name))
        request = self._client.build_request("POST", self._url, content=body, headers=headers)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            return Outcome(Result.RETRY, _reason(error), is_unwell=True)
        try:
            return await self._judged(response)
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._client.aclose()

    async def _judged(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        if 200 <= status < 300:
            await _read_out(response)
            return Outcome(Result.DELIVERED, str(status))
        if 300 <= status < 400:
            return Outcome(Result.RETRY, f"{status}: redirects are not followed, correct the url")
        answer = one_line(self._redaction.of(await _beginning(response)), MAX_DETAIL)
        detail = f"{status} {answer}".strip()
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            return Outcome(Result.REFUSED, detail)
        wait = retry_after(response.headers.get("Retry-After"), now=self._now())
        return Outcome(Result.RETRY, detail, retry_after=wait, is_unwell=status in _UNWELL)


def payload(facts: Facts, *, receiver: str) -> dict[str, Any]:
    """The body: Alertmanager's, and one object of ours."""
    url = f"{facts['external_url']}/incidents/{facts['incident']}"
    is_firing = facts["event"] != "resolved" and any(alert["status"] == "firing" for alert in facts["alerts"])
    labels = [alert["labels"] for alert in facts["alerts"]]
    annotations = [alert["annotations"] for alert in facts["alerts"]]
    return {
        "version": "4",
        "groupKey": f"{{}}:{facts['key']}",
        "truncatedAlerts": facts["truncated"],
        "status": "firing" if is_firing else "resolved",
        "receiver": receiver,
        "groupLabels": facts["grouping"],
        "commonLabels": common(labels),
        "commonAnnotations": common(annotations),
        "externalURL": facts["external_url"],
        "alerts": [_alert(alert, url) for alert in facts["alerts"]],
        "sentinel": {
            "incident": facts["incident"],
            "grade": facts["grade"],
            "state": facts["state"],
            "root": facts["target"],
            "symptoms": max(0, facts["total"] - 1),
            "url": url,
            "reason": facts["reason"],
        },
    }


def _alert(alert: AlertFacts, url: str) -> dict[str, Any]:
    return {
        "status": alert["status"],
        "labels": alert["labels"],
        "annotations": alert["annotations"],
        "startsAt": rfc3339(alert["starts_at"]),
        "endsAt": ZERO_TIME if alert["ends_at"] is None else rfc3339(alert["ends_at"]),
        "generatorURL": url,
        "fingerprint": alert["fingerprint"],
    }


def common(sets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them have, with the same value."""
    everything = list(sets)
    if not everything:
        return {}
    first, *others = everything
    return {name: value for name, value in first.items() if all(o.get(name) == value for o in others)}


def rfc3339(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


async def _read_out(response: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can serve the next message."""
    count = 0
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(READ_OUT):
            async for chunk in response.aiter_raw(4096):
                count += len(chunk)
                if count >= MAX_ANSWER:
                    return


async def _beginning(response: httpx.Response) -> str:
    """The beginning of an answer, bounded."""
    content = b""
    try:
        async for chunk in response.aiter_bytes(4096):
            content += chunk
            if len(content) >= MAX_ANSWER:
                break
    except httpx.HTTPError:
        pass
    return content[:MAX_READ].decode("utf-8", "replace")


def _reason(error: httpx.HTTPError) -> str:
    """What went wrong, without the address: it may carry a token."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {str(error)[:200]}"
    return f"connection failed: {type(error).__name__}"
