"""`sentinel run`."""

from __future__ import annotations

from sentinel.cli.config import ConfigPath, problems_told


def run(config: ConfigPath) -> None:
    """Run the daemon in the foreground. SIGHUP reloads the configuration, SIGTERM stops it."""
    from sentinel.app import run_daemon

    with problems_told():
        run_daemon(config)
