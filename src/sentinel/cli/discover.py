"""`sentinel discover`: who answers SNMP in a network; needs no daemon."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import Output, OutputOption, Row, show
from sentinel.model.problem import did_you_mean

if TYPE_CHECKING:
    from sentinel.collect.discovery.sweep import Found, Network
    from sentinel.reload import Configuration


def discover(
    networks: Annotated[list[str], typer.Argument(metavar="CIDR...", help="Networks such as 192.0.2.0/24.")],
    config: ConfigPath,
    *,
    auth: Annotated[
        list[str] | None,
        typer.Option(help="An [auth.NAME] to try; several in this order. Without it all SNMP auths."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP port to ask.")] = 161,
    rate: Annotated[int, typer.Option(min=1, max=10_000, help="Requests begun a second.")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, max=5000, help="Addresses asked at once.")] = 200,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds for an answer.")] = 2.0,
    write: Annotated[
        Path | None, typer.Option(help="Add what is new to this target file; what is in it stays.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what --write would add.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="More than 65,536 addresses are meant.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look for devices that answer SNMP, and choose modules for them."""
    from sentinel.reload import build

    wanted = _networks(networks, yes=yes)
    with problems_told():
        settings = build(config)
    auths = _auths(settings, auth or [])
    with _progress(wanted) as told:
        found = asyncio.run(
            _sweep(
                settings, wanted, auths, told, port=port, rate=rate, concurrency=concurrency, timeout=timeout
            )
        )
    rows = _rows(settings, found, write)
    show(rows, _COLUMNS, output, empty="nobody answers")
    if write is not None:
        _add(write, rows, is_dry=dry_run)
    if not rows:
        raise typer.Exit(1)


def _networks(written: Sequence[str], *, yes: bool) -> list[Network]:
    from sentinel.collect.discovery.sweep import LARGE, LARGEST, count_of, networks_of

    try:
        found = networks_of(written)
    except ValueError as error:
        fail(str(error), 2)
    count = count_of(found)
    if count > LARGEST:
        fail(f"{count} addresses are too many: name smaller networks (at most {LARGEST} addresses)", 2)
    if count > LARGE and not yes:
        fail(f"{count} addresses: say --yes if you mean it", 2)
    return found


def _auths(settings: Configuration, names: Sequence[str]) -> list[str]:
    known = [name for name, auth in settings.settings.auth.items() if auth.kind == "snmp"]
    for name in names:
        if name not in known:
            fail(f"unknown SNMP auth '{name}'{did_you_mean(name, known)}", 2)
    return list(dict.fromkeys(names)) or known or [""]


async def _sweep(
    settings: Configuration,
    networks: Sequence[Network],
    auths: Sequence[str],
    told: Callable[[], None],
    *,
    port: int,
    rate: float,
    concurrency: int,
    timeout: float,
) -> list[Found]:
    from prometheus_client import CollectorRegistry

    from sentinel.collect.discovery.sweep import MODULE, Sweep, discovery_module
    from sentinel.collect.snmp.driver import SnmpDriver
    from sentinel.runtime.clock import SystemClock

    clock = SystemClock()
    modules = {MODULE: discovery_module()}
    driver = SnmpDriver(modules, settings.settings.auth, clock=clock, registry=CollectorRegistry())
    sweep = Sweep(driver, auths, clock=clock, port=port, rate=rate, concurrency=concurrency, timeout=timeout)
    try:
        return await sweep.run(networks, told)
    finally:
        await driver.close()


@contextmanager
def _progress(networks: Sequence[Network]) -> Iterator[Callable[[], None]]:
    """A bar on standard error, where that is a terminal; called for each address that is done."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    total = sum(
        max(network.num_addresses - 2, 1) if network.version == 4 else network.num_addresses
        for network in networks
    )
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking", total=total)
        yield lambda: bar.advance(task)


def _rows(settings: Configuration, found: Sequence[Found], write: Path | None) -> list[dict[str, Any]]:
    """What was found, each with the target it would be."""
    from sentinel.collect.discovery.candidates import candidates_of, places_of, written_places

    with problems_told():
        written = written_places(write) if write is not None else {}
    places = asyncio.run(places_of(settings.targets)) | written
    names = {target.name for target in settings.targets}
    return [
        asdict(one.found)
        | {"state": one.state, "target": one.target, "address": one.address, "modules": one.modules}
        for one in candidates_of(found, places, names, settings.modules)
    ]


def _add(path: Path, rows: Sequence[Row], *, is_dry: bool) -> None:
    from sentinel.inventory.additions import Addition, replace_file, with_additions

    new = [
        Addition(row["target"], row["address"], row["modules"], row["auth"], row["description"])
        for row in rows
        if row["state"] == "new" and row["modules"]
    ]
    if not new:
        typer.echo(f"nothing new for {path}", err=True)
        return
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        with problems_told():
            text = with_additions(before, new)
        if is_dry:
            typer.echo(f"would add {len(new)} targets to {path}:\n{text[len(before) :].strip()}", err=True)
            return
        replace_file(path, text)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot write {path}: {error}")
    typer.echo(f"added {len(new)} targets to {path}; [discovery] files must name it", err=True)


_COLUMNS = (
    ("Address", lambda row: row["address"]),
    ("State", lambda row: row["state"]),
    ("Target", lambda row: row["target"]),
    ("Auth", lambda row: row["auth"] or "public"),
    ("Modules", lambda row: ", ".join(row["modules"])),
    ("Description", lambda row: row["description"]),
)
