"""`sentinel notify`: what concerns the receivers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import plain

if TYPE_CHECKING:
    from sentinel.notify.receiver import Outcome, Receiver
    from sentinel.reload import Configuration

app = typer.Typer(help="Try the receivers.", no_args_is_help=True)


class TestEvent(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@app.callback()
def _group() -> None:
    """Try the receivers."""


@app.command("test")
def send_test(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", help="The receiver's name.")],
    config: ConfigPath,
    event: Annotated[
        TestEvent, typer.Option(help="What the message tells; send resolved after firing.")
    ] = TestEvent.FIRING,
) -> None:
    """Send one message, marked as a test, as the daemon would; exit status 0 if it arrived.

    Needs no daemon, and leaves nothing in the database.
    """
    import asyncio

    from sentinel.model.problem import did_you_mean
    from sentinel.reload import build

    with problems_told():
        found = build(config)
    known = [one.name for one in found.settings.receiver]
    if receiver not in known:
        hint = did_you_mean(receiver, known) or (f" (known: {', '.join(known)})" if known else "")
        fail(f"no receiver '{receiver}'{hint}", 2)
    with problems_told():
        outcome, kind = asyncio.run(_send(found, receiver, event.value))
    for line in (outcome.detail, *outcome.refused):
        typer.echo(plain(f"{receiver} ({kind}): {outcome.result.value}: {line}"))
    if outcome.result.value != "delivered" or outcome.refused:
        raise typer.Exit(1)


async def _send(found: Configuration, name: str, event: str) -> tuple[Outcome, str]:
    from sentinel.notify import build_receivers
    from sentinel.runtime.clock import SystemClock

    daemon, clock = found.settings.daemon, SystemClock()
    wanted = [one for one in found.settings.receiver if one.name == name]
    built = build_receivers(
        wanted,
        clock=clock,
        language=daemon.language,
        zone=daemon.timezone,
        notify=found.settings.notify,
        folder=found.path.parent,
    )
    language = wanted[0].language or daemon.language
    try:
        return await _attempt(built[name], event, clock.now(), found.settings.external_url, language), wanted[
            0
        ].kind
    finally:
        await built[name].close()


async def _attempt(receiver: Receiver, event: str, at: float, url: str, language: str) -> Outcome:
    import asyncio
    import uuid

    from sentinel.notify.receiver import Delivery, Outcome, Result
    from sentinel.notify.sample import sample_facts

    facts = sample_facts(event, at=at, external_url=url, language=language)
    delivery = Delivery(0, uuid.uuid4().hex, 0, "test", event, facts)
    try:
        async with asyncio.timeout(receiver.timeout):
            return await receiver.send(delivery)
    except TimeoutError:
        return Outcome(Result.RETRY, f"no answer within {receiver.timeout:g} s")
