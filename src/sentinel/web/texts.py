"""The pages' words. The English text is the key; `_("…")` in templates looks it up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-CN")

ZH_CN: Mapping[str, str] = {
    "Overview": "总览",
    "Skip to content": "跳到内容",
    "Switch between light and dark": "切换浅色与深色",
    "live": "实时",
    "reconnecting": "正在重连",
    "not live: scripts are off or missing": "非实时：脚本未启用或缺失",
    "Targets": "监控对象",
    "Alerts": "告警",
    "Incidents": "事件",
    "Incident": "事件",
    "Daemon": "守护进程",
    "ready": "就绪",
    "not ready": "未就绪",
    "rules judged": "规则评估于",
    "ago": "前",
    "rules not judged yet": "规则尚未评估",
    "polls/s": "次采集/秒",
    "waiting to send": "待发送",
    "given up": "发送失败",
    "up": "正常",
    "down": "中断",
    "critical": "严重",
    "warning": "警告",
    "partial": "部分可读",
    "unknown": "未知",
    "waiting": "等待首次采集",
    "ok": "正常",
    "firing": "触发",
    "pending": "待定",
    "inactive": "未触发",
    "open": "未处理",
    "acknowledged": "已确认",
    "resolved": "已解决",
    "Open incidents": "未关闭的事件",
    "No open incidents": "没有未关闭的事件",
    "No targets are configured yet": "尚未配置监控对象",
    "Status wall": "状态墙",
    "Grade": "等级",
    "nobody yet": "无人处理",
    "Acknowledge": "确认",
    "Resolve": "解决",
    "Add note": "添加备注",
    "Note": "备注",
    "Operator token": "操作员令牌",
    "Made by 'sentinel token create'; kept in this tab until it is closed.": (
        "由 sentinel token create 生成；仅保存在此标签页，关闭即清除。"
    ),
    "Forget token": "清除令牌",
    "Cancel": "取消",
    "The token was refused.": "令牌无效。",
    "The daemon did not answer.": "守护进程没有响应。",
    "Opened": "发生时间",
    "Owner": "负责人",
    "Team": "团队",
    "Target": "监控对象",
    "Criticality": "重要程度",
    "Address": "地址",
    "Labels": "标签",
    "Declared in": "声明于",
    "Behind": "上级设备",
    "State": "状态",
    "Timeline": "时间线",
    "Runbook": "处置手册",
    "Value": "值",
    "Since": "自",
    "Module": "模块",
    "Last poll": "最近采集",
    "Took": "耗时",
    "Samples": "样本",
    "Detail": "详情",
    "Every": "间隔",
    "Newest samples": "最新样本",
    "Series": "序列",
    "No alert concerns it": "没有相关告警",
    "No samples in memory": "内存中没有样本",
    "Only the first %(count)s are shown": "仅显示前 %(count)s 条",
    "never": "从未",
    "Not found": "未找到",
    "There is nothing at this address.": "此地址没有内容。",
    "Back to the overview": "返回总览",
    "Resolved by": "解决人",
    "its alerts cleared": "告警自行恢复",
    "opened": "发生",
    "alert firing": "告警触发",
    "alert unknown": "告警未知",
    "alert resolved": "告警恢复",
    "note": "备注",
    "notified": "已通知",
    "not delivered": "未送达",
    "withheld": "暂不通知",
    "All incidents": "全部事件",
}


def translator(language: str) -> Callable[..., str]:
    """The function that templates call as `_`: the text in that language with its %(name)s filled in."""

    def translate(text: str, **values: object) -> str:
        shown = ZH_CN.get(text, text) if language == "zh-CN" else text
        return shown % values if values else shown

    return translate


def choose_language(asked: str | None, accepted: str, default: str) -> Language:
    """The page's language: the one asked for, else the browser's best, else the configured one."""
    if asked in LANGUAGES:
        return "zh-CN" if asked == "zh-CN" else "en"
    ranked = sorted(filter(None, (_ranked(part) for part in accepted.split(","))), key=lambda item: -item[1])
    for tag, _ in ranked:
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return "zh-CN" if default == "zh-CN" else "en"


def _ranked(part: str) -> tuple[str, float] | None:
    tag, _, weight = part.strip().lower().partition(";")
    try:
        quality = float(weight.strip().removeprefix("q=") or "1")
    except ValueError:
        return None
    return (tag.strip(), quality) if tag and quality > 0 else None
