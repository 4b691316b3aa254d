"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_LIVE = sa.text("state <> 'resolved'")
_HELD = sa.text("resolved_at IS NULL")
_VALID = sa.text("revoked_at IS NULL")


def upgrade() -> None:
    _alerts()
    _incidents()
    _outbox()
    _access()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _at(name: str, *, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), nullable=nullable)


def _alerts() -> None:
    op.create_table(
        "alert",
        _text("fingerprint"),
        _text("rule_group"),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        _text("state"),
        sa.Column("value", sa.Float()),
        _at("active_at", nullable=False),
        _at("fired_at"),
        _at("last_seen_at"),
        _at("resolved_at"),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_alert"),
    )
    op.create_index("ix_alert_state", "alert", ["state", "resolved_at"])


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("key"),
        sa.Column("grouping", sa.JSON(), nullable=False),
        _text("state"),
        _text("grade"),
        _text("title"),
        _text("target"),
        _at("opened_at", nullable=False),
        _at("acknowledged_at"),
        _text("acknowledged_by"),
        _at("resolved_at"),
        _text("resolved_by"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    op.create_index("ix_incident_state", "incident", ["state", "id"])
    op.create_index(
        "uq_incident_live_key", "incident", ["key"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    op.create_table(
        "incident_alert",
        sa.Column("incident_id", sa.Integer(), nullable=False),
        _text("fingerprint"),
        _text("rule_group"),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("annotations", sa.JSON(), nullable=False),
        _text("state"),
        sa.Column("value", sa.Float()),
        _at("fired_at", nullable=False),
        _at("resolved_at"),
        sa.PrimaryKeyConstraint("incident_id", "fingerprint", name="pk_incident_alert"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_incident_alert_incident_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "uq_incident_alert_held",
        "incident_alert",
        ["fingerprint"],
        unique=True,
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    )
    op.create_table(
        "timeline",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        _at("at", nullable=False),
        _text("kind"),
        _text("actor"),
        _text("text"),
        sa.PrimaryKeyConstraint("id", name="pk_timeline"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_timeline_incident_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_timeline_incident_id", "timeline", ["incident_id", "id"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("key"),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        _text("receiver"),
        _text("event"),
        sa.Column("payload", sa.JSON(), nullable=False),
        _at("created_at", nullable=False),
        _text("state"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _at("last_attempt_at"),
        _text("last_error"),
        sa.Column("recipients", sa.JSON(), nullable=False),
        _at("done_at"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_outbox_incident_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_receiver", "outbox", ["receiver", "state", "id"])
    op.create_index("ix_outbox_incident_id", "outbox", ["incident_id", "event", "receiver"])


def _access() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        _at("at", nullable=False),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("name"),
        _text("role"),
        _text("digest"),
        _at("created_at", nullable=False),
        _text("created_by"),
        _at("last_used_at"),
        _at("revoked_at"),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("digest", name="uq_token_digest"),
    )
    op.create_index(
        "uq_token_valid_name",
        "token",
        ["name"],
        unique=True,
        sqlite_where=_VALID,
        postgresql_where=_VALID,
    )
    op.create_table(
        "meta",
        _text("name"),
        _text("value"),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
