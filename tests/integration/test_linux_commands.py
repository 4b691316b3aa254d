"""The shipped commands, run by a real shell over a made-up machine: for what few test machines have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.ssh_host import shipped
from tests.unit.ssh.reading import figures, read


class Machine:
    """A folder that stands for /, in which the shipped commands look."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str]) -> None:
        for path, content in files.items():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content + "\n")

    def link(self, path: str, target: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(self.root / target)

    def figures(self, name: str) -> dict[str, float]:
        """What the section gives here."""
        section = next(each for each in shipped()["linux"].sections if each.name == name)
        command = section.command
        for folder in ("proc", "sys", "var", "etc", "run", "usr"):
            command = command.replace(f" /{folder}/", f" {self.root}/{folder}/")
            command = command.replace(f"</{folder}/", f"<{self.root}/{folder}/")
        done = subprocess.run(
            ["/bin/sh"],
            input=f"{{\n{command}\n}} </dev/null 2>/dev/null\n".encode(),
            capture_output=True,
            check=True,
        )
        return figures(read(section.parser.name, done.stdout.replace(str(self.root).encode() + b"/", b"/")))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


EMPTY = ("hardware", "cpus", "storage", "queues", "disks", "interfaces")


@pytest.mark.parametrize("section", EMPTY)
def test_a_machine_without_anything_of_the_kind_gives_nothing(machine: Machine, section: str) -> None:
    assert machine.figures(section) == {}


def test_a_chip_is_named_by_where_it_sits(machine: Machine) -> None:
    machine.write(
        {
            "sys/devices/platform/coretemp.0/hwmon/hwmon0/name": "coretemp",
            "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input": "41000",
            "sys/devices/virtual/other/hwmon1/name": "other",
            "sys/devices/virtual/other/hwmon1/fan1_input": "1200",
        }
    )
    machine.link("sys/devices/platform/coretemp.0/hwmon/hwmon0/device", "sys/devices/platform/coretemp.0")
    machine.link("sys/class/hwmon/hwmon0", "sys/devices/platform/coretemp.0/hwmon/hwmon0")
    machine.link("sys/class/hwmon/hwmon1", "sys/devices/virtual/other/hwmon1")
    found = machine.figures("hardware")
    assert found['node_hwmon_temp_celsius{chip="platform_coretemp_0", sensor="temp1"}'] == 41
    assert found['node_hwmon_fan_rpm{chip="other", sensor="fan1"}'] == 1200


def test_heat_supplies_memory_and_disks_are_found(machine: Machine) -> None:
    machine.write(
        {
            "sys/class/thermal/thermal_zone0/type": "soc",
            "sys/class/thermal/thermal_zone0/temp": "47100",
            "sys/class/power_supply/BAT0/uevent": "POWER_SUPPLY_NAME=BAT0\nPOWER_SUPPLY_CAPACITY=81",
            "sys/devices/system/edac/mc/mc0/ce_count": "3",
            "sys/devices/system/edac/mc/mc0/csrow1/ue_count": "4",
            "sys/class/nvme/nvme0/model": "Example",
        }
    )
    found = machine.figures("hardware")
    assert found['node_thermal_zone_temp{type="soc", zone="0"}'] == 47.1
    assert found['node_power_supply_capacity{power_supply="BAT0"}'] == 81
    assert found['node_edac_correctable_errors_total{controller="0"}'] == 3
    assert found['node_edac_csrow_uncorrectable_errors_total{controller="0", csrow="1"}'] == 4
    assert found['node_nvme_info{device="nvme0", model="Example"}'] == 1


def test_isolated_cpus_and_frequencies_are_found(machine: Machine) -> None:
    machine.write(
        {
            "sys/devices/system/cpu/isolated": "2-3",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1200000",
        }
    )
    found = machine.figures("cpus")
    assert found == {
        'node_cpu_isolated{cpu="2"}': 1,
        'node_cpu_isolated{cpu="3"}': 1,
        'node_cpu_scaling_frequency_hertz{cpu="0"}': 1.2e9,
    }


def test_a_bond_that_lost_an_interface_is_seen(machine: Machine) -> None:
    machine.write(
        {
            "sys/class/net/bonding_masters": "bond0",
            "sys/class/net/bond0/bonding/slaves": "eth0 eth1",
            "sys/class/net/eth0/bonding_slave/mii_status": "up",
            "sys/class/net/eth1/bonding_slave/mii_status": "down",
        }
    )
    found = machine.figures("proc")
    assert found['node_bonding_slaves{master="bond0"}'] == 2
    assert found['node_bonding_active{master="bond0"}'] == 1


def test_file_systems_that_count_are_found(machine: Machine) -> None:
    machine.write(
        {
            "proc/net/rpc/nfs": "net 1 2 3 4",
            "sys/fs/xfs/sda1/stats/stats": "rw 7 8",
            "proc/spl/kstat/zfs/arcstats": "1 1 0x01 1 1 1 1\nname type data\nhits 4 12",
            "proc/spl/kstat/zfs/tank/state": "ONLINE",
        }
    )
    found = machine.figures("storage")
    assert found['node_nfs_packets_total{protocol="tcp"}'] == 3
    assert found['node_xfs_read_calls_total{device="sda1"}'] == 8
    assert found["node_zfs_arc_hits"] == 12
    assert found['node_zfs_zpool_state{state="online", zpool="tank"}'] == 1


def test_textfiles_with_odd_names_are_read_or_told_of(machine: Machine) -> None:
    folder = "var/lib/node_exporter"
    machine.write(
        {f"{folder}/two words.prom": "a 1", f"{folder}/$(id).prom": "b 2", f"{folder}/no.txt": "c 3"}
    )
    found = machine.figures("textfile")
    assert (found["a"], found["b"], found["node_textfile_scrape_error"]) == (1, 2, 0)
    assert 'node_textfile_mtime_seconds{file="/var/lib/node_exporter/two words.prom"}' in found
    assert "c" not in found
    machine.write({f"{folder}/new\nline.prom": "d 4"})
    assert machine.figures("textfile")["a"] == 1


def test_neighbours_and_queues_are_counted(machine: Machine) -> None:
    machine.write(
        {
            "proc/net/arp": "IP address HW type\n192.0.2.1 0x1 0x2 02:00:00:00:00:01 * eth0",
            "proc/net/udp": " sl local\n 1: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000\n"
            " 2: 00000000:0036 00000000:0000 07 00000000:00000200 00:00000000 00000000",
            "proc/schedstat": "version 15\ncpu0 0 0 0 0 0 0 1000000000 2000000000 3\ndomain0 3 4",
        }
    )
    found = machine.figures("queues")
    assert found['node_arp_entries{device="eth0"}'] == 1
    assert found['node_udp_queues{ip="v4", queue="rx"}'] == 512
    assert found['node_schedstat_waiting_seconds_total{cpu="0"}'] == 2
