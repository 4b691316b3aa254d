"""ZFS: node_exporter's zfs collector, from /proc/spl/kstat/zfs.

A statistics file has a line of its own figures, a line `name type data`, then `hits 4 123`: types 3 and 4 are
64-bit numbers. A pool's `io` has a line of names over a line of numbers, its `state` a word; each `objset-*` is a
dataset.
Format: module/os/linux/spl/spl-kstat.c of OpenZFS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.linux.files import Files, content, label
from sentinel.collect.ssh.text import Field, Metric, Sample, Text

_STATISTICS = {
    "abdstats": "abd",
    "arcstats": "arc",
    "dbufstats": "dbuf",
    "dmu_tx": "dmu_tx",
    "dnodestats": "dnode",
    "fm": "fm",
    "vdev_cache_stats": "vdev_cache",
    "vdev_mirror_stats": "vdev_mirror",
    "xuio_stats": "xuio",
    "zfetchstats": "zfetch",
    "zil": "zil",
}
_PATH = re.compile(r"/proc/spl/kstat/zfs/(?:([^/]+)/)?([^/]+)")
_NUMBERS = ("3", "4")
_UNSIGNED = ("4",)
_WORD = re.compile("[A-Za-z0-9_]+")
_STATES = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
_STATE = Metric.of("node_zfs_zpool_state", "gauge", "kstat.zfs.misc.state")


def zfs(files: Files) -> Iterator[Sample]:
    for path, text in files.items():
        match = _PATH.fullmatch(path)
        if match is None:
            continue
        pool, file = match[1], match[2]
        if pool is None and file in _STATISTICS:
            for key, value in _rows(text, _NUMBERS):
                yield from _sample(f"zfs_{_STATISTICS[file]}", f"{file}.{key}", key, value, {})
        elif pool is not None and file == "io":
            yield from _io(text, {"zpool": label(pool)})
        elif pool is not None and file == "state":
            state = content(text).lower()
            for each in _STATES:
                yield Sample(_STATE, float(state == each), {"zpool": label(pool), "state": each})
        elif pool is not None and file.startswith("objset-"):
            yield from _dataset(text, {"zpool": label(pool)})


def _rows(text: Text, types: tuple[str, ...]) -> Iterator[tuple[str, Field]]:
    has_begun = False
    for line in text.lines():
        fields = line.fields()
        if not has_begun:
            has_begun = fields == ["name", "type", "data"]
            text.skip(line)
        elif len(fields) >= 3 and fields[1] in types:
            yield str(fields[0]), fields[2]


def _sample(subsystem: str, meaning: str, key: str, value: Field, labels: dict[str, str]) -> Iterator[Sample]:
    name = key.replace("-", "_")
    if value.is_number and _WORD.fullmatch(name):
        yield Sample(
            Metric.of(f"node_{subsystem}_{name}", "unknown", f"kstat.zfs.misc.{meaning}"), value, labels
        )


def _io(text: Text, labels: dict[str, str]) -> Iterator[Sample]:
    names: list[Field] = []
    for line in text.lines():
        fields = line.fields()
        if names:
            for name, value in zip(names, fields, strict=False):
                yield from _sample("zfs_zpool", f"io.{name}", name, value, labels)
            return
        if fields[:1] == ["nread"]:
            names = fields
        else:
            text.skip(line)


def _dataset(text: Text, labels: dict[str, str]) -> Iterator[Sample]:
    """Names of datasets may hold blanks."""
    name = next((line for line in text.lines() if line.startswith("dataset_name ")), None)
    fields = name.fields() if name is not None else []
    if name is None or len(fields) < 3:
        return
    dataset = name.part(fields[2].start - name.start).label.strip()
    for key, value in _rows(text, _UNSIGNED):
        yield from _sample("zfs_zpool_dataset", f"objset.{key}", key, value, labels | {"dataset": dataset})
