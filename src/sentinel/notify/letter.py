"""A mail about an incident: subject, text and HTML from the facts."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from sentinel.incidents.book import one_line
from sentinel.model.durations import format_duration
from sentinel.notify.chart.charts import Chart
from sentinel.notify.facts import AlertFacts, Facts
from sentinel.notify.receiver import Delivery
from sentinel.notify.story import Teller, title_of
from sentinel.notify.texts import CALM, COLOURS, TEXTS, Language, reason_in
from sentinel.notify.wording import Wording

MAX_SUBJECT = 180
MAX_TEXT = 60_000
MAX_LABELS = 600
_PLAIN_WIRE = SMTP.clone(cte_type="7bit")
"""Understood by every mail server, whatever it announces."""


class Letters:
    """Writes the mails of one receiver."""

    def __init__(
        self,
        *,
        language: Language,
        zone: ZoneInfo,
        wording: Wording | None = None,
        html_wording: Wording | None = None,
    ) -> None:
        """
        Args:
            wording: subject and texts of the operator's own; None: the shipped ones.
            html_wording: the same with words made safe for HTML.
        """
        self._language: Language = language
        self._zone = zone
        self._wording = wording or Wording("email", Teller("", language, zone))
        self._html_wording = html_wording or self._wording
        loader = PackageLoader("sentinel.notify", "templates")
        self._text = Environment(  # noqa: S701  plain text; the HTML below escapes
            loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
        ).get_template("mail.txt.j2")
        self._html = Environment(
            loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True
        ).get_template("mail.html.j2")

    @property
    def language(self) -> Language:
        return self._language

    @property
    def zone(self) -> ZoneInfo:
        return self._zone

    @property
    def has_own_text(self) -> bool:
        """Text or HTML are the operator's own."""
        return self._wording.has_own("text") or self._wording.has_own("html")

    def write(
        self,
        delivery: Delivery,
        *,
        sender: str,
        recipients: tuple[str, ...],
        now: float,
        chart: Chart | None = None,
    ) -> EmailMessage:
        """The whole mail. Its Message-ID follows from the idempotency key, its thread from the incident."""
        facts = delivery.facts
        values = self._values(facts) | {"chart": chart, "chart_id": f"chart.{delivery.key}"}
        message = EmailMessage(policy=_PLAIN_WIRE)
        message["From"] = _address(sender)
        message["To"] = [_address(recipient) for recipient in recipients]
        message["Subject"] = one_line(self._wording.text("subject", facts, limit=MAX_SUBJECT), MAX_SUBJECT)
        message["Date"] = format_datetime(datetime.fromtimestamp(now, self._zone))
        domain = parseaddr(sender)[1].rpartition("@")[2]
        thread = f"<incident.{facts['incident']}.{int(facts['opened_at'])}@{domain}>"
        message["Message-ID"] = f"<{delivery.key}@{domain}>"
        message["In-Reply-To"] = thread
        message["References"] = thread
        message["Auto-Submitted"] = "auto-generated"
        message["X-Sentinel-Incident"] = str(facts["incident"])
        message["Idempotency-Key"] = delivery.key
        message.set_content(self._wording.text("text", facts, limit=MAX_TEXT) or self._text.render(values))
        html = self._html_wording.text("html", facts, limit=MAX_TEXT)
        if html or not self._wording.has_own("text"):
            message.add_alternative(html or self._html.render(values), subtype="html")
            if chart is not None and not html:
                _attach(message, chart, values["chart_id"])
        return message

    def _values(self, facts: Facts) -> dict[str, Any]:
        t = TEXTS[self._language]
        ended = facts["resolved_at"] if facts["event"] == "resolved" else None
        by = facts["resolved_by"] if facts["event"] == "resolved" else facts["acknowledged_by"]
        since, until = self._time(facts["opened_at"]), self._time(ended) if ended else ""
        lasted = format_duration(round(ended - facts["opened_at"])) if ended else ""
        reason = reason_in(self._language, facts["reason"])
        rows = [
            (t["incident"], f"#{facts['incident']}"),
            (t["target"], facts["target"]),
            (t["since"], since),
            (t["ended"], until),
            (t["lasted"], lasted),
            (t["by"], by),
            (t["why"], reason),
        ]
        return {
            "t": t,
            "language": self._language,
            "event": facts["event"],
            "incident": facts["incident"],
            "grade": facts["grade"],
            "title": one_line(title_of(facts, self._language, self._zone), 400),
            "target": one_line(facts["target"], 200),
            "since": since,
            "ended": until,
            "lasted": lasted,
            "by": by,
            "reason": reason,
            "alerts": [_alert(alert) for alert in facts["alerts"]],
            "truncated": facts["truncated"],
            "url": f"{facts['external_url']}/incidents/{facts['incident']}",
            "rows": [(name, value) for name, value in rows if value],
            "colour": CALM if facts["event"] == "resolved" else COLOURS[facts["grade"]],
        }

    def _time(self, at: float) -> str:
        return datetime.fromtimestamp(at, self._zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _alert(alert: AlertFacts) -> dict[str, Any]:
    labels, annotations = alert["labels"], alert["annotations"]
    runbook = one_line(annotations.get("runbook_url", ""), 500)
    title = annotations.get("summary") or labels.get("alertname", "")
    shown = ", ".join(f"{name}={value}" for name, value in labels.items() if name != "alertname")
    return {
        "status": alert["status"],
        "unknown": alert["unknown"],
        "title": one_line(title, 300),
        "labels": one_line(shown, MAX_LABELS),
        "description": one_line(annotations.get("description", ""), 1000),
        "runbook": runbook,
        "runbook_is_link": urlsplit(runbook).scheme in ("http", "https"),
        "colour": CALM if alert["status"] == "resolved" else COLOURS["I"],
    }


def _attach(message: EmailMessage, chart: Chart, name: str) -> None:
    """Beside the HTML part, which shows it."""
    body = message.get_body(("html",))
    assert isinstance(body, EmailMessage)
    body.add_related(chart.png, "image", "png", cid=f"<{name}>", disposition="inline", filename="chart.png")


def _address(written: str) -> Address:
    name, address = parseaddr(written)
    return Address(display_name=name, addr_spec=address)
