"""The interface numbers of all devices over restarts of the daemon: read before the first poll, written as changed.

A device is known by the address it is asked at. See docs/adr/0004-interface-numbers.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import Protocol

from sentinel.collect.snmp.interfaces import Interfaces

SETTLE = 1.0
"""Seconds in which changes gather: a fleet that is met for the first time is one write, not a thousand."""

AGAIN = 30.0
"""Seconds until a write that failed is tried again."""


class Store(Protocol):
    """Where the numbers last."""

    async def load(self, agents: Collection[str], /) -> Mapping[str, Mapping[str, int]]: ...

    async def save(self, changed: Mapping[str, Mapping[str, int]], /) -> bool:
        """Whether it is written; if not, it is worth trying again."""
        ...


def agent_of(host: str, port: int) -> str:
    """How an agent is called: as its address is written."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class InterfaceNumbers:
    """The memory of every device's interfaces; without a store it lasts as long as this object."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._of: dict[str, Interfaces] = {}
        self._changed: set[str] = set()
        self._has_changed = asyncio.Event()

    def of(self, host: str, port: int) -> Interfaces:
        """Those of the agent at this address."""
        agent = agent_of(host, port)
        found = self._of.get(agent)
        if found is None:
            found = self._of[agent] = Interfaces(changed=partial(self._note, agent))
        return found

    async def restore(self, agents: Collection[tuple[str, int]]) -> None:
        """Take back what was known when the daemon ended, before anything is polled.

        Args:
            agents: host and port of everything that is watched.
        """
        if self._store is None:
            return
        for agent, known in (await self._store.load({agent_of(*one) for one in agents})).items():
            self._of[agent] = Interfaces(known, changed=partial(self._note, agent))

    async def run(self) -> None:
        """Write what changes, until cancelled."""
        while True:
            await self._has_changed.wait()
            await asyncio.sleep(SETTLE)
            if not await self.save():
                await asyncio.sleep(AGAIN)

    async def save(self) -> bool:
        """Write what has changed since the last time; False: it could not be, and still waits."""
        self._has_changed.clear()
        changed, self._changed = self._changed, set()
        if self._store is None or not changed:
            return True
        is_saved = False
        try:
            is_saved = await self._store.save({agent: self._of[agent].known for agent in changed})
        finally:
            if not is_saved:
                self._changed |= changed
                self._has_changed.set()
        return is_saved

    def _note(self, agent: str) -> None:
        if self._store is not None:
            self._changed.add(agent)
            self._has_changed.set()
