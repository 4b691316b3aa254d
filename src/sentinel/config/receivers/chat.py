"""Groups and channels of chat services."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sentinel.config.receivers.base import FOR_PEOPLE, Cap, HttpAddress, HttpReceiver, HttpSecret, Token
from sentinel.config.secret import Secret

Person = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@+-]{1,128}$")]


class WecomSettings(HttpReceiver):
    """A [[receiver]] of kind wecom: a group robot of WeCom (企业微信)."""

    kind: Literal["wecom"]
    cap: Cap = FOR_PEOPLE
    url: HttpSecret
    """The robot's webhook address, with its key."""
    mention: tuple[Person, ...] = ()
    """User ids to call by name when an incident fires."""


class DingtalkSettings(HttpReceiver):
    """A [[receiver]] of kind dingtalk: a custom robot of DingTalk (钉钉)."""

    kind: Literal["dingtalk"]
    cap: Cap = FOR_PEOPLE
    url: HttpSecret
    """The robot's webhook address, with its access_token."""
    secret: Secret | None = None
    """The robot's secret (SEC…), where its security setting is signing (加签)."""
    mention: tuple[Person, ...] = ()
    """Mobile numbers to call by name when an incident fires; "all": everybody."""


class FeishuSettings(HttpReceiver):
    """A [[receiver]] of kind feishu: a custom robot of Feishu or Lark (飞书)."""

    kind: Literal["feishu"]
    cap: Cap = FOR_PEOPLE
    url: HttpSecret
    """The robot's webhook address, with its token."""
    secret: Secret | None = None
    """The robot's secret, where its security setting is signature verification (签名校验)."""
    mention: tuple[Person, ...] = ()
    """Open ids (ou_…) to call by name when an incident fires; "all": everybody."""


class SlackSettings(HttpReceiver):
    """A [[receiver]] of kind slack: an incoming webhook of Slack, Mattermost or Rocket.Chat."""

    kind: Literal["slack"]
    cap: Cap = FOR_PEOPLE
    url: HttpSecret
    """The incoming webhook's address."""
    mention: tuple[Person, ...] = ()
    """Member ids (U…) to call by name when an incident fires; "here", "channel": everybody."""


class TeamsSettings(HttpReceiver):
    """A [[receiver]] of kind teams: a workflow of Microsoft Teams that posts what a webhook gets."""

    kind: Literal["teams"]
    cap: Cap = FOR_PEOPLE
    url: HttpSecret
    """The workflow's address, with its signature."""


class TelegramSettings(HttpReceiver):
    """A [[receiver]] of kind telegram: a bot of Telegram."""

    kind: Literal["telegram"]
    cap: Cap = FOR_PEOPLE
    token: Token
    """The bot's token, as BotFather gave it."""
    chat_id: str = Field(pattern=r"^(-?\d{1,20}|@[A-Za-z0-9_]{5,32})$")
    """The chat: its number, as a text (groups are negative), or @CHANNEL."""
    thread: int | None = Field(default=None, ge=1)
    """Number of the topic in a group that has topics."""
    api_url: HttpAddress = "https://api.telegram.org"
    """Where the bot API is, for a server of your own."""
