"""Telegram bot: sendMessage with HTML; the verdict is `ok` in the body.

Source: Telegram Bot API, "Making requests" (ok, error_code, description, parameters.retry_after),
"sendMessage" (4096 characters after entities); Bots FAQ: one message a second into a chat, 20 a minute into
a group.
"""

from __future__ import annotations

import re
from typing import Any

from sentinel.config.receivers.chat import TelegramSettings
from sentinel.notify.escape import entities
from sentinel.notify.http import Answer
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.surroundings import Surroundings
from sentinel.runtime.retry import MAX_RETRY_AFTER

MAX_TEXT = 4096
_TAG = re.compile(r"<[^>]*>")


class Telegram(Posting):
    kind = "telegram"
    limits = (Limit(1, 1), Limit(20, 60))
    escape = staticmethod(entities)

    def __init__(self, settings: TelegramSettings, around: Surroundings) -> None:
        token = settings.token.reveal()
        self._url = f"{settings.api_url.rstrip('/')}/bot{token}/sendMessage"
        self._place: dict[str, Any] = {"chat_id": settings.chat_id}
        if settings.thread is not None:
            self._place["message_thread_id"] = settings.thread
        super().__init__(settings, around, url=self._url, secrets=[token, f"bot{token}"])

    async def post(self, delivery: Delivery) -> Outcome:
        text = self.wording.text("text", delivery.facts, limit=MAX_TEXT)
        answer = await self._say({"text": text, "parse_mode": "HTML"})
        if answer.status == 400 and "can't parse entities" in answer.text:
            # A template of the operator's, or a text cut inside a tag: better plain than not at all.
            answer = await self._say({"text": _TAG.sub("", text).strip() or "…"})
        return self._verdict(answer)

    async def _say(self, message: dict[str, Any]) -> Answer:
        body = self._place | message | {"link_preview_options": {"is_disabled": True}}
        return await self.http.post_json(self._url, body)

    def _verdict(self, answer: Answer) -> Outcome:
        verdict = answer.json()
        if answer.is_success and verdict.get("ok") is True:
            return Outcome(Result.DELIVERED, "ok")
        code = verdict.get("error_code", answer.status)
        told = f"{code} {verdict.get('description', answer.text)}"
        parameters = verdict.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
        if code == 429 and isinstance(wait, int):
            return self.later(told, after=min(float(wait), MAX_RETRY_AFTER))
        if code == 404:  # of a token that is none
            return self.later(told)
        return self.later(told) if answer.is_success else self.judged(answer)
