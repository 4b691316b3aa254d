"""Notification groups: what people are told together."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("outbox", recreate="never") as outbox:
        outbox.add_column(sa.Column("queue", sa.Text(), nullable=False, server_default=""))
        outbox.add_column(sa.Column("expires_at", sa.Float()))
        outbox.add_column(sa.Column("origin_id", sa.Integer()))
        outbox.create_index("ix_outbox_queue", ["queue", "receiver", "event"])
        outbox.create_index("ix_outbox_origin_id", ["origin_id"])
    op.execute("UPDATE outbox SET queue = 'incident/' || incident_id")
    op.create_table(
        "outbox_incident",
        sa.Column("outbox_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["outbox_id"], ["outbox.id"], name="fk_outbox_incident_outbox_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_outbox_incident_incident_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("outbox_id", "incident_id", name="pk_outbox_incident"),
    )
    op.create_index("ix_outbox_incident_incident_id", "outbox_incident", ["incident_id"])
    op.create_table(
        "notify_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("incident_id", sa.Integer()),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float()),
        sa.Column("flushed_at", sa.Float()),
        sa.Column("sent_at", sa.Float()),
        sa.Column("withheld", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_notify_group_incident_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_notify_group"),
        sa.UniqueConstraint("key", name="uq_notify_group_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notify_group_due_at", "notify_group", ["due_at"])
    op.create_index("ix_notify_group_incident_id", "notify_group", ["incident_id"])
    op.create_table(
        "notify_member",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["notify_group.id"], name="fk_notify_member_group_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_notify_member_incident_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "fingerprint", name="pk_notify_member"),
    )
    op.create_index("ix_notify_member_incident_id", "notify_member", ["incident_id", "fingerprint"])
    _groups_of_what_was_told()


def _groups_of_what_was_told() -> None:
    """Who was told of an incident that lives hears its end too."""
    op.execute(
        """
        INSERT INTO notify_group
               (key, route, receiver, labels, incident_id, created_at, flushed_at, sent_at, withheld)
        SELECT 'incident/' || incident.id || '/' || outbox.receiver, '', outbox.receiver, incident.grouping,
               incident.id, min(outbox.created_at), max(outbox.created_at), max(outbox.created_at), ''
        FROM outbox JOIN incident ON incident.id = outbox.incident_id
        WHERE outbox.event = 'firing' AND outbox.state IN ('pending', 'delivered') AND incident.state <> 'resolved'
        GROUP BY incident.id, outbox.receiver
        """
    )
    op.execute(
        """
        INSERT INTO notify_member (group_id, fingerprint, incident_id, told)
        SELECT notify_group.id, incident_alert.fingerprint, incident_alert.incident_id, 'firing'
        FROM notify_group JOIN incident_alert ON incident_alert.incident_id = notify_group.incident_id
        """
    )
