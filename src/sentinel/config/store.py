"""[store]: the database of everything that happens."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from sentinel.config.document import Written
from sentinel.config.types import PositiveDuration


def _usable_url(written: str) -> str:
    if written.startswith("postgresql"):
        raise ValueError('PostgreSQL is not supported yet: write "sqlite:///sentinel.db"')
    if not written.startswith("sqlite:///") or written == "sqlite:///":
        raise ValueError('write "sqlite:///PATH"; a relative path starts at the data folder')
    if "?" in written or ":memory:" in written:
        raise ValueError("the database is a file: no options and no :memory:")
    return written


class StoreSettings(Written):
    """[store]: the database of alerts, incidents, messages and the audit trail."""

    url: Annotated[str, AfterValidator(_usable_url)] = "sqlite:///sentinel.db"
    """Where the database is: sqlite:///PATH, a relative path starting at [daemon] data_dir."""
    retention: PositiveDuration = 190 * 86400.0
    """How long resolved incidents, ended alerts and the audit trail are kept."""
