"""Sentinel's own process, in the names that Prometheus' client libraries use."""

from __future__ import annotations

import resource

import numpy as np
import psutil

from sentinel.model.batch import Family, Floats, Layout
from sentinel.model.labels import Labels

_FAMILIES = {
    "process_cpu_seconds_total": Family("counter", "Total user and system CPU time spent in seconds."),
    "process_resident_memory_bytes": Family("gauge", "Resident memory size in bytes."),
    "process_virtual_memory_bytes": Family("gauge", "Virtual memory size in bytes."),
    "process_start_time_seconds": Family("gauge", "Start time of the process since unix epoch in seconds."),
    "process_open_fds": Family("gauge", "Number of open file descriptors."),
    "process_max_fds": Family("gauge", "Maximum number of open file descriptors."),
    "process_threads": Family("gauge", "Number of threads of the process."),
}


class OwnProcess:
    """psutil's view of this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.layout = Layout.of((Labels(__name__=name) for name in _FAMILIES), _FAMILIES)

    def values(self) -> Floats:
        """Aligned with the layout."""
        process = self._process
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
            return np.array(
                [
                    cpu.user + cpu.system,
                    memory.rss,
                    memory.vms,
                    process.create_time(),
                    process.num_fds(),
                    resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                    process.num_threads(),
                ],
                np.float64,
            )
