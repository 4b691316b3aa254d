"""Feishu or Lark (飞书) custom robot: an interactive card by POST, signed in the body; the verdict is `code`.

Source: Feishu open platform, "自定义机器人使用指南": sign = Base64 of HMAC-SHA256 with the key
"timestamp\\nsecret" over nothing, timestamp in seconds and at most an hour off; a body of at most 20 KB;
100 messages a minute and 5 a second; codes 9499 (bad request), 11232 and 11233 (too often), 19001 (token),
19021 (signature), 19022 (address), 19024 (keyword).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from sentinel.config.receivers.chat import FeishuSettings
from sentinel.notify.escape import markdown
from sentinel.notify.facts import Facts
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.story import page_of
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.texts import TEXTS
from sentinel.notify.wording import size_in_bytes

MAX_BYTES = 14_000
"""Of the text; the rest of 20 KB is for escapes and the card."""
TOO_OFTEN = (11232, 11233)
ABOUT_US = (None, 19001, 19021, 19022)
COLOURS = {"I": "red", "II": "orange", "III": "yellow", "IV": "blue"}


class Feishu(Posting):
    kind = "feishu"
    limits = (Limit(5, 1), Limit(100, 60))
    escape = staticmethod(markdown)

    def __init__(self, settings: FeishuSettings, around: Surroundings) -> None:
        self._url = settings.url.reveal()
        self._secret = settings.secret.reveal() if settings.secret else ""
        self._mention = "".join(f"<at id={person}></at>" for person in settings.mention)
        self._open_page = TEXTS[settings.language or around.language]["open_page"]
        super().__init__(settings, around, url=self._url, secrets=[self._url, self._secret])

    async def post(self, delivery: Delivery) -> Outcome:
        body: dict[str, Any] = {"msg_type": "interactive", "card": self._card(delivery.facts)}
        if self._secret:
            stamp = int(self.now())
            body |= {"timestamp": str(stamp), "sign": sign(self._secret, stamp)}
        answer = await self.http.post_json(self._url, body)
        verdict = answer.json()
        code = verdict.get("code", verdict.get("StatusCode"))
        if answer.is_success and code == 0:
            return Outcome(Result.DELIVERED, "code 0")
        told = f"code {code} {verdict.get('msg', answer.text)}"
        if code in TOO_OFTEN:
            return self.later(told, after=60)
        if not answer.is_success and code not in ABOUT_US:
            return self.judged(answer)
        if not answer.is_success and code is None:
            return self.judged(answer)
        return self.later(told) if code in ABOUT_US else self.refused(told)

    def _card(self, facts: Facts) -> dict[str, Any]:
        title = self.wording.text("title", facts, limit=200)
        text = self.wording.text("text", facts, limit=MAX_BYTES, measure=size_in_bytes)
        if self._mention and facts["event"] == "firing":
            text += f"\n{self._mention}"
        colour = {"resolved": "green", "acknowledged": "grey"}.get(facts["event"], COLOURS[facts["grade"]])
        button = {
            "tag": "button",
            "type": "primary",
            "text": {"tag": "plain_text", "content": self._open_page},
            "url": page_of(facts),
        }
        return {
            "config": {"wide_screen_mode": True},
            "header": {"template": colour, "title": {"tag": "plain_text", "content": title}},
            "elements": [{"tag": "markdown", "content": text}, {"tag": "action", "actions": [button]}],
        }


def sign(secret: str, stamp: int) -> str:
    """
    Args:
        stamp: Unix seconds.
    """
    digest = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
