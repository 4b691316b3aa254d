"""Sentinel over a real sshd and Debian's node_exporter read the same machine at the same moment."""

from __future__ import annotations

import asyncio
import re

import pytest
from bench.parity import Parity, Series, read_both

from sentinel.model.labels import METRIC_NAME, Labels
from tests.integration.ssh_host import running_sshd

SHIPPED = re.compile(
    r"node_(cpu_(guest_)?seconds_total|memory_\w+|load(1|5|15)|filesystem_\w+|uname_info|boot_time_seconds|time_seconds"
    r"|disk_(?!info)\w+|network_(receive|transmit)_(?!nohandler|queue_length)\w+_total|network_(up|mtu_bytes|speed_bytes)"
    r"|procs_\w+|context_switches_total|intr_total|forks_total|filefd_\w+|vmstat_\w+|sockstat_\w+|netstat_\w+)"
)
"""Names of the subjects that the module linux reads."""

UNCHANGING = re.compile(
    r"node_(memory_(MemTotal|SwapTotal)_bytes|filesystem_(size_bytes|files|readonly|device_error)|boot_time_seconds"
    r"|uname_info|network_(up|mtu_bytes|speed_bytes)|filefd_maximum)"
)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, Series]:
    with running_sshd() as server:
        log = tmp_path_factory.mktemp("node_exporter") / "log"
        ((theirs, ours, _),) = asyncio.run(read_both(server, log))
    return theirs, ours


def test_every_name_of_what_is_read_is_there_with_the_same_label_sets(
    readings: tuple[Series, Series],
) -> None:
    theirs, ours = readings
    found = Parity.of(
        *({k: v for k, v in side.items() if SHIPPED.fullmatch(k.name)} for side in (theirs, ours))
    )
    assert len(found.theirs) > 150
    assert found.missing == []
    assert found.different == {}


def test_what_does_not_change_has_the_same_values(readings: tuple[Series, Series]) -> None:
    theirs, ours = readings
    same = [labels for labels in theirs if UNCHANGING.fullmatch(labels.name) and labels in ours]
    assert {labels.name for labels in same} >= {"node_memory_MemTotal_bytes", "node_filesystem_size_bytes"}
    assert {labels: ours[labels] for labels in same} == {labels: theirs[labels] for labels in same}


def test_only_defaults_that_differ_explain_a_difference() -> None:
    def read(*devices: str) -> Series:
        name = {METRIC_NAME: "node_network_receive_bytes_total"}
        return {Labels(name, device=device): 0.0 for device in devices}

    assert Parity.of(read("eth0"), read("eth0", "lo")).different == {}
    assert Parity.of(read("eth0"), read("eth0", "lo")).explained
    assert Parity.of(read("eth0"), read("eth0", "eth1")).different
    assert Parity.of(read("eth0", "eth1"), read("eth0", "lo")).different
