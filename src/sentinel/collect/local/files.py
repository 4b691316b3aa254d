"""Which files each text of this machine holds: those that the module linux reads over SSH."""

from __future__ import annotations

from collections.abc import Mapping

_ROWS: Mapping[str, tuple[str, ...]] = {
    "proc": (
        "/proc: stat meminfo loadavg diskstats",
        "/proc/net: dev",
        "/proc: vmstat",
        "/proc/sys/fs: file-nr",
        "/proc/net: sockstat sockstat6 netstat snmp snmp6 softnet_stat",
        "/proc/sys/net/netfilter: nf_conntrack_count nf_conntrack_max",
        "/proc/net/stat: nf_conntrack",
        "/proc/pressure: cpu io memory irq",
        "/proc/sys/kernel/random: entropy_avail poolsize",
        "/proc: mdstat",
        "/sys/class/net/*: operstate carrier_changes",
        "/sys/class/net/*/bonding: slaves",
        "/sys/class/net/*/bonding_slave: mii_status",
    ),
    "interfaces": (
        "/sys/class/net/*: address addr_assign_type broadcast dev_id duplex flags ifalias ifindex iflink",
        "/sys/class/net/*: link_mode name_assign_type netdev_group operstate tx_queue_len type mtu speed",
        "/sys/class/net/*: dormant carrier carrier_up_count carrier_down_count",
        "/sys/class/net/*/statistics: rx_nohandler",
    ),
    "hardware": (
        "/sys/class/hwmon/*: name temp[0-9]* fan[0-9]* in[0-9]* curr[0-9]* power[0-9]* energy[0-9]*",
        "/sys/class/hwmon/*: humidity[0-9]* pwm[0-9]* freq[0-9]* intrusion[0-9]* cpu[0-9]* vrm beep_enable",
        "/sys/class/hwmon/*: update_interval",
        "/sys/class/hwmon/*/device: temp[0-9]* fan[0-9]* in[0-9]* curr[0-9]* power[0-9]* pwm[0-9]*",
        "/sys/class/thermal/thermal_zone*: mode type temp",
        "/sys/class/thermal/cooling_device*: type cur_state max_state",
        "/sys/class/power_supply/*: uevent type",
        "/sys/devices/system/edac/mc/mc[0-9]*: ce_count ue_count ce_noinfo_count ue_noinfo_count",
        "/sys/devices/system/edac/mc/mc[0-9]*/csrow[0-9]*: ce_count ue_count",
        "/sys/class/nvme/*: firmware_rev model serial state",
        "/sys/class/watchdog/*: bootstatus fw_version nowayout timeleft timeout pretimeout access_cs0 options",
        "/sys/class/watchdog/*: identity state status pretimeout_governor",
        "/sys/class/infiniband/*/ports/*: state phys_state rate",
        "/sys/class/infiniband/*/ports/*/counters: *",
        "/sys/class/powercap/*: name energy_uj",
    ),
    "cpus": (
        "/sys/devices/system/cpu: isolated",
        "/sys/devices/system/cpu/cpu[0-9]*/cpufreq: cpuinfo_*_freq scaling_*_freq scaling_governor",
        "/sys/devices/system/cpu/cpu[0-9]*/cpufreq: scaling_available_governors",
        "/sys/devices/system/cpu/cpu[0-9]*/topology: core_id physical_package_id",
        "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle: *_throttle_count",
    ),
    "storage": (
        "/proc/net/rpc: nfs nfsd",
        "/sys/fs/xfs/*/stats: stats",
        "/sys/fs/btrfs/*-*: label metadata_uuid commit_stats",
        "/sys/fs/btrfs/*-*/allocation: global_rsv_size",
        "/sys/fs/btrfs/*-*/allocation/*: bytes_reserved",
        "/sys/fs/btrfs/*-*/allocation/*/*: used_bytes total_bytes",
        "/sys/fs/btrfs/*-*/devices/*: size",
        "/proc/spl/kstat/zfs: abdstats arcstats dbufstats dmu_tx dnodestats fm vdev_cache_stats",
        "/proc/spl/kstat/zfs: vdev_mirror_stats xuio_stats zfetchstats zil",
        "/proc/spl/kstat/zfs/*: io objset-* state",
    ),
    "disks": (
        "/proc: diskstats",
        "/run/udev/data: b*",
    ),
    "identity": (
        "/etc: os-release",
        "/usr/lib: os-release",
        "/sys/devices/system/clocksource/clocksource*: available_clocksource current_clocksource",
        "/sys/fs/selinux: enforce",
        "/etc/selinux: config",
        "/sys/class/dmi/id: bios_* board_* chassis_* product_* sys_vendor",
    ),
    "textfile": (
        "/var/lib/prometheus/node-exporter: *.prom",
        "/var/lib/node_exporter/textfile_collector: *.prom",
        "/var/lib/node_exporter: *.prom",
    ),
}
"""Per section, rows of a folder and the names in it."""

PATTERNS: Mapping[str, tuple[str, ...]] = {
    section: tuple(
        f"{folder}/{name}"
        for folder, _, names in (row.partition(": ") for row in rows)
        for name in names.split()
    )
    for section, rows in _ROWS.items()
}
"""Paths with * and [0-9] in them, by section."""
