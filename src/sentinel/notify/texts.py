"""Words of messages in the languages that ship."""

from __future__ import annotations

import re
from typing import Literal, TypedDict

from sentinel.notify.facts import DigestFacts

Language = Literal["en", "zh-CN"]


class Texts(TypedDict):
    firing: str
    acknowledged: str
    resolved: str
    reminder: str
    incident: str
    grade: str
    target: str
    since: str
    ended: str
    by: str
    why: str
    alerts: str
    unknown: str
    more: str
    open_page: str
    runbook: str
    lasted: str
    footer: str


ENGLISH = Texts(
    firing="FIRING",
    acknowledged="ACKNOWLEDGED",
    resolved="RESOLVED",
    reminder="REMINDER",
    incident="Incident",
    grade="Grade",
    target="Target",
    since="Since",
    ended="Ended",
    by="By",
    why="What happened",
    alerts="Alerts",
    unknown="cannot be read now",
    more="and {count} more",
    open_page="Open the incident",
    runbook="Runbook",
    lasted="Lasted",
    footer="Sent by Sentinel. All messages about this incident are one thread.",
)

CHINESE = Texts(
    firing="告警",
    acknowledged="已确认",
    resolved="已恢复",
    reminder="提醒",
    incident="事件",
    grade="等级",
    target="对象",
    since="开始时间",
    ended="结束时间",
    by="处理人",
    why="情况",
    alerts="告警明细",
    unknown="当前无法读取",
    more="另有 {count} 条",
    open_page="查看事件",
    runbook="处置手册",
    lasted="持续时间",
    footer="由 Sentinel 发送。同一事件的消息归入同一会话。",
)

TEXTS: dict[Language, Texts] = {"en": ENGLISH, "zh-CN": CHINESE}
COLOURS = {"I": "#b3261e", "II": "#b25e02", "III": "#8a6d00", "IV": "#1f5fa8"}
"""Of the grades: red, orange, yellow, blue, dark enough for white text."""
CALM = "#2e7d32"
"""Of a recovery."""

SETTLED = "settled, "
"""Before the reason of a message about what came and went, and does no longer."""

_REASONS = (
    (re.compile(r"flapping: opened (\d+) times within (.+)"), r"反复告警:\2内 \1 次"),
    (re.compile(r"opened"), "新开事件"),
    (re.compile(r"(\d+) more alerts?"), r"新增 \1 条告警"),
    (re.compile(r"(\d+) alerts? (?:is|are) over"), r"\1 条告警已恢复"),
    (re.compile(r"(\d+) messages put together"), r"\1 条消息合并为一条"),
    (re.compile(r"all alerts are over"), "全部告警已恢复"),
    (re.compile(r"silence ends in (\S+): (.*)"), r"静默将在 \1 后结束:\2"),
    (re.compile(r"maintenance window ends in (\S+): (.*)"), r"维护窗口将在 \1 后结束:\2"),
    (re.compile(r"still firing"), "仍在告警"),
    (re.compile(r"still firing after it was muted"), "静默结束后仍在告警"),
    (re.compile(r"resolved by (.+)"), r"由 \1 手动关闭"),
    (re.compile(r"acknowledged by (.+)"), r"由 \1 确认"),
)


def digest_title(language: Language, event: str, digest: DigestFacts, since: str) -> str:
    """
    Args:
        since: an instant as people write it.
    """
    alerts, over, groups = digest["alerts"], digest["over"], digest["groups"]
    if language == "en":
        counted = f"{alerts} alert{'' if alerts == 1 else 's'} in {groups} group{'' if groups == 1 else 's'}"
        some = f", {over} of them over" if over else ""
        ends = {"resolved": ", all over", "acknowledged": ", acknowledged"}
        return f"{counted} since {since}{ends.get(event, some)}"
    some = f",其中 {over} 条已恢复" if over else ""
    ends = {"resolved": ",已全部恢复", "acknowledged": ",已确认"}
    return f"{since} 以来 {groups} 组共 {alerts} 条告警{ends.get(event, some)}"


def reason_in(language: Language, reason: str) -> str:
    """The reason that the incident's news gave, in the receiver's language."""
    if language == "en":
        return reason
    if reason.startswith(SETTLED):
        return f"已趋于稳定,{reason_in(language, reason.removeprefix(SETTLED))}"
    for pattern, words in _REASONS:
        match = pattern.fullmatch(reason)
        if match:
            return match.expand(words)
    return reason
