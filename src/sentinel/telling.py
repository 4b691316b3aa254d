"""How news gets to people: dispatch, groups, sender and what may stand in the way, wired together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CollectorRegistry

from sentinel.db.database import Database
from sentinel.notify.decision import Circumstances
from sentinel.notify.desk import Desk
from sentinel.notify.dispatch import Dispatch
from sentinel.notify.groups.keeper import Keeper
from sentinel.notify.receiver import Receiver
from sentinel.notify.receivers import build_receivers
from sentinel.notify.sender import Sender
from sentinel.reload import Configuration
from sentinel.runtime.clock import Clock


class Telling:
    def __init__(
        self, db: Database, running: Configuration, clock: Clock, registry: CollectorRegistry
    ) -> None:
        """
        Raises:
            OSError: a receiver cannot be built, because a file that it names is not there.
        """
        self._clock = clock
        self.sender = Sender(db, self.receivers(running), clock=clock, registry=registry)
        self.dispatch = self._dispatch(running)
        self.keeper = Keeper(db, clock, self.dispatch, committed=self.sender.wake)
        self.desk = Desk(db, clock, receivers=lambda: self.sender.receivers, again=self.sender.again)

    def committed(self) -> None:
        """Something was committed that may have to be told."""
        self.sender.wake()
        self.keeper.stir()

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much."""
        self.keeper.shift(seconds)

    def receivers(self, configuration: Configuration) -> Mapping[str, Receiver]:
        """The only step towards other settings that may fail.

        Raises:
            OSError: a file that a receiver names is not there.
        """
        settings = configuration.settings
        return build_receivers(
            settings.receiver,
            clock=self._clock,
            language=settings.daemon.language,
            zone=settings.daemon.timezone,
            notify=settings.notify,
            folder=configuration.path.parent,
        )

    def adopt(self, configuration: Configuration, receivers: Mapping[str, Receiver]) -> Dispatch:
        """Other settings from now on."""
        self.dispatch = self._dispatch(configuration)
        self.keeper.use(self.dispatch)
        self.sender.use(receivers)
        return self.dispatch

    @property
    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs as long as the daemon does."""
        return {"groups": self.keeper.run, "sender": self.sender.run}

    async def close(self) -> None:
        await self.sender.close()

    def _dispatch(self, configuration: Configuration) -> Dispatch:
        settings = configuration.settings
        return Dispatch(
            settings.route,
            settings.receiver,
            external_url=settings.external_url,
            circumstances=Circumstances(),
        )
