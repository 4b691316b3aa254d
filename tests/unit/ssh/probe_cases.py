"""The recorded cases of the shipped probes, in collectors/cases/MODULE/.

    SECTION.VARIANT.txt       what the section's command printed
    SECTION.VARIANT.expected  the series it must give
    SECTION.VARIANT/          what programs of that system print, a file each: the command is run over them

A file `dnf check-update` is what dnf prints with that word among its arguments; `NAME.status` is the exit status.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from sentinel.collect.ssh.modules import Section, SshModule, join_modules
from sentinel.collect.ssh.parsers import Part, Shapes
from sentinel.config.yaml import parse_yaml
from tests.servers.debian import ROOT

CASES = ROOT / "collectors/cases"
PROBES = (
    "apache", "backup_files", "certificates", "containers", "haproxy", "listening_ports", "log_lines",
    "logged_in_users", "mysql", "nginx", "package_updates", "postgresql", "processes", "reboot_required", "redis",
)  # fmt: skip
TOOLS = ("awk", "cat", "cut", "find", "grep", "head", "ls", "sed", "sort", "tail", "uname", "wc")
"""What every system has; whatever else a command finds in a case is the case's own."""


@cache
def modules() -> dict[str, SshModule]:
    paths = [ROOT / "collectors/ssh" / f"{name}.yml" for name in PROBES]
    return join_modules(parse_yaml(path.read_text(), str(path)) for path in paths)


def section_of(case: Path) -> Section:
    name = case.name.partition(".")[0]
    return next(each for each in modules()[case.parent.name].sections if each.name == name)


def texts() -> list[Path]:
    return sorted(path for name in PROBES for path in (CASES / name).glob("*.txt"))


def systems() -> list[Path]:
    return sorted(path for name in PROBES for path in (CASES / name).iterdir() if path.is_dir())


def read(case: Path, data: bytes) -> Part:
    return Shapes().read(section_of(case).parser, data, None)


def exposition(part: Part) -> str:
    """One line per series."""
    return "".join(
        f"{labels} {float(value)!r}\n" for labels, value in zip(part.shape.series, part.values, strict=True)
    )


def printed(case: Path, folder: Path, shell: str = "sh") -> bytes:
    """What the section's command prints on the system whose programs the case holds."""
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    for name in {path.name.partition(" ")[0].removesuffix(".status") for path in case.iterdir()} - {
        "expected"
    }:
        answers = "".join(
            f"*{shlex.quote(path.name.partition(' ')[2])}*) cat {shlex.quote(str(path))}; exit {_status(path)} ;;\n"
            for path in sorted(case.iterdir(), reverse=True)
            if path.name.partition(" ")[0] == name and path.suffix != ".status"
        )
        program = folder / name
        program.write_text(f'#!/bin/sh\ncase "$*" in\n{answers}esac\nexit 1\n')
        program.chmod(0o755)
    command = f"{{\n{section_of(case).command}\n}} </dev/null 2>/dev/null\n"
    found = shutil.which(shell)
    assert found is not None
    return subprocess.run(
        [found],
        input=command.encode(),
        env={"PATH": str(folder), "LC_ALL": "C"},
        capture_output=True,
        check=False,
    ).stdout


def _status(path: Path) -> int:
    status = path.with_name(f"{path.name}.status")
    return int(status.read_text()) if status.exists() else 0
