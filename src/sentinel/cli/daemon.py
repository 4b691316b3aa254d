"""`sentinel run`."""

from __future__ import annotations

from sentinel.cli.config import EX_CONFIG, ConfigPath, fail, problems_told
from sentinel.runtime.memory import importing_quickly


def run(config: ConfigPath) -> None:
    """Run the daemon in the foreground. SIGHUP reloads the configuration, SIGTERM stops it."""
    with importing_quickly():
        from sentinel.app import run_daemon
    from sentinel.runtime.sockets import ListenError

    with problems_told():
        try:
            run_daemon(config)
        except ListenError as error:
            fail(str(error), EX_CONFIG)
