"""WeCom (企业微信) group robot: markdown by POST; the verdict is errcode, with HTTP 200 in any case.

Source: WeCom developer documentation, "消息推送配置说明" (path 91770): markdown content at most 4096 bytes in
UTF-8, 20 messages a minute for each robot; "全局错误码" (path 90313): -1, 45009, 45033, 93000.
"""

from __future__ import annotations

from sentinel.config.receivers.chat import WecomSettings
from sentinel.notify.escape import markdown
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.receivers.posting import Posting
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.wording import size_in_bytes

MAX_BYTES = 4096
BUSY = -1
TOO_OFTEN = (45009, 45033)
WRONG_KEY = 93000


class Wecom(Posting):
    kind = "wecom"
    limits = (Limit(20, 60),)
    escape = staticmethod(markdown)

    def __init__(self, settings: WecomSettings, around: Surroundings) -> None:
        self._url = settings.url.reveal()
        self._mention = "".join(f"<@{person}>" for person in settings.mention)
        super().__init__(settings, around, url=self._url, secrets=[self._url])

    async def post(self, delivery: Delivery) -> Outcome:
        mention = f"\n{self._mention}" if self._mention and delivery.event == "firing" else ""
        limit = MAX_BYTES - size_in_bytes(mention)
        text = self.wording.text("text", delivery.facts, limit=limit, measure=size_in_bytes) + mention
        answer = await self.http.post_json(self._url, {"msgtype": "markdown", "markdown": {"content": text}})
        if not answer.is_success:
            return self.judged(answer)
        verdict = answer.json()
        code = verdict.get("errcode")
        if code == 0:
            return Outcome(Result.DELIVERED, "errcode 0")
        told = f"errcode {code} {verdict.get('errmsg', answer.text)}"
        if code in TOO_OFTEN:
            return self.later(told, after=60)
        return self.later(told) if code in (None, BUSY, WRONG_KEY) else self.refused(told)
