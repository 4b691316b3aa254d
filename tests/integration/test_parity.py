"""Sentinel over a real sshd and Debian's node_exporter read the same machine at the same moment."""

from __future__ import annotations

import asyncio
import re

import pytest
from bench.parity import LEAST_SHARE, NEEDED, Parity, Series, read_both

from sentinel.model.labels import METRIC_NAME, Labels
from tests.integration.ssh_host import running_sshd

UNCHANGING = re.compile(
    r"node_(memory_(MemTotal|SwapTotal)_bytes|filesystem_(size_bytes|files|readonly|device_error)|boot_time_seconds"
    r"|uname_info|network_(?!receive_(?!nohandler)|transmit_(?!queue))\w+|filefd_maximum|disk_info|os_\w+|dmi_info"
    r"|selinux_\w+|time_(zone|clocksource)\w+|timex_(?!maxerror|offset)\w+|entropy_pool_size_bits"
    r"|nf_conntrack_entries_limit|md_\w+|bonding_\w+|nvme_info|softnet_dropped_total)"
)

CHANGING = re.compile(
    r"node_(cpu_seconds_total|load\d+|network_receive_bytes_total|disk_written_bytes_total|pressure_\w+"
    r"|softnet_processed_total|context_switches_total|netstat_Tcp_InSegs|time_seconds)"
)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, Series]:
    with running_sshd() as server:
        log = tmp_path_factory.mktemp("node_exporter") / "log"
        ((theirs, ours, _),) = asyncio.run(read_both(server, log))
    return theirs, ours


def test_node_exporters_names_are_there_with_the_same_label_sets(readings: tuple[Series, Series]) -> None:
    found = Parity.of(*readings)
    assert len(found.theirs) > 150
    assert found.share >= LEAST_SHARE
    assert found.different == {}


def test_what_dashboards_and_the_mixin_need_is_there_where_the_kernel_has_it(
    readings: tuple[Series, Series],
) -> None:
    theirs, ours = ({labels.name for labels in side} for side in readings)
    assert len(NEEDED) == 66
    assert NEEDED & theirs - ours == set()


def test_collectors_have_node_exporters_names(readings: tuple[Series, Series]) -> None:
    """A collector of ours that it does not have reads what it keeps in another."""
    theirs, ours = (
        {
            labels["collector"]: value
            for labels, value in side.items()
            if labels.name.endswith("_collector_success")
        }
        for side in readings
    )
    assert {name for name, value in theirs.items() if value} - ours.keys() <= {"bcache"}
    assert ours.keys() - theirs.keys() <= {"filesystem_remote", "watchdog"}
    assert all(ours.values())


def test_what_does_not_change_has_the_same_values(readings: tuple[Series, Series]) -> None:
    theirs, ours = readings
    same = [labels for labels in theirs if UNCHANGING.fullmatch(labels.name) and labels in ours]
    assert {labels.name for labels in same} >= {
        "node_memory_MemTotal_bytes",
        "node_filesystem_size_bytes",
        "node_network_info",
        "node_timex_tick_seconds",
        "node_os_info",
    }
    assert {labels: ours[labels] for labels in same} == {labels: theirs[labels] for labels in same}


def test_what_changes_differs_by_what_a_moment_changes(readings: tuple[Series, Series]) -> None:
    theirs, ours = readings
    same = [labels for labels in theirs if CHANGING.fullmatch(labels.name) and labels in ours]
    assert len({labels.name for labels in same}) >= 8
    for labels in same:
        assert ours[labels] == pytest.approx(theirs[labels], rel=0.05, abs=5), labels


def test_only_defaults_that_differ_explain_a_difference() -> None:
    def read(*devices: str) -> Series:
        name = {METRIC_NAME: "node_network_receive_bytes_total"}
        return {Labels(name, device=device): 0.0 for device in devices}

    assert Parity.of(read("eth0"), read("eth0", "lo")).different == {}
    assert Parity.of(read("eth0"), read("eth0", "lo")).explained
    assert Parity.of(read("eth0"), read("eth0", "eth1")).different
    assert Parity.of(read("eth0", "eth1"), read("eth0", "lo")).different
