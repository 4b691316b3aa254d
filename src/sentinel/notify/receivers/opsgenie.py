"""Opsgenie alerts, version 2: created, acknowledged and closed by alias; Jira Service Management takes the same.

Source: Opsgenie documentation, "Alert API": message 130, alias 512, description 15,000, source and user 100
characters, priority P1 to P5; 202 with a requestId, 422 not an alert, 429 too often.
"""

from __future__ import annotations

from typing import Any

from sentinel.config.receivers.pagers import OpsgenieSettings
from sentinel.incidents.book import one_line
from sentinel.notify.facts import Facts
from sentinel.notify.receiver import Delivery, Outcome
from sentinel.notify.receivers.identity import identity_of
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.story import page_of
from sentinel.notify.surroundings import Surroundings

PRIORITIES = {"I": "P1", "II": "P2", "III": "P3", "IV": "P4"}
ACTIONS = {"acknowledged": "acknowledge", "resolved": "close"}
MAX_MESSAGE = 130
MAX_DESCRIPTION = 15_000


class Opsgenie(Posting):
    kind = "opsgenie"

    def __init__(self, settings: OpsgenieSettings, around: Surroundings) -> None:
        key = settings.api_key.reveal()
        self._url = f"{settings.url.rstrip('/')}/v2/alerts"
        self._teams = [{"type": "team", "name": name} for name in settings.teams]
        self._tags = list(settings.tags)
        headers = {"Authorization": f"GenieKey {key}"}
        super().__init__(settings, around, url=self._url, secrets=[key], headers=headers)

    async def post(self, delivery: Delivery) -> Outcome:
        facts, alias = delivery.facts, identity_of(delivery.facts)
        action = ACTIONS.get(delivery.event)
        if action is None:
            answer = await self.http.post_json(self._url, self._alert(facts, alias))
        else:
            by = facts["resolved_by"] if delivery.event == "resolved" else facts["acknowledged_by"]
            body = {
                "source": "Sentinel",
                "user": one_line(by, 100) or "Sentinel",
                "note": one_line(facts["reason"], 500),
            }
            answer = await self.http.post_json(f"{self._url}/{alias}/{action}?identifierType=alias", body)
        return self.judged(answer)

    def _alert(self, facts: Facts, alias: str) -> dict[str, Any]:
        alert: dict[str, Any] = {
            "message": self.wording.text("message", facts, limit=MAX_MESSAGE),
            "alias": alias,
            "description": self.wording.text("description", facts, limit=MAX_DESCRIPTION),
            "priority": PRIORITIES[facts["grade"]],
            "source": "Sentinel",
            "entity": one_line(facts["target"], 512),
            "details": {"incident": page_of(facts)} | {k: v[:1000] for k, v in facts["grouping"].items()},
        }
        if self._teams:
            alert["responders"] = self._teams
        if self._tags:
            alert["tags"] = self._tags
        return alert
