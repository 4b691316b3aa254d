"""A real OpenSSH server on loopback: key-only login, its own host key, a host that tests can change."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from tests.servers.debian import environment, free_port, program

_DEADLINE = 15.0
"""Seconds for the server to come up or to end."""


class Sshd:
    """One server. `fake(…)` replaces programs that sessions see; `disk` is a file system that `fill` fills.

    As root it runs in a mount namespace of its own with a private user `sshd` and a private /run, so nothing of
    the machine changes; as anybody else it runs plainly.
    """

    def __init__(
        self,
        folder: Path,
        *,
        force_command: str = "",
        banner: str = "",
        algorithms: str = "",
        has_certificates: bool = False,
        listen: str = "",
        disk_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        """`force_command` is sshd's ForceCommand; `disk_bytes` the size of the file system at `disk`.

        With certificates its host key has one, and users with one of the same authority are let in. `listen` is
        the address when it is not 127.0.0.1.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.username = pwd.getpwuid(os.getuid()).pw_name
        self.disk = folder / "disk"
        self.known_hosts = folder / "known_hosts"
        self._programs = folder / "bin"
        self._config = folder / "sshd_config"
        self._log = folder / "sshd.log"
        self._host_key = folder / "host_key"
        self._user_key = folder / "user_key"
        self._authority = folder / "authority"
        self._disk_bytes = disk_bytes
        self._filler_bytes = 0
        """What the file system holds; a restarted host has it again."""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_root = os.getuid() == 0
        for path in (self.disk, self._programs):
            path.mkdir(exist_ok=True)
        self._make_key(self._user_key)
        self._make_key(self._host_key)
        self.authorize()
        self.write_known_hosts()
        more = [algorithms] if algorithms else []
        if has_certificates:
            self._make_key(self._authority)
            self._tool("ssh-keygen", "-q", "-s", str(self._authority), "-I", "host", "-h", "-n", self.host,
                       str(self._host_key.with_suffix(".pub")))  # fmt: skip
            more.append(f"TrustedUserCAKeys {self._authority.with_suffix('.pub')}")
            more.append(f"HostCertificate {self._host_key}-cert.pub")
        self._write_config(force_command, banner, more, listen or self.host)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    @property
    def private_key(self) -> str:
        """Text of the key that may log in."""
        return self._user_key.read_text()

    @property
    def private_key_path(self) -> Path:
        return self._user_key

    @property
    def host_key_line(self) -> str:
        """The public host key, as in a target's `host_key`."""
        return " ".join(self._host_key.with_suffix(".pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """SHA256:… of the host key."""
        output = self._tool("ssh-keygen", "-l", "-E", "sha256", "-f", str(self._host_key))
        return output.split()[1]

    @property
    def log(self) -> str:
        """What the server has logged."""
        return self._log.read_text(errors="replace")

    @property
    def logins(self) -> int:
        """Connections that have been let in."""
        return self.log.count("Accepted publickey")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = [program("sshd"), "-D", "-e", "-f", str(self._config)]
        if self._is_root:
            command = ["unshare", "-m", "sh", "-c", self._namespace(command)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd=self.folder
            )
        _until(self._listens, f"sshd does not listen: {self.log}")

    def stop(self) -> None:
        """The host disappears: the server and every session end at once."""
        if self._process is None:
            return
        processes = self._children()
        self._process.send_signal(signal.SIGKILL)
        _kill(processes)
        self._process.wait(_DEADLINE)
        self._process = None
        _until(lambda: not self._listens(), "sshd still listens")

    def sessions(self) -> list[psutil.Process]:
        """The server's processes for connections, and what they run."""
        return self._children()

    def drop_connections(self) -> None:
        """Every connection is cut; the server goes on."""
        _kill(self._children())

    def change_host_key(self) -> None:
        """As after a reinstallation. Restarts the server; known_hosts keeps the old key."""
        self.stop()
        for path in (self._host_key, self._host_key.with_suffix(".pub")):
            path.unlink()
        self._make_key(self._host_key)
        self.start()

    def authorize(self, options: str = "") -> None:
        """The user's key may log in, with these options before it in authorized_keys."""
        line = self._user_key.with_suffix(".pub").read_text()
        (self.folder / "authorized_keys").write_text(f"{options} {line}".lstrip())

    def unauthorize(self) -> None:
        """No key may log in; certificates still do."""
        (self.folder / "authorized_keys").write_text("")

    @property
    def authority_line(self) -> str:
        """Public key of the authority that signs hosts and users."""
        return " ".join(self._authority.with_suffix(".pub").read_text().split()[:2])

    def user_certificate(self, *, principal: str = "") -> str:
        """Text of a certificate of the user's key."""
        public = self._user_key.with_suffix(".pub")
        self._tool("ssh-keygen", "-q", "-s", str(self._authority), "-I", "user", "-n",
                   principal or self.username, str(public))  # fmt: skip
        return Path(f"{self._user_key}-cert.pub").read_text()

    def write_known_hosts(self, *, hashed: bool = False) -> None:
        """Accepts the present host key."""
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {self.host_key_line}\n")
        if hashed:
            self._tool("ssh-keygen", "-q", "-H", "-f", str(self.known_hosts))

    def fake(self, name: str, script: str) -> None:
        """Sessions find this shell script in place of a program, until `unfake`."""
        path = self._programs / name
        fresh = path.with_suffix(".new")
        fresh.write_text(f"#!/bin/sh\n{script}\n")
        fresh.chmod(0o755)
        fresh.rename(path)

    def unfake(self, name: str) -> None:
        (self._programs / name).unlink(missing_ok=True)

    def fill(self, share: float = 0.97) -> None:
        """Fills the file system at `disk`; without root, df says so."""
        if not self._is_root:
            self._fake_df(share)
            return
        root = self._inside(self.disk)
        usage = os.statvfs(root)
        wanted = int(usage.f_blocks * share) - (usage.f_blocks - usage.f_bavail)
        self._filler_bytes += max(wanted, 0) * usage.f_frsize
        (root / "filler").write_bytes(b"\0" * self._filler_bytes)

    def empty(self) -> None:
        """The file system at `disk` has room again."""
        if not self._is_root:
            self._fake_df(0.01)
            return
        self._filler_bytes = 0
        (self._inside(self.disk) / "filler").unlink(missing_ok=True)

    def _inside(self, path: Path) -> Path:
        """A path as the server's mount namespace has it."""
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/root{path}")

    def _fake_df(self, share: float) -> None:
        """Adds one line to the real df's table, and one mount to what cat shows of /proc/self/mounts."""
        size = self._disk_bytes
        used = int(size * share)
        row = f"1000 900 {size} {used} {size - used} {self.disk}"
        self.fake(
            "df",
            f'/bin/df "$@"; status=$?; case "$*" in *--output=itotal*) echo "{row}";; esac; exit $status',
        )
        mount = f"tmpfs {self.disk} tmpfs rw 0 0"
        self.fake("cat", f'/bin/cat "$@"; case "$*" in /proc/self/mounts) echo "{mount}";; esac')

    def _children(self) -> list[psutil.Process]:
        assert self._process is not None
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _namespace(self, command: list[str]) -> str:
        users = self.folder / "passwd"
        lines = Path("/etc/passwd").read_text()
        if "\nsshd:" not in lines:
            lines += "sshd:x:22122:65534:sshd:/run/sshd:/usr/sbin/nologin\n"
        users.write_text(lines)
        return "\n".join(
            [
                "set -e",
                f"mount --bind {users} /etc/passwd",
                "mount -t tmpfs tmpfs /run",
                "mkdir -m 755 /run/sshd",
                f"mount -t tmpfs -o size={self._disk_bytes} tmpfs {self.disk}",
                f"head -c {self._filler_bytes} /dev/zero > {self.disk}/filler",
                f"exec {' '.join(command)}",
            ]
        )

    def _write_config(self, force_command: str, banner: str, more: list[str], listen: str) -> None:
        path = f"{self._programs}:/usr/local/bin:/usr/bin:/bin"
        lines = [
            f"Port {self.port}",
            f"ListenAddress {listen}",
            f"HostKey {self._host_key}",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "MaxStartups 1000",
            "PrintMotd no",
            f"SetEnv PATH={path} HOME={self.folder}",  # not this machine's login files
        ]
        if force_command:
            lines.append(f"ForceCommand {force_command}")
        if banner:
            (self.folder / "banner").write_text(banner)
            lines.append(f"Banner {self.folder / 'banner'}")
        self._config.write_text("\n".join([*lines, *more]) + "\n")

    def _make_key(self, path: Path) -> None:
        self._tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path))

    def _tool(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [program(name), *arguments], env=environment(), check=True, capture_output=True, text=True
        )
        return done.stdout

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0


def _kill(processes: list[psutil.Process]) -> None:
    """The server's own before what they run: to the client the line is cut, nothing has failed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _until(is_so: object, complaint: str) -> None:
    assert callable(is_so)
    deadline = time.monotonic() + _DEADLINE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.02)
