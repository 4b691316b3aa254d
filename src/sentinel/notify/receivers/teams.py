"""Microsoft Teams: an adaptive card to a workflow ("When a Teams webhook request is received").

Source: Microsoft, "Create incoming webhooks with Workflows" and "Format cards in Microsoft Teams": a message
with one attachment, at most 28 KB; four requests a second; the former connectors told of a failure in the
body of an answer with status 200.
"""

from __future__ import annotations

from typing import Any

from sentinel.config.receivers.chat import TeamsSettings
from sentinel.notify.escape import markdown
from sentinel.notify.facts import Facts
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.story import page_of
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.texts import TEXTS
from sentinel.notify.wording import size_in_bytes

MAX_BYTES = 20_000
"""Of the text; the rest of 28 KB is for escapes and the card."""
COLOURS = {"I": "attention", "II": "attention", "III": "warning", "IV": "accent"}


class Teams(Posting):
    kind = "teams"
    limits = (Limit(4, 1),)
    escape = staticmethod(markdown)

    def __init__(self, settings: TeamsSettings, around: Surroundings) -> None:
        self._url = settings.url.reveal()
        self._open_page = TEXTS[settings.language or around.language]["open_page"]
        super().__init__(settings, around, url=self._url, secrets=[self._url])

    async def post(self, delivery: Delivery) -> Outcome:
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": self._card(delivery.facts),
        }
        answer = await self.http.post_json(self._url, {"type": "message", "attachments": [attachment]})
        if answer.is_success and "failed with error" in answer.text:
            return self.later(answer.text, after=60 if "429" in answer.text else None)
        return self.judged(answer)

    def _card(self, facts: Facts) -> dict[str, Any]:
        title = self.wording.text("title", facts, limit=400)
        text = self.wording.text("text", facts, limit=MAX_BYTES, measure=size_in_bytes)
        colour = "good" if facts["event"] == "resolved" else COLOURS[facts["grade"]]
        heading = {"type": "TextBlock", "size": "large", "weight": "bolder", "wrap": True, "color": colour}
        return {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [heading | {"text": title}, {"type": "TextBlock", "text": text, "wrap": True}],
            "actions": [{"type": "Action.OpenUrl", "title": self._open_page, "url": page_of(facts)}],
        }
