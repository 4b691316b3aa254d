"""`sentinel probe`: one poll, printed as Prometheus would see it; needs no daemon."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import plain
from sentinel.config.address import is_url, split_place
from sentinel.model.problem import did_you_mean

if TYPE_CHECKING:
    from sentinel.model.batch import Batch
    from sentinel.model.target import Target
    from sentinel.reload import Configuration


def probe(
    target: Annotated[
        str,
        typer.Argument(
            help="Name of a target; any name together with --address; for a probe module also an address."
        ),
    ],
    config: ConfigPath,
    module: Annotated[str, typer.Option(help="Only this module; else all of the target's.")] = "",
    auth: Annotated[str, typer.Option(help="An [auth.NAME] in place of the target's.")] = "",
    address: Annotated[str, typer.Option(help="HOST, HOST:PORT or URL in place of the target's.")] = "",
) -> None:
    """Poll a target once and print what it gives."""
    from sentinel.reload import build

    with problems_told():
        found = build(config)
    wanted = _target(found, target, module=module, auth=auth, address=address)
    batches = asyncio.run(_poll(found, wanted))
    _print(batches)
    if not all(batch.up for batch in batches):
        raise typer.Exit(1)


def _target(found: Configuration, name: str, *, module: str, auth: str, address: str) -> Target:
    """The target as the configuration has it, with what the command line says instead."""
    from sentinel.model.target import Target

    known = {target.name: target for target in found.targets}
    if name not in known and not address and found.modules.kinds.get(module) == "probe":
        address = name
    if name not in known and not address:
        fail(f"no target '{name}' in {found.path}{did_you_mean(name, known)}; or give its --address", 2)
    target = known.get(name) or Target(name, "")
    if auth and auth not in found.settings.auth:
        fail(f"unknown auth '{auth}'{did_you_mean(auth, found.settings.auth)}", 2)
    if module and module not in found.modules.kinds:
        fail(f"unknown module '{module}'{did_you_mean(module, found.modules.kinds)}", 2)
    if address:
        try:
            host, port = split_place(address)
        except ValueError as error:
            fail(str(error), 2)
        target = replace(target, host=host, port=port, url=address if is_url(address) else "")
    if module:
        target = replace(target, modules=(module,))
    if auth:
        target = replace(target, auths=(auth,))
    if not target.modules:
        fail("which module? give one with --module", 2)
    return target


async def _poll(found: Configuration, target: Target) -> list[Batch]:
    from prometheus_client import CollectorRegistry

    from sentinel.collect.drivers import OWN, Drivers
    from sentinel.collect.watch import poll_once
    from sentinel.runtime.clock import SystemClock

    clock = SystemClock()
    drivers = Drivers(clock, CollectorRegistry())
    drivers.adopt(found.modules, found.settings.auth)
    try:
        watches = drivers.watches([target], found.modules, found.settings.auth)
        return [await poll_once(watch, clock) for watch in watches if watch.source.module != OWN]
    finally:
        await drivers.close()


def _print(batches: list[Batch]) -> None:
    from sentinel.series.head import Head
    from sentinel.series.text.exposition import render

    head = Head()
    head.append(batches)
    for batch in batches:
        if not batch.up:
            typer.echo(f"sentinel: {batch.source.name}: {batch.reason}: {batch.detail}", err=True)
        elif batch.reading.reasons and not batch.reading.unread:
            reason, detail = batch.reading.reasons[0], plain(batch.reading.detail)
            typer.echo(f"sentinel: {batch.source.name}: {reason}: {detail}", err=True)
        elif batch.reading.reasons:
            reasons = ", ".join(batch.reading.reasons)
            typer.echo(f"sentinel: {batch.source.name}: only in part ({reasons})", err=True)
    written = render(head, max(batch.at for batch in batches))
    if sys.stdout.isatty():
        # A terminal would obey the control characters in a device's texts.
        for line in written.decode().split("\n")[:-1]:
            typer.echo(plain(line))
    else:
        typer.echo(written, nl=False)  # as bytes, which stay as they are
