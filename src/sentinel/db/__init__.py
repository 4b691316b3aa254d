"""Tables, migrations and the one writer."""

from sentinel.db.backup import Backup, BackupError, back_up, restore
from sentinel.db.care import CareMetrics, Finding, check, nightly_backup, retention
from sentinel.db.database import Database, is_passing
from sentinel.db.errors import UnusableDatabaseError

__all__ = [
    "Backup",
    "BackupError",
    "CareMetrics",
    "Database",
    "Finding",
    "UnusableDatabaseError",
    "back_up",
    "check",
    "is_passing",
    "nightly_backup",
    "restore",
    "retention",
]
