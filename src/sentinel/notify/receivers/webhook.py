"""Webhook: Alertmanager's payload version 4 by HTTP POST, signed on request.

Source: Alertmanager notify/webhook (Message) and template (Data); a firing alert's endsAt is Go's zero time.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson

from sentinel.config.receivers.web import WebhookSettings
from sentinel.notify.facts import AlertFacts, Facts
from sentinel.notify.http import Http, UnreachableError
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.story import common, page_of, rfc3339
from sentinel.notify.surroundings import Surroundings

ZERO_TIME = "0001-01-01T00:00:00Z"
SIGNATURE = "X-Sentinel-Signature"


class Webhook:
    kind = "webhook"

    def __init__(self, settings: WebhookSettings, around: Surroundings) -> None:
        self._name = settings.name
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._url = settings.url.reveal()
        self._secret = settings.secret.reveal() if settings.secret else ""
        self._now = around.now
        headers = {name: value.reveal() for name, value in settings.headers.items()}
        secrets = [self._url, self._secret, *headers.values()]
        self._http = Http(
            settings, url=self._url, guard=around.guard, now=around.now, secrets=secrets, headers=headers
        )

    async def send(self, delivery: Delivery) -> Outcome:
        body = orjson.dumps(payload(delivery.facts, receiver=self._name))
        headers = {"Content-Type": "application/json", "Idempotency-Key": delivery.key}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, body, at=int(self._now()))
        try:
            answer = await self._http.ask(self._url, body, headers=headers, needs_body=False)
        except UnreachableError as error:
            return Outcome(Result.RETRY, str(error), is_unwell=True)
        return self._http.judged(answer)

    async def close(self) -> None:
        await self._http.close()


def signature(secret: str, body: bytes, *, at: int) -> str:
    """t=UNIX SECONDS,v1=HEX: HMAC-SHA256 with the secret over the seconds, a dot and the body."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def payload(facts: Facts, *, receiver: str) -> dict[str, Any]:
    """The body: Alertmanager's, and one object of ours."""
    url = page_of(facts)
    is_firing = facts["event"] != "resolved" and any(alert["status"] == "firing" for alert in facts["alerts"])
    labels = [alert["labels"] for alert in facts["alerts"]]
    annotations = [alert["annotations"] for alert in facts["alerts"]]
    return {
        "version": "4",
        "groupKey": facts["group_key"],
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
