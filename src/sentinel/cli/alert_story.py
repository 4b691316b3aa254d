"""What `sentinel explain alert` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sentinel.cli.output import age, moment

Row = Mapping[str, Any]


def alert_lines(found: Row) -> Iterator[str]:
    """The answer of the API as lines for people; the verdict first."""
    labels = ", ".join(f'{name}="{value}"' for name, value in found["labels"].items())
    yield labels
    yield f"  {found['verdict']}"
    yield ""
    yield f"  state      {found['state']}{_since(found)}"
    yield f"  rule       {found['rule_group']}"
    incident = found["incident"]
    yield f"  incident   {incident} ({found['incident_state']})" if incident else "  incident   none"
    yield f"  receivers  {', '.join(found['receivers']) or 'none'}"
    for group in found["groups"]:
        yield ""
        count = f"{group['alerts']} alert{'s' if group['alerts'] != 1 else ''}"
        yield f"  {group['receiver']}, group {group['key']} with {count}"
        yield f"    told       {_told(group)}"
        for obstacle in group["obstacles"]:
            until = f", until {moment(obstacle['until'])}" if obstacle["until"] else ""
            yield f"    withheld   {obstacle['why']}: {obstacle['text']}{until}"
        yield f"    next       {_next(group)}"
    if found["messages"]:
        yield ""
        yield "  messages, newest first"
    for message in found["messages"]:
        done = f" {moment(message['done_at'])}" if message["done_at"] else ""
        error = f" ({message['last_error']})" if message["last_error"] else ""
        yield (
            f"    {moment(message['created_at'])}  {message['receiver']}: {message['event']}, {message['reason']}"
            f" – {message['state']}{done}{error}"
        )


def _since(found: Row) -> str:
    at = found["resolved_at"] if found["state"] == "inactive" else found["fired_at"] or found["active_at"]
    return f" since {moment(at)} ({age(at)})" if at else ""


def _told(group: Row) -> str:
    if not group["told"]:
        return "nothing of this alert"
    sent = f", last message {moment(group['sent_at'])}" if group["sent_at"] else ""
    return ("that it fires" if group["told"] == "firing" else "that it fired; muted since") + sent


def _next(group: Row) -> str:
    if group["next_at"] is None:
        return "when something changes"
    if not group["next_event"]:
        return f"looked at {moment(group['next_at'])}; nothing to tell then, as it stands"
    return f"{group['next_event']} ({group['next_reason']}) at {moment(group['next_at'])}"
