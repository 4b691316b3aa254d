"""Chat and paging services as their documentation says they judge a request. Each is a `choose` of a WebhookSink.

Written from the documents, beside the code that posts: what a service would refuse is answered as it would.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections import deque
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.sinks import Answer, Post

Judge = Callable[[Post], Answer]


def _says(body: object, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _object(post: Post) -> dict[str, Any]:
    found = json.loads(post.body)
    assert isinstance(found, dict)
    return found


def _is_json(post: Post) -> bool:
    return post.method == "POST" and post.headers.get("content-type", "").startswith("application/json")


class Wecom:
    """Source: developer.work.weixin.qq.com, document 91770 and global error codes."""

    def __init__(self, key: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._now = now
        self._times: deque[float] = deque()
        self.texts: list[str] = []

    def __call__(self, post: Post) -> Answer:
        parts = urlsplit(post.path)
        if parts.path != "/cgi-bin/webhook/send" or parse_qs(parts.query) != {"key": [self._key]}:
            return _says({"errcode": 93000, "errmsg": "invalid webhook url"})
        now = self._now()
        while self._times and self._times[0] <= now - 60:
            self._times.popleft()
        if len(self._times) >= 20:
            return _says({"errcode": 45009, "errmsg": "api freq out of limit"})
        if not _is_json(post):
            return _says({"errcode": 40008, "errmsg": "invalid message type"})
        body = _object(post)
        text = body.get("markdown", {}).get("content", "") if body.get("msgtype") == "markdown" else ""
        if not text:
            return _says({"errcode": 44004, "errmsg": "empty content"})
        if len(text.encode()) > 4096:
            return _says({"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"})
        self._times.append(now)
        self.texts.append(text)
        return _says({"errcode": 0, "errmsg": "ok"})


class Dingtalk:
    """Source: open.dingtalk.com, custom robots: access and security settings."""

    def __init__(self, token: str, secret: str, *, keyword: str = "") -> None:
        self._token, self._secret, self._keyword = token, secret, keyword
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        parts = urlsplit(post.path)
        query = parse_qs(parts.query)
        if parts.path != "/robot/send" or query.get("access_token") != [self._token]:
            return _says({"errcode": 300005, "errmsg": "token is not exist"})
        stamp, sign = query.get("timestamp", [""])[0], query.get("sign", [""])[0]
        mac = hmac.new(self._secret.encode(), (stamp + "\n" + self._secret).encode(), hashlib.sha256)
        if not stamp or abs(time.time() * 1000 - int(stamp)) > 3_600_000:
            return _says({"errcode": 310000, "errmsg": "invalid timestamp"})
        if base64.b64decode(sign) != mac.digest():
            return _says({"errcode": 310000, "errmsg": "sign not match"})
        body = _object(post)
        markdown = body.get("markdown", {})
        if not _is_json(post) or body.get("msgtype") != "markdown" or not markdown.get("title"):
            return _says({"errcode": 400106, "errmsg": "missing parameter"})
        if self._keyword not in markdown["title"] + markdown["text"]:
            return _says({"errcode": 310000, "errmsg": "keywords not in content"})
        if len(post.body) > 20_000:
            return _says({"errcode": 460101, "errmsg": "message too long"})
        self.bodies.append(body)
        return _says({"errcode": 0, "errmsg": "ok"})


class Feishu:
    """Source: open.feishu.cn, custom bot usage guide."""

    def __init__(self, token: str, secret: str) -> None:
        self._token, self._secret = token, secret
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        body = _object(post)
        if post.path != f"/open-apis/bot/v2/hook/{self._token}":
            return _says({"code": 19001, "msg": "param invalid: incoming webhook access token invalid"})
        stamp = str(body.get("timestamp", "0"))
        key = (stamp + "\n" + self._secret).encode()
        sign = base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
        if abs(time.time() - int(stamp)) > 3600 or body.get("sign") != sign:
            return _says({"code": 19021, "msg": "sign match fail or timestamp is not within one hour"})
        if len(post.body) > 20 * 1024 or not _is_json(post):
            return _says({"code": 9499, "msg": "Bad Request", "data": {}}, 400)
        card = body.get("card", {})
        tags = [element.get("tag") for element in card.get("elements", [])]
        if body.get("msg_type") != "interactive" or not set(tags) <= {"markdown", "action"} or not tags:
            return _says({"code": 9499, "msg": "Bad Request", "data": {}}, 400)
        self.bodies.append(body)
        return _says({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})


class Slack:
    """Source: docs.slack.dev, incoming webhooks and blocks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        if post.path != self._path:
            return Answer(404, body=b"no_service")
        body = _object(post)
        if not _is_json(post) or not body.get("text"):
            return Answer(400, body=b"invalid_payload")
        blocks = body.get("blocks", [])
        if not blocks or len(blocks) > 50 or not all(self._is_block(block) for block in blocks):
            return Answer(400, body=b"invalid_blocks")
        self.bodies.append(body)
        return Answer(200, body=b"ok")

    def _is_block(self, block: dict[str, Any]) -> bool:
        match block["type"]:
            case "header":
                return block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= 150
            case "section":
                return block["text"]["type"] == "mrkdwn" and 0 < len(block["text"]["text"]) <= 3000
            case "actions":
                return all(
                    element["type"] == "button"
                    and element["text"]["type"] == "plain_text"
                    and len(element["text"]["text"]) <= 75
                    and len(element["url"]) <= 3000
                    for element in block["elements"]
                )
        return False


class Teams:
    """Source: learn.microsoft.com, webhooks with Workflows; adaptivecards.io, schema 1.4."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.cards: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        if post.path != self._path:
            return _says({"error": {"code": "DirectApiAuthorizationRequired"}}, 401)
        if len(post.body) > 28 * 1024:
            return Answer(413, body=b"Request Entity Too Large")
        body = _object(post)
        attachments = body.get("attachments", [])
        if not _is_json(post) or body.get("type") != "message" or len(attachments) != 1:
            return _says({"error": {"code": "InvalidRequestContent"}}, 400)
        card = attachments[0]["content"]
        if attachments[0]["contentType"] != "application/vnd.microsoft.card.adaptive":
            return _says({"error": {"code": "InvalidRequestContent"}}, 400)
        if card["type"] != "AdaptiveCard" or not all(one["type"] == "TextBlock" for one in card["body"]):
            return _says({"error": {"code": "InvalidRequestContent"}}, 400)
        self.cards.append(card)
        return Answer(202)


class _Entities(HTMLParser):
    """Telegram's HTML: known tags, closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.is_wrong = False
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_wrong |= tag not in ("b", "i", "u", "s", "a", "code", "pre", "blockquote")
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.is_wrong |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        self.text += data


class Telegram:
    """Source: core.telegram.org/bots/api: sendMessage, formatting, answers."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.messages: list[dict[str, Any]] = []
        self.links: list[str] = []

    def __call__(self, post: Post) -> Answer:
        if post.path != f"/bot{self._token}/sendMessage":
            return self._no(404, "Not Found")
        body = _object(post)
        if not _is_json(post) or not body.get("chat_id"):
            return self._no(400, "Bad Request: chat_id is empty")
        text = body["text"]
        if body.get("parse_mode") == "HTML":
            entities = _Entities()
            entities.feed(text)
            entities.close()
            is_broken = re.search(r"<[^>]*$", text) is not None
            if entities.is_wrong or entities.open or is_broken:
                return self._no(400, "Bad Request: can't parse entities: unclosed tag")
            text = entities.text
            self.links += entities.links
        if not text.strip() or len(text) > 4096:
            return self._no(400, "Bad Request: message is too long")
        self.messages.append(body)
        return _says({"ok": True, "result": {"message_id": len(self.messages)}})

    def _no(self, code: int, text: str, **parameters: Any) -> Answer:
        answer = {"ok": False, "error_code": code, "description": text}
        return _says(answer | ({"parameters": parameters} if parameters else {}), code)


class Pagerduty:
    """Source: developer.pagerduty.com, send an event. Keeps alerts by dedup_key as the service does."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.alerts: dict[str, list[str]] = {}
        self.events: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        event = _object(post)
        errors = list(self._errors(post, event))
        if errors:
            return _says(
                {"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400
            )
        self.alerts.setdefault(event["dedup_key"], []).append(event["event_action"])
        self.events.append(event)
        return _says(
            {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}, 202
        )

    def _errors(self, post: Post, event: dict[str, Any]) -> Any:
        if post.path != "/v2/enqueue" or not _is_json(post) or len(post.body) > 512 * 1024:
            yield "not an event"
        if event.get("routing_key") != self._key:
            yield "'routing_key' is invalid"
        if not 0 < len(event.get("dedup_key", "")) <= 255:
            yield "'dedup_key' is invalid"
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            yield "'event_action' is invalid"
        if event.get("event_action") == "trigger":
            payload = event.get("payload", {})
            if not 0 < len(payload.get("summary", "")) <= 1024 or not payload.get("source"):
                yield "'payload' is incomplete"
            if payload.get("severity") not in ("critical", "error", "warning", "info"):
                yield "'severity' is invalid"


class Opsgenie:
    """Source: docs.opsgenie.com, alert API. Keeps alerts by alias as the service does."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.alerts: dict[str, list[str]] = {}
        self.created: list[dict[str, Any]] = []

    def __call__(self, post: Post) -> Answer:
        if post.headers.get("authorization") != f"GenieKey {self._key}":
            return _says({"message": "Could not authenticate", "took": 0.0, "requestId": "r"}, 401)
        body, parts = _object(post), urlsplit(post.path)
        if parts.path == "/v2/alerts":
            if not 0 < len(body.get("message", "")) <= 130 or len(body.get("description", "")) > 15_000:
                return _says({"message": "Request body is not processable", "took": 0.0}, 422)
            if body.get("priority") not in ("P1", "P2", "P3", "P4", "P5") or len(body["alias"]) > 512:
                return _says({"message": "Request body is not processable", "took": 0.0}, 422)
            self.alerts.setdefault(body["alias"], []).append("create")
            self.created.append(body)
        else:
            match = re.fullmatch(r"/v2/alerts/([^/]+)/(acknowledge|close)", parts.path)
            if match is None or parse_qs(parts.query) != {"identifierType": ["alias"]}:
                return _says({"message": "Not Found"}, 404)
            if len(body.get("user", "")) > 100 or len(body.get("source", "")) > 100:
                return _says({"message": "Request body is not processable", "took": 0.0}, 422)
            self.alerts.setdefault(unquote(match[1]), []).append(match[2])
        return _says({"result": "Request will be processed", "took": 0.1, "requestId": "r"}, 202)
