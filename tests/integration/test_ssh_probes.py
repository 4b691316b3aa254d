"""The shipped probes over a real sshd, against real services, files and processes."""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.modules import SshModule, join_modules
from sentinel.config.yaml import parse_yaml
from tests.integration.ssh_host import Polled, figures, polled, running_sshd
from tests.servers import services
from tests.servers.debian import ROOT, environment, program
from tests.servers.sshd import Sshd


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with running_sshd() as sshd:
        sshd.fake("redis-cli", services.wrapper(program("redis-cli")))
        sshd.fake("psql", services.wrapper(services.postgresql_program("psql")))
        yield sshd


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the path of a socket, and open to the user of a server."""
    with tempfile.TemporaryDirectory(prefix="svc-", dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def probe(name: str, **params: str | list[str]) -> dict[str, SshModule]:
    """The shipped module, and `mine`, which is the same with these parameters."""
    path = ROOT / "collectors/ssh" / f"{name}.yml"
    mine = yaml.safe_dump({"modules": {"mine": {"extends": name, "params": params}}})
    return join_modules([parse_yaml(path.read_text(), str(path)), parse_yaml(mine, "mine.yml")])


@asynccontextmanager
async def probing(server: Sshd, name: str, **params: str | list[str]) -> AsyncIterator[Polled]:
    async with polled(server, probe(name, **params), name="mine") as host:
        yield host


async def poll(host: Polled) -> dict[str, float]:
    reading = await host.poll()
    assert not reading.reasons
    return figures(reading)


async def test_postgresql(server: Sshd, folder: Path) -> None:
    with services.postgresql(folder) as port:
        where = ["-h", str(folder), "-p", str(port), "-U", "postgres"]
        psql = [services.postgresql_program("psql"), *where, "-qc"]
        hostile = 'create database "bad\nup\t\t\t\t0\n"'
        for text in (
            "create database shop",
            hostile,
            "create role sentinel login",
            "grant pg_monitor to sentinel",
        ):
            subprocess.run([*psql, text], env=environment(), check=True, timeout=20)
        async with probing(server, "postgresql", host=str(folder), port=str(port), user="sentinel") as host:
            found = await poll(host)
            assert found["pg_up{}"] == 1
            assert found['pg_stat_activity_count{datname="bad up    0", state="active"}'] == 0
            assert found["pg_settings_max_connections{}"] == 100
            assert found['pg_stat_activity_count{datname="postgres", state="active"}'] == 1
            assert found['pg_stat_activity_count{datname="shop", state="active"}'] == 0
            assert found['pg_database_size_bytes{datname="shop"}'] > 1_000_000
            assert any(
                series.startswith("pg_stat_bgwriter_checkpoints_timed_total") for series in found
            ) or any(series.startswith("pg_stat_checkpointer_num_timed_total") for series in found)
            assert found[_one(found, "pg_stat_database_xact_commit", 'datname="postgres"')] > 0
        with services.postgresql_standby(folder, port) as replica:
            async with probing(
                server, "postgresql", host=str(folder), port=str(replica), user="sentinel"
            ) as host:
                found = await poll(host)
                assert (found["pg_up{}"], found["pg_replication_is_replica{}"]) == (1, 1)
                assert found["pg_replication_lag_seconds{}"] < 60
            found = await _streaming(server, folder, port)
            assert found['pg_replication_slots_active{slot_name="standby", slot_type="physical"}'] == 1
            assert found[_one(found, "pg_stat_replication_pg_wal_lsn_diff", "walreceiver")] >= 0
        assert "ERROR" not in (folder / "data.log").read_text()
    async with probing(server, "postgresql", host=str(folder), port=str(port), user="sentinel") as host:
        reading = await host.poll()
        assert figures(reading) == {"pg_up{}": 0.0}
        assert reading.reasons == ("failed",)  # of the sizes


async def _streaming(server: Sshd, folder: Path, port: int) -> dict[str, float]:
    """What the primary says once its standby has connected."""
    for _ in range(100):
        async with probing(server, "postgresql", host=str(folder), port=str(port), user="sentinel") as host:
            found = await poll(host)
        if any('state="streaming"' in series for series in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


def _one(found: dict[str, float], name: str, label: str) -> str:
    (series,) = [series for series in found if series.startswith(f"{name}{{") and label in series]
    return series


async def test_redis_with_a_replica(server: Sshd, folder: Path) -> None:
    for name in ("master", "replica"):
        (folder / name).mkdir()
    with (
        services.redis(folder / "master", "--repl-diskless-sync-delay", "0") as port,
        services.redis(folder / "replica", "--replicaof", f"127.0.0.1 {port}") as replica,
    ):
        cli = [program("redis-cli"), "-p", str(port)]
        for words in (["set", "a", "1"], ["set", "b", "1", "ex", "100"], ["get", "a"], ["get", "none"]):
            subprocess.run([*cli, *words], env=environment(), check=True, capture_output=True, timeout=20)
        async with probing(server, "redis", port=str(port)) as host:
            found = await _until(host, lambda found: found.get("redis_connected_slaves{}") == 1)
            assert found["redis_up{}"] == 1
            assert found['redis_db_keys{db="db0"}'] == 2
            assert found['redis_db_keys_expiring{db="db0"}'] == 1
            assert found["redis_keyspace_misses_total{}"] == 1
            assert found['redis_commands_total{cmd="set"}'] == 2
        async with probing(server, "redis", port=str(replica)) as host:
            link = f'redis_master_link_up{{master_host="127.0.0.1", master_port="{port}"}}'
            assert (await _until(host, lambda found: found.get(link) == 1))[link] == 1
    async with probing(server, "redis", port=str(port)) as host:
        assert await poll(host) == {"redis_up{}": 0.0}


async def _until(host: Polled, is_so: object) -> dict[str, float]:
    assert callable(is_so)
    deadline = time.monotonic() + 30
    while not is_so(found := await poll(host)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


def test_redis_reads_its_password_from_the_accounts_file(folder: Path) -> None:
    (folder / ".rediscli_auth").write_text("secret word\n")
    (folder / "redis-cli").write_text(f"#!/bin/sh\n{services.wrapper(program('redis-cli'))}\n")
    (folder / "redis-cli").chmod(0o755)
    with services.redis(folder, "--requirepass", "secret word") as port:
        (section,) = probe("redis", port=str(port))["mine"].sections
        for home, up in ((folder, "up:1"), (folder / "nobody", "up:0")):
            done = subprocess.run(
                ["/bin/sh", "-c", section.command],
                env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(home)},
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            )
            assert done.stdout.startswith(up)


async def test_nginx(server: Sshd, folder: Path) -> None:
    with services.nginx(folder) as url:
        async with probing(server, "nginx", url=url) as host:
            before = await poll(host)
            _page(url)
            after = await poll(host)
        assert before["nginx_up{}"] == 1
        assert before["nginx_connections_active{}"] >= 1
        assert after["nginx_http_requests_total{}"] == before["nginx_http_requests_total{}"] + 2
    async with probing(server, "nginx", url=url) as host:
        assert await poll(host) == {"nginx_up{}": 0.0}


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


async def test_apache(server: Sshd, folder: Path) -> None:
    with services.apache(folder) as url:
        async with probing(server, "apache", url=url) as host:
            found = await poll(host)
    assert found["apache_up{}"] == 1
    assert found['apache_workers{state="busy"}'] >= 1
    slots = sum(value for series, value in found.items() if series.startswith("apache_scoreboard"))
    assert slots == 50
    async with probing(server, "apache", url=url) as host:
        assert await poll(host) == {"apache_up{}": 0.0}


async def test_haproxy_says_what_its_own_exporter_says(server: Sshd, folder: Path) -> None:
    with services.nginx(folder) as url:
        live = f"s1 {url.split('/')[2]} check inter 100"
        dead = "s2 127.0.0.1:1 check inter 100"
        with services.haproxy(folder, servers=[live, dead, "s3 127.0.0.1:1 check disabled"]) as (sock, base):
            async with probing(server, "haproxy", socket=str(sock)) as host:
                is_down = 'haproxy_server_status{proxy="app", server="s2", state="DOWN"}'
                found = await _until(host, lambda found: found[is_down] == 1)
            theirs = _exposed(_page(f"{base}/metrics"))
            server.fake("perl", "exit 1")
            async with probing(server, "haproxy", socket=str(sock)) as host:
                by_python = await poll(host)
            server.unfake("perl")
            async with probing(server, "haproxy", url=f"{base}/haproxy;csv") as host:
                by_page = await poll(host)
    assert found["haproxy_up{}"] == 1
    assert set(by_python) == set(found)
    assert set(found) - set(theirs) == {"haproxy_up{}"}
    for series, value in found.items():
        if "_status{" in series or "limit" in series or "weight" in series or "active_servers" in series:
            assert value == theirs[series], series
    assert {series for series in found if not series.startswith("haproxy_process")} == set(by_page)
    async with probing(server, "haproxy", socket=str(sock)) as host:
        assert await poll(host) == {"haproxy_up{}": 0.0}


def _exposed(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ", ".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


async def test_a_program_that_is_not_there_is_told_from_a_service_that_is_down(server: Sshd) -> None:
    async with probing(server, "containers", engine="no-such-engine") as host:
        with pytest.raises(PollError) as caught:
            await host.poll()
        assert caught.value.reason == "missing"
    server.fake("stopped-engine", "echo cannot connect >&2; exit 1")
    async with probing(server, "containers", engine="stopped-engine") as host:
        assert figures(await host.poll()) == {"container_engine_up{}": 0.0}


async def test_processes(server: Sshd) -> None:
    names, lines = ["sleep", "nobody-has-this-name"], ["sleep 8639[0-9]", "sleep 1 .*nothing"]
    sleeping = [subprocess.Popen(["sleep", seconds]) for seconds in ("86397", "86398")]
    try:
        async with probing(server, "processes", names=names, command_lines=lines) as host:
            found = await poll(host)
    finally:
        for process in sleeping:
            process.kill()
            process.wait()

    def of(metric: str, group: str) -> float:
        return found[f'namedprocess_namegroup_{metric}{{groupname="{group}"}}']

    assert of("num_procs", "sleep") >= 2
    assert of("num_procs", "sleep 8639[0-9]") == 2
    assert of("num_threads", "sleep 8639[0-9]") == 2
    assert of("num_procs", "nobody-has-this-name") == of("num_procs", "sleep 1 .*nothing") == 0
    assert of("oldest_start_time_seconds", "sleep 8639[0-9]") == pytest.approx(time.time(), abs=60)
    assert (
        found['namedprocess_namegroup_memory_bytes{groupname="sleep 8639[0-9]", memtype="resident"}']
        > 100_000
    )


async def test_certificates(server: Sshd, folder: Path) -> None:
    for name, days in (("www", 30), ("old one", 1)):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", str(days), "-subj", f"/C=DE/O=Shop, Inc./CN={name}.example.com",
             "-keyout", "/dev/null", "-out", str(folder / f"{name}.pem")],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip
    (folder / "broken.crt").write_text("no certificate")
    shutil.copy(folder / "www.pem", folder / "x\nnotAfter=Jan  1 00:00:00 1999 GMT\n.pem")
    paths = [f"{folder}/*.pem", f"{folder}/none/*.pem", f"{folder}/broken.crt", f"{folder}/missing.crt"]
    async with probing(server, "certificates", paths=paths) as host:
        found = await poll(host)
    until = _one(found, "x509_cert_not_after", 'subject_CN="old one.example.com"')
    assert f'filepath="{folder}/old one.pem"' in until
    assert 'issuer_CN="old one.example.com"' in until
    assert found[until] == pytest.approx(time.time() + 86400, abs=120)
    assert found[_one(found, "x509_cert_not_before", "www")] == pytest.approx(time.time(), abs=120)
    assert len([series for series in found if series.startswith("x509_cert_not_after")]) == 2
    assert found["x509_read_errors{}"] == 3  # the hostile name among them


async def test_backups(server: Sshd, folder: Path) -> None:
    sets = [folder / "shop", folder / "mail box", folder / "empty"]
    for path in sets:
        (path / "deep").mkdir(parents=True)
    for place, size, age in (("shop/a.gz", 300, 7200), ("shop/deep/b.gz", 200, 3600), ("shop/c.log", 5, 60),
                             ("shop/old.gz", 100, 9000), ("mail box/x\ny 9 9.gz", 7, 30)):  # fmt: skip
        (folder / place).write_bytes(b"x" * size)
        os.utime(folder / place, (0, 1_780_000_000 - age))
    async with probing(
        server, "backup_files", paths=[f"{folder}/*", f"{folder}/missing"], pattern="*.gz"
    ) as host:
        found = await poll(host)

    def of(metric: str, name: str) -> float | None:
        return found.get(f'backup_{metric}{{path="{folder}/{name}"}}')

    assert of("newest_timestamp_seconds", "shop") == 1_780_000_000 - 3600
    assert (of("newest_size_bytes", "shop"), of("previous_size_bytes", "shop")) == (200, 300)
    assert (of("files", "shop"), of("size_bytes", "shop")) == (3, 600)
    assert (of("files", "mail box"), of("newest_size_bytes", "mail box")) == (1, 7)
    assert (of("files", "empty"), of("newest_timestamp_seconds", "empty")) == (0, None)
    assert (of("path_readable", "empty"), of("path_readable", "missing")) == (1, 0)


async def test_log_lines_are_counted_as_they_come(server: Sshd, folder: Path) -> None:
    log, late = folder / "app log", folder / "late"
    log.write_text("an error from before\n")
    matched, read = (f'log_{name}_total{{file="{log}"}}' for name in ("lines_matched", "read_bytes"))
    async with probing(server, "log_lines", files=[str(log), str(late)], pattern="error|ERROR") as host:

        async def now() -> tuple[float, float]:
            found = await poll(host)
            return found[matched], found[read]

        assert await now() == (0, 0)
        with log.open("a") as out:
            out.write("fine\nan error\nERROR and error\nhalf an err")
        assert await now() == (2, 30)
        with log.open("a") as out:
            out.write("or\n")
        assert await now() == (3, 44)
        # Rotated by a new name: the rest of the old file counts too.
        with log.open("a") as out:
            out.write("error at the end\n")
        log.rename(f"{log}.1")
        log.write_text("error in the new one\n")
        assert await now() == (5, 44 + 17 + 21)
        # Emptied in place.
        log.write_text("error 1\n")
        assert (await now())[0] == 6
        found = await poll(host)
        assert found[f'log_file_readable{{file="{late}"}}'] == 0
        late.write_text("error: from its first line on\n")
        found = await poll(host)
        assert found[f'log_lines_matched_total{{file="{late}"}}'] == 1
        assert found[f'log_file_readable{{file="{late}"}}'] == 1
        # A new shell starts at the end, with nothing.
        server.drop_connections()
        with log.open("a") as out:
            out.write("error 2\n")
        assert (await now())[0] == 0
    assert {path.name for path in folder.iterdir()} == {"app log", "app log.1", "late"}


async def test_a_flood_of_log_lines_is_read_in_parts(server: Sshd, folder: Path) -> None:
    log = folder / "log"
    log.write_text("")
    async with probing(server, "log_lines", files=[str(log)], pattern="error") as host:
        await poll(host)
        with log.open("w") as out:
            out.writelines("an error among many, long enough to fill the file\n" for _ in range(400_000))
        found = await poll(host)
        assert found[f'log_unread_bytes{{file="{log}"}}'] > 3_000_000
        found = await poll(host)
        assert found[f'log_unread_bytes{{file="{log}"}}'] == 0
        assert found[f'log_lines_matched_total{{file="{log}"}}'] == 400_000


async def test_an_expression_that_is_none_fails_the_section(server: Sshd, folder: Path) -> None:
    log = folder / "log"
    log.write_text("a\n")
    async with probing(server, "log_lines", files=[str(log)], pattern="(") as host:
        await host.poll()
        log.write_text("a\nb\n")
        with pytest.raises(PollError) as caught:
            await host.poll()
        assert caught.value.reason == "failed"


async def test_where_no_shell_may_stay_the_whole_log_is_counted(folder: Path) -> None:
    log = folder / "log"
    log.write_text("error 1\nfine\n")
    only_commands = (
        'case "$SSH_ORIGINAL_COMMAND" in \'exec /bin/sh\') exit 1;; esac; exec sh -c "$SSH_ORIGINAL_COMMAND"'
    )
    (folder / "force").write_text(f"#!/bin/sh\n{only_commands}\n")
    (folder / "force").chmod(0o755)
    with running_sshd(force_command=str(folder / "force")) as sshd:
        async with probing(sshd, "log_lines", files=[str(log)], pattern="error") as host:
            assert (await poll(host))[f'log_lines_matched_total{{file="{log}"}}'] == 1
            with log.open("a") as out:
                out.write("error 2\n")
            assert (await poll(host))[f'log_lines_matched_total{{file="{log}"}}'] == 2


async def test_ports(server: Sshd) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", _below_the_range()))
        ports = [each.getsockname()[1] for each in (four, six, datagrams)]
        expected = [f"tcp/{ports[0]}", f"udp/{ports[2]}", "tcp/1"]
        async with probing(server, "listening_ports", expected=expected) as host:
            found = await poll(host)
    for protocol, address, port in (("tcp", "127.0.0.1", ports[0]), ("tcp", "::1", ports[1]),
                                    ("udp", "127.0.0.1", ports[2])):  # fmt: skip
        assert found[f'listening_port{{address="{address}", port="{port}", protocol="{protocol}"}}'] == 1
    assert [found[f'listening_port_expected{{port="{port}"}}'] for port in expected] == [1, 1, 0]


def _below_the_range() -> int:
    """A port that the kernel does not give to clients."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(low - 1, 1024, -1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                try:
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
                        bound.bind(("127.0.0.1", port))
                        return port
                except OSError:
                    continue
    raise AssertionError("no port is free")


@contextmanager
def _terminal() -> Iterator[None]:
    """A session on a terminal of its own, as of somebody who is logged in."""
    child, terminal = pty.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


async def test_users(server: Sshd) -> None:
    """Without utmp a session is what leads a session on a terminal; with it, it is what who shows."""
    server.fake("who", "exit 0")
    async with probing(server, "logged_in_users") as host:
        before = await poll(host)
        with _terminal():
            async with probing(server, "logged_in_users") as other:
                after = await poll(other)
    has_utmp = Path("/run/utmp").exists() and os.getuid() != 0  # as root sshd has a /run of its own
    assert after["login_sessions_all{}"] == before["login_sessions_all{}"] + (0 if has_utmp else 1)
    server.fake("who", 'echo "anna     pts/7        Jun  1 09:12 (192.0.2.7)"')
    async with probing(server, "logged_in_users") as host:
        assert (await poll(host))['login_sessions{source="192.0.2.7", user="anna"}'] == 1
    server.unfake("who")
