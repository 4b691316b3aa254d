"""The services that probes read, on loopback: PostgreSQL, Redis, Nginx, HAProxy and Apache."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import PREFIX, MissingServerError, environment, free_port, program

_DEADLINE = 20.0
_NOBODY = 65534
"""PostgreSQL runs as anybody but root."""


def postgresql_program(name: str) -> str:
    """Debian keeps PostgreSQL's programs in a folder for each version."""
    for base in (PREFIX / "usr/lib/postgresql", Path("/usr/lib/postgresql")):
        for folder in sorted(base.glob("*/bin"), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    raise MissingServerError(f"{name} is missing: run 'make test', which fetches the servers")


def wrapper(path: str) -> str:
    """A shell script for `Sshd.fake` that runs an unpacked program with its libraries."""
    return f"LD_LIBRARY_PATH='{environment()['LD_LIBRARY_PATH']}' exec '{path}' \"$@\""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _running(command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[int]:
    """Runs it in the foreground until the block ends; gives the process id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(), cwd=log.parent
        )
    try:
        deadline = time.monotonic() + _DEADLINE
        while not is_ready():
            if time.monotonic() > deadline or process.poll() is not None:
                raise TimeoutError(f"{command[0]} does not answer: {log.read_text(errors='replace')}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)  # for PostgreSQL: end at once, cleanly; for the others: end
        try:
            process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_DEADLINE)


@contextmanager
def redis(folder: Path, *options: str) -> Iterator[int]:
    """Gives the port."""
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with _running([*command, "--save", "", *options], folder / "redis.log", lambda: _answers(port)):
        yield port


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Gives the address of its stub_status page."""
    port = free_port()
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.error info;\n"
        f"events {{}}\nhttp {{\n  access_log off;\n{temporary}\n"
        f"  server {{\n    listen 127.0.0.1:{port};\n    location = /stub_status {{ stub_status; }}\n  }}\n}}\n"
    )
    command = [program("nginx"), "-p", str(folder), "-c", str(config), "-e", f"{folder}/nginx.error"]
    with _running(command, folder / "nginx.log", lambda: _answers(port)):
        yield f"http://127.0.0.1:{port}/stub_status"


@contextmanager
def haproxy(folder: Path, *, servers: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """A backend `app` with these servers, `NAME ADDRESS OPTIONS`. Gives its socket, and its page's address."""
    port = free_port()
    sock, config = folder / "haproxy.sock", folder / "haproxy.cfg"
    backend = "\n".join(f"  server {server}" for server in servers)
    config.write_text(
        f"global\n  stats socket {sock} mode 600 level user\n"
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n"
        f"frontend web\n  bind 127.0.0.1:{port}\n  stats enable\n  stats uri /haproxy\n"
        "  http-request use-service prometheus-exporter if { path /metrics }\n  default_backend app\n"
        f"backend app\n{backend}\n"
    )
    with _running(
        [program("haproxy"), "-W", "-f", str(config)], folder / "haproxy.log", lambda: _answers(port)
    ):
        yield sock, f"http://127.0.0.1:{port}"


@contextmanager
def apache(folder: Path) -> Iterator[str]:
    """Gives the address of its status page."""
    port = free_port()
    modules = Path(program("apache2")).parents[1] / "lib/apache2/modules"
    loaded = "\n".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so" for name in ("mpm_event", "authz_core", "status")
    )
    config = folder / "apache.conf"
    user = "User #65534\nGroup #65534\n" if os.getuid() == 0 else ""
    config.write_text(
        f"ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {folder}/apache.pid\n"
        f"ErrorLog {folder}/apache.error\nDefaultRuntimeDir {folder}\n{loaded}\n{user}"
        "Mutex pthread\nServerLimit 2\nStartServers 1\nThreadsPerChild 25\n"
        "ExtendedStatus On\n<Location /server-status>\n  SetHandler server-status\n</Location>\n"
    )
    command = [program("apache2"), "-D", "FOREGROUND", "-f", str(config)]
    with _running(command, folder / "apache.log", lambda: _answers(port)):
        yield f"http://127.0.0.1:{port}/server-status?auto"


@contextmanager
def postgresql(folder: Path) -> Iterator[int]:
    """A fresh cluster whose superuser is `postgres`, with the socket in the folder. Gives the port."""
    data = folder / "data"
    data.mkdir()
    if os.getuid() == 0:
        for path in (folder, data):
            os.chown(path, _NOBODY, _NOBODY)
    initdb = [
        postgresql_program("initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "--locale=C",
    ]
    subprocess.run(
        [*_as_nobody(), *initdb], env=environment(), check=True, capture_output=True, timeout=120, cwd="/"
    )
    with _postgres(folder, data) as port:
        yield port


@contextmanager
def postgresql_standby(folder: Path, primary: int) -> Iterator[int]:
    """A streaming replica of the cluster in the folder, which is read by the slot `standby`. Gives its port."""
    data = folder / "standby"
    where = ["-h", str(folder), "-p", str(primary), "-U", "postgres"]
    copy = [
        postgresql_program("pg_basebackup"),
        *where,
        "-D",
        str(data),
        "-R",
        "-C",
        "-S",
        "standby",
        "-c",
        "fast",
        "-N",
    ]
    subprocess.run(
        [*_as_nobody(), *copy], env=environment(), check=True, capture_output=True, timeout=120, cwd="/"
    )
    with _postgres(folder, data) as port:
        yield port


def _as_nobody() -> list[str]:
    if os.getuid() != 0:
        return []
    return [
        shutil.which("setpriv") or "setpriv",
        f"--reuid={_NOBODY}",
        f"--regid={_NOBODY}",
        "--clear-groups",
        "--",
    ]


@contextmanager
def _postgres(folder: Path, data: Path) -> Iterator[int]:
    port = free_port()
    server = [postgresql_program("postgres"), "-D", str(data), "-p", str(port), "-k", str(folder), "-F",
              "-c", "listen_addresses="]  # fmt: skip
    log = folder / f"{data.name}.log"
    with _running([*_as_nobody(), *server], log, lambda: _is_up(folder, port)):
        yield port


def _is_up(folder: Path, port: int) -> bool:
    done = subprocess.run(
        [postgresql_program("pg_isready"), "-q", "-h", str(folder), "-p", str(port), "-U", "postgres"],
        env=environment(),
        check=False,
    )
    return done.returncode == 0
