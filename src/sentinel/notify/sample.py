"""Facts of an incident that never was: for test messages, and to try templates on."""

from __future__ import annotations

from sentinel.notify.facts import AlertFacts, Facts

TEST_TITLE = {
    "en": "TEST MESSAGE from Sentinel: nothing has happened",
    "zh-CN": "测试消息(Sentinel):无需处理",
}


def sample_facts(event: str, *, at: float, external_url: str, language: str = "en") -> Facts:
    """
    Args:
        event: firing, acknowledged or resolved.
        at: Unix seconds.
    """
    is_over = event == "resolved"
    return Facts(
        event=event,
        reason={"resolved": "all alerts are over", "acknowledged": "acknowledged by sentinel"}.get(
            event, "opened"
        ),
        at=at,
        external_url=external_url,
        incident=0,
        key='SentinelTest{instance="test"}',
        group_key='{}:SentinelTest{instance="test"}',
        incidents=[],
        state={"resolved": "resolved", "acknowledged": "acknowledged"}.get(event, "open"),
        grade="IV",
        title=TEST_TITLE[language],
        target="test",
        # The same for every event of one test within the hour, so that pagers see one incident.
        opened_at=at - at % 3600,
        acknowledged_by="sentinel" if event == "acknowledged" else "",
        resolved_at=at if is_over else None,
        resolved_by="",
        grouping={"alertname": "SentinelTest", "instance": "test"},
        alerts=[_alert(at, language, is_over=is_over)],
        truncated=0,
        total=1,
    )


def _alert(at: float, language: str, *, is_over: bool) -> AlertFacts:
    return AlertFacts(
        fingerprint="0000000000000000",
        labels={"alertname": "SentinelTest", "instance": "test", "severity": "info"},
        annotations={
            "summary": TEST_TITLE[language],
            "description": "sentinel notify test",
            "runbook_url": "https://runbooks.example.org/SentinelTest",
        },
        status="resolved" if is_over else "firing",
        unknown=False,
        starts_at=at - at % 3600,
        ends_at=at if is_over else None,
        value=1.0,
    )
