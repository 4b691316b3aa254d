"""Mount tables and df, as hostile as they come."""

from __future__ import annotations

from sentinel.collect.ssh.parsers import Shapes
from tests.unit.ssh.reading import figures, read

TABLE = "==> df <==\n Inodes IFree 1B-blocks Used Avail Mounted on\n"


def sizes(text: str, parser: str = "filesystem") -> dict[str, float]:
    part = read(parser, text)
    return {
        labels["mountpoint"]: float(value)
        for labels, value in zip(part.shape.series, part.values, strict=True)
        if labels.name == "node_filesystem_size_bytes"
    }


def test_free_is_size_less_used_and_may_exceed_avail() -> None:
    found = figures(read("filesystem", "/dev/a / ext4 rw 0 0\n" + TABLE + "10 9 1000 300 650 /\n"))
    labels = '{device="/dev/a", fstype="ext4", mountpoint="/"}'
    assert found[f"node_filesystem_free_bytes{labels}"] == 700
    assert found[f"node_filesystem_avail_bytes{labels}"] == 650
    assert found[f"node_filesystem_files_free{labels}"] == 9


def test_mount_points_may_hold_blanks_numbers_and_escapes() -> None:
    text = (
        "/dev/a /srv/a\\0407 ext4 rw 0 0\n/dev/b /srv/new\\012line ext4 ro 0 0\n/dev/c /srv/$(id) ext4 rw 0 0\n"
        + TABLE
        + "1 1 111 0 111 /srv/a 7\n1 1 222 0 222 /srv/new?line\n1 1 333 0 333 /srv/$(id)\n"
    )
    assert sizes(text) == {"/srv/a 7": 111, "/srv/new\\012line": 222, "/srv/$(id)": 333}


def test_a_number_in_a_mount_point_is_part_of_its_name() -> None:
    text = "/dev/a /srv/a\\040{0} ext4 rw 0 0\n" + TABLE + "1 1 {1} 0 1 /srv/a {0}\n"
    shapes = Shapes()
    first = read("filesystem", text.format(7, 100), shapes=shapes)
    same = read("filesystem", text.format(7, 200), shapes=shapes, last=first.shape)
    other = read("filesystem", text.format(8, 200), shapes=shapes, last=first.shape)
    assert same.shape is first.shape
    assert {labels["mountpoint"] for labels in other.shape.series} == {"/srv/a 8"}


def test_a_file_system_without_figures_is_a_device_error() -> None:
    found = figures(read("filesystem", "/dev/a / ext4 rw 0 0\n" + TABLE + "- - - - - /\n"))
    assert found == {'node_filesystem_device_error{device="/dev/a", fstype="ext4", mountpoint="/"}': 1.0}


def test_network_file_systems_stand_in_a_section_of_their_own() -> None:
    text = "/dev/a / ext4 rw 0 0\nnas:/x /mnt nfs4 rw 0 0\n" + TABLE + "1 1 5 0 5 /\n1 1 6 0 6 /mnt\n"
    assert sizes(text) == {"/": 5}
    assert sizes(text, "filesystem_remote") == {"/mnt": 6}


def test_node_exporters_exclusions_hold() -> None:
    text = (
        "a /proc/x ext4 rw 0 0\nb /var/lib/docker/overlay2/1 ext4 rw 0 0\nc /c overlay rw 0 0\n"
        "d /data ext4 rw 0 0\n"
        + TABLE
        + "1 1 5 0 5 /proc/x\n1 1 5 0 5 /var/lib/docker/overlay2/1\n1 1 5 0 5 /c\n1 1 7 0 7 /data\n"
    )
    assert sizes(text) == {"/data": 7}


def test_busybox_tables_are_read_in_kilobytes() -> None:
    text = (
        "/dev/a / ext4 rw 0 0\n==> df -k <==\nFilesystem 1024-blocks Used Available Capacity Mounted on\n"
        "/dev/a 1000 250 700 27% /\n==> df -i <==\nFilesystem Inodes Used Available Capacity Mounted on\n"
        "/dev/a 64 4 60 7% /\n"
    )
    labels = '{device="/dev/a", fstype="ext4", mountpoint="/"}'
    found = figures(read("filesystem", text))
    assert found[f"node_filesystem_size_bytes{labels}"] == 1024000
    assert found[f"node_filesystem_free_bytes{labels}"] == 768000
    assert found[f"node_filesystem_files_free{labels}"] == 60
