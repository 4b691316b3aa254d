"""Alerts that others send."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for table in ("alert", "incident_alert"):
        with op.batch_alter_table(table, recreate="never") as changed:
            changed.add_column(sa.Column("sent", sa.JSON()))
