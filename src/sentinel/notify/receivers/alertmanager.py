"""A Prometheus Alertmanager: alerts by its API, version 2, told again while they fire.

Source: Alertmanager api/v2/openapi.yaml (postAlerts) and types (Alert.Merge: the latest explicit end wins); a
firing alert's endsAt lies four rounds ahead, as Prometheus' rules manager sets it (sendAlerts).
"""

from __future__ import annotations

import asyncio
from typing import Any

from sentinel.config.receivers.pagers import AlertmanagerSettings
from sentinel.notify.facts import AlertFacts
from sentinel.notify.http import Http, UnreachableError
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.story import page_of, rfc3339
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.upholding import Read

ROUNDS = 4
MAX_ALERTS = 500
"""In one request."""


class Alertmanager:
    kind = "alertmanager"

    def __init__(self, settings: AlertmanagerSettings, around: Surroundings) -> None:
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self.every = settings.every
        self._url = f"{settings.url.reveal().rstrip('/')}/api/v2/alerts"
        self._now = around.now
        headers = {name: value.reveal() for name, value in settings.headers.items()}
        secrets = [settings.url.reveal(), *headers.values()]
        self._http = Http(
            settings, url=self._url, guard=around.guard, now=around.now, secrets=secrets, headers=headers
        )
        # News and what is told again never cross: else an alert could fire again after its end.
        self._turn = asyncio.Lock()

    async def send(self, delivery: Delivery) -> Outcome:
        page = page_of(delivery.facts)
        async with self._turn:
            return await self._post([(alert, page) for alert in delivery.facts["alerts"]])

    async def uphold(self, read: Read) -> Outcome:
        async with self._turn:
            alerts = list(await read())
            outcome = Outcome(Result.DELIVERED)
            for start in range(0, len(alerts), MAX_ALERTS):
                outcome = await self._post(alerts[start : start + MAX_ALERTS])
                if outcome.result is not Result.DELIVERED:
                    break
            return outcome

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, alerts: list[tuple[AlertFacts, str]]) -> Outcome:
        body = [self._alert(alert, page) for alert, page in alerts]
        try:
            answer = await self._http.post_json(self._url, body)
        except UnreachableError as error:
            return Outcome(Result.RETRY, str(error), is_unwell=True)
        return self._http.judged(answer)

    def _alert(self, alert: AlertFacts, page: str) -> dict[str, Any]:
        ends = alert["ends_at"]
        return {
            "labels": alert["labels"],
            "annotations": alert["annotations"],
            "startsAt": rfc3339(alert["starts_at"]),
            "endsAt": rfc3339(self._now() + ROUNDS * self.every if ends is None else ends),
            "generatorURL": page,
        }
