"""The tables. Instants are Unix seconds; the migrations build exactly this."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

alert = Table(
    "alert",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("rule_group", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Float),  # NULL is NaN, which SQLite cannot hold
    Column("active_at", Float, nullable=False),
    Column("fired_at", Float),
    Column("last_seen_at", Float),
    Column("resolved_at", Float),
    Column("sent", JSON(none_as_null=True)),
    Index("ix_alert_state", "state", "resolved_at"),
)
"""What the rules last said of each label set, and what others sent: restores both after a restart. `sent` is of
received alerts only."""

incident = Table(
    "incident",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("grouping", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("grade", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("acknowledged_at", Float),
    Column("acknowledged_by", Text, nullable=False),
    Column("resolved_at", Float),
    Column("resolved_by", Text, nullable=False),
    Index("ix_incident_state", "state", "id"),
    Index(
        "uq_incident_live_key",
        "key",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
)

incident_alert = Table(
    "incident_alert",
    metadata,
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("rule_group", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Float),
    Column("fired_at", Float, nullable=False),
    Column("resolved_at", Float),
    Column("sent", JSON(none_as_null=True)),
    Index(
        "uq_incident_alert_held",
        "fingerprint",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
)
"""Alerts of an incident as they were in it. A row without resolved_at holds its alert: one incident at a time."""

timeline = Table(
    "timeline",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_timeline_incident_id", "incident_id", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE"), nullable=False),
    Column("receiver", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_attempt_at", Float),
    Column("last_error", Text, nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("done_at", Float),
    Column("queue", Text, nullable=False, server_default=""),
    Column("expires_at", Float),
    Column("origin_id", Integer),
    Index("ix_outbox_receiver", "receiver", "state", "id"),
    Index("ix_outbox_incident_id", "incident_id", "event", "receiver"),
    Index("ix_outbox_queue", "queue", "receiver", "event"),
    Index("ix_outbox_origin_id", "origin_id"),
    sqlite_autoincrement=True,  # the sender reads on from the last number it has seen
)
"""Messages: pending, delivered, dead (refused for good) or dropped (no longer of use).

`recipients` says which of several recipients are settled, and how, while others are still tried. Messages of one
`queue` reach a receiver in their order: those of an incident, or of a notification group. A message concerns
`incident_id` and those in outbox_incident. After `expires_at` it no longer makes sense; it stands in for
`origin_id`, which could not be delivered.
"""

outbox_incident = Table(
    "outbox_incident",
    metadata,
    Column("outbox_id", ForeignKey("outbox.id", ondelete="CASCADE"), primary_key=True),
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_outbox_incident_incident_id", "incident_id"),
)
"""Further incidents that a message tells of."""

notify_group = Table(
    "notify_group",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("route", Text, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE")),
    Column("created_at", Float, nullable=False),
    Column("due_at", Float),
    Column("flushed_at", Float),
    Column("sent_at", Float),
    Column("withheld", Text, nullable=False),
    Index("ix_notify_group_due_at", "due_at"),
    Index("ix_notify_group_incident_id", "incident_id"),
    sqlite_autoincrement=True,  # a number names a queue of the outbox, which must not be taken up by another
)
"""Alerts that one receiver is told together: those of an incident, or those that share the route's labels.

Looked at when it is due; `sent_at` is when it last had something to tell, `withheld` why something waits.
"""

notify_member = Table(
    "notify_member",
    metadata,
    Column("group_id", ForeignKey("notify_group.id", ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("incident_id", ForeignKey("incident.id", ondelete="CASCADE"), nullable=False),
    Column("told", Text, nullable=False),
    Index("ix_notify_member_incident_id", "incident_id", "fingerprint"),
)
"""Alerts of a group, as incident_alert has them, and what was last told of each: nothing (empty), firing, or muted
(firing, and left out of a later message)."""

silence = Table(
    "silence",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("matchers", JSON, nullable=False),
    Column("targets", JSON, nullable=False),
    Column("with_dependants", Integer, nullable=False),
    Column("starts_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("rule", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("over_at", Float),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("reminded_at", Float),
    Column("ended_told_at", Float),
)
"""Silences and maintenance windows, as their room's Silence has them: read whole at the start, kept in memory."""

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "at"),
)

token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("last_used_at", Float),
    Column("revoked_at", Float),
    Index(
        "uq_token_valid_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

interfaces = Table(
    "interfaces",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("numbers", JSON, nullable=False),
    Column("changed_at", Float, nullable=False),
)
"""Of each SNMP agent (HOST:PORT) the numbers that its interfaces' series carry, by ifName."""

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about the database itself."""
