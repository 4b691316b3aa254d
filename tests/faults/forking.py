"""The daemon as a fork of a process that has its modules already: hundreds of starts in the time of dozens.

Everything from the command line on is the daemon's own; only the reading of its modules from disk is left out.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from pathlib import Path
from subprocess import TimeoutExpired

from tests.acceptance.daemon import Daemon

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["sentinel.cli.main", "sentinel.app", "tests.faults.forking"])


class Fork:
    """One life of the daemon, with what Daemon asks of a subprocess.Popen."""

    def __init__(self, config: Path, log: Path) -> None:
        self._process = _CONTEXT.Process(target=_live, args=(str(config), str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("sentinel run", timeout or 0.0)
        return self._process.exitcode


class ForkedDaemon(Daemon):
    def launch(self) -> None:
        self.log.touch()
        self._process = Fork(self.config, self.log)


def _live(config: str, log: str) -> None:
    """`sentinel run --config CONFIG`, whose output goes to a file."""
    from sentinel.cli.main import main

    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for channel in (1, 2):
        os.dup2(out, channel)
    os.close(out)
    os.chdir(Path(config).parent)
    sys.argv = ["sentinel", "run", "--config", config]
    main()
