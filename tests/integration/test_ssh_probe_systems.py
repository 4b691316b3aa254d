"""The shipped probes with other systems' tools: busybox alone, as on Alpine; bash and gawk, as on RHEL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_ssh_probes import probe
from tests.servers.debian import environment, program

PROBES: dict[str, dict[str, str | list[str]]] = {
    "backup_files": {"paths": ["/usr/share/zoneinfo/E*", "/none"], "pattern": "[A-M]*"},
    "certificates": {"paths": ["/etc/ssl/certs/ca-*.crt", "/none.pem", "/etc/passwd"]},
    "listening_ports": {"expected": ["tcp/1"]},
    "logged_in_users": {},
    "processes": {"names": ["sleep"], "command_lines": ["sleep 8639[1-3]", "sleep nobody"]},
    "reboot_required": {},
}


class System:
    """A shell and the programs that it finds."""

    def __init__(self, shell: str, path: str) -> None:
        self.shell = shell
        self.path = path

    def prints(self, text: str) -> str:
        libraries = {"LD_LIBRARY_PATH": environment()["LD_LIBRARY_PATH"]}
        done = subprocess.run(
            [self.shell],
            input=text,
            env={"PATH": self.path, "LC_ALL": "C"} | libraries,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout


@pytest.fixture(scope="module")
def here() -> System:
    return System("/bin/sh", "/usr/sbin:/sbin:/usr/bin:/bin")


@pytest.fixture(scope="module", params=["busybox", "gawk"])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> System:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "gawk":
        (folder / "awk").symlink_to(program("gawk"))
        return System("/bin/bash", f"{folder}:/usr/sbin:/sbin:/usr/bin:/bin")
    busybox = program("busybox")
    for applet in subprocess.run(
        [busybox, "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        (folder / applet).symlink_to(busybox)
    openssl = shutil.which("openssl")
    assert openssl is not None
    (folder / "openssl").symlink_to(openssl)
    return System(str(folder / "sh"), str(folder))


@pytest.fixture(scope="module", autouse=True)
def sleeping() -> Iterator[None]:
    processes = [subprocess.Popen(["sleep", seconds]) for seconds in ("86391", "86392")]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", sorted(PROBES))
def test_other_tools_print_the_same(name: str, here: System, other: System) -> None:
    (section,) = probe(name, **PROBES[name])["mine"].sections
    text = f"{{\n{section.command}\n}} </dev/null 2>/dev/null\n"
    # What the machine does meanwhile may differ: then it is asked again.
    for _ in range(5):
        expected, found = (sorted(system.prints(text).splitlines()) for system in (here, other))
        if found == expected:
            break
    assert found == expected
    assert found


def test_log_lines_are_counted_by_other_tools_too(other: System, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("error before\n")
    (section,) = probe("log_lines", files=[str(log)], pattern="err(or){1}|b{3}")["mine"].sections
    poll = f"{{\n{section.command}\n}} </dev/null 2>/dev/null\n"
    steps = [
        f"printf 'one error\\nnone\\nbbb' >>'{log}'",
        f"printf '\\n' >>'{log}'",
        f"mv '{log}' '{log}.1'; printf 'error\\n' >'{log}'",
        f": >'{log}'; printf 'bbb\\n' >>'{log}'",
    ]
    printed = other.prints(poll + "".join(f"{step}\n{poll}" for step in steps))
    assert [line.split("\t")[2] for line in printed.splitlines()] == ["0", "1", "2", "3", "4"]
