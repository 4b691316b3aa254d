"""DingTalk (钉钉) custom robot: markdown by POST, signed in the address; the verdict is errcode with HTTP 200.

Source: DingTalk open platform, "自定义机器人接入" and "自定义机器人安全设置": sign = Base64 of HMAC-SHA256 with
the secret over "timestamp\\nsecret", timestamp in milliseconds and at most an hour off; a body of at most
20,000 bytes; 20 messages a minute, then none is taken for ten minutes; errcodes -1, 130101, 410100 (too
often), 310000 (security settings: keyword, signature or address), 300001 and 300005 (token).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote_plus

from sentinel.config.receivers.chat import DingtalkSettings
from sentinel.notify.escape import markdown
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.wording import size_in_bytes

MAX_BYTES = 15_000
"""Of the text; the rest of 20,000 is for escapes, the title and mentions."""
TOO_OFTEN = (130101, 410100)
WRONG_TOKEN = (300001, 300005)
BUSY = (None, -1)
SECURITY = 310000


class Dingtalk(Posting):
    kind = "dingtalk"
    limits = (Limit(20, 60),)
    escape = staticmethod(markdown)

    def __init__(self, settings: DingtalkSettings, around: Surroundings) -> None:
        self._url = settings.url.reveal()
        self._secret = settings.secret.reveal() if settings.secret else ""
        self._mention = settings.mention
        super().__init__(settings, around, url=self._url, secrets=[self._url, self._secret])

    async def post(self, delivery: Delivery) -> Outcome:
        facts = delivery.facts
        title = self.wording.text("title", facts, limit=200)
        text = self.wording.text("text", facts, limit=MAX_BYTES, measure=size_in_bytes)
        body: dict[str, Any] = {"msgtype": "markdown"}
        if self._mention and delivery.event == "firing":
            people = [person for person in self._mention if person != "all"]
            body["at"] = {"atMobiles": people, "isAtAll": "all" in self._mention}
            # Who is called has to stand in the text too.
            text += "\n\n" + " ".join(f"@{person}" for person in people)
        body["markdown"] = {"title": title, "text": text}
        answer = await self.http.post_json(self._signed(), body)
        if not answer.is_success:
            return self.judged(answer)
        verdict = answer.json()
        code, said = verdict.get("errcode"), str(verdict.get("errmsg", answer.text))
        if code == 0:
            return Outcome(Result.DELIVERED, "errcode 0")
        told = f"errcode {code} {said}"
        if code in TOO_OFTEN:
            return self.later(told, after=600)
        is_about_content = code == SECURITY and ("keyword" in said or "关键词" in said)
        is_about_us = code in (*BUSY, *WRONG_TOKEN, SECURITY)
        return self.later(told) if is_about_us and not is_about_content else self.refused(told)

    def _signed(self) -> str:
        if not self._secret:
            return self._url
        stamp = round(self.now() * 1000)
        joint = "&" if "?" in self._url else "?"
        return f"{self._url}{joint}timestamp={stamp}&sign={quote_plus(sign(self._secret, stamp))}"


def sign(secret: str, stamp: int) -> str:
    """
    Args:
        stamp: Unix milliseconds.
    """
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
