"""Slack incoming webhook: blocks by POST; Mattermost and Rocket.Chat take the text beside them.

Source: Slack, "Sending messages using incoming webhooks" (errors by status and a word), "Rate limits" (one
message a second, 429 with Retry-After), "Blocks" (header 150, section 3000 characters).
"""

from __future__ import annotations

from typing import Any

from sentinel.config.receivers.chat import SlackSettings
from sentinel.notify.escape import entities
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.story import page_of
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.texts import TEXTS

MAX_HEADER = 150
MAX_SECTION = 3000
_EVERYBODY = ("here", "channel", "everyone")


class Slack(Posting):
    kind = "slack"
    limits = (Limit(1, 1),)
    escape = staticmethod(entities)

    def __init__(self, settings: SlackSettings, around: Surroundings) -> None:
        self._url = settings.url.reveal()
        self._mention = " ".join(
            f"<!{person}>" if person in _EVERYBODY else f"<@{person}>" for person in settings.mention
        )
        self._open_page = TEXTS[settings.language or around.language]["open_page"]
        super().__init__(settings, around, url=self._url, secrets=[self._url])

    async def post(self, delivery: Delivery) -> Outcome:
        facts = delivery.facts
        title = self.wording.text("title", facts, limit=MAX_HEADER)
        mention = f"{self._mention}\n" if self._mention and delivery.event == "firing" else ""
        text = mention + self.wording.text("text", facts, limit=MAX_SECTION - len(mention))
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": self._open_page},
            "url": page_of(facts),
        }
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": title}},
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "actions", "elements": [button]},
        ]
        answer = await self.http.post_json(self._url, {"text": title, "blocks": blocks}, needs_body=False)
        return self.judged(answer)
