"""What becomes of devices that a sweep found: known already, one device at a second address, or a new target."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sentinel.collect.discovery.sweep import Found
from sentinel.collect.modules import Modules
from sentinel.config.address import split_address
from sentinel.config.document import validated
from sentinel.config.files import read_text
from sentinel.config.toml import parse_toml
from sentinel.inventory.additions import Addition, address_text, safe_name
from sentinel.inventory.targets import TargetFile
from sentinel.model.target import Target

ALWAYS = ("system", "if_mib")
"""Modules that any device has, as far as they are configured."""

SNMP_PORT = 161
RESOLVE = 5.0
"""Seconds for which name servers are waited for."""

Places = Mapping[tuple[str, int], str]
"""Host and port → name of the target there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that answered, and the target it is or would be."""

    found: Found
    state: Literal["known", "same device", "new"]
    target: str
    address: str
    modules: tuple[str, ...]

    def addition(self, labels: Mapping[str, str] | None = None) -> Addition:
        found = self.found
        return Addition(self.target, self.address, self.modules, found.auth, found.description, labels or {})


async def places_of(targets: Iterable[Target]) -> dict[tuple[str, int], str]:
    """Where targets are, by address also where they are written by host name."""
    known = {(target.host, target.port or SNMP_PORT): target.name for target in targets}
    loop = asyncio.get_running_loop()

    async def resolve(host: str, port: int, name: str) -> None:
        for entry in await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
            known.setdefault((str(entry[4][0]), port), name)

    waiting = [asyncio.ensure_future(resolve(*place, name)) for place, name in list(known.items())]
    if waiting:
        done, late = await asyncio.wait(waiting, timeout=RESOLVE)
        for task in late:
            task.cancel()
        for task in done:
            task.exception()  # a name that cannot be found is nobody's address
    return known


def written_places(file: Path) -> dict[tuple[str, int], str]:
    """Targets that stand in a file already, also where the daemon has not read it since.

    Raises:
        UnusableError: it is no target file.
    """
    if not file.exists():
        return {}
    there = validated(TargetFile, parse_toml(read_text(file), str(file)))
    places = ((split_address(one.address), one.name) for one in there.target)
    return {(host, port or SNMP_PORT): name for (host, port), name in places}


def candidates_of(
    found: Sequence[Found], places: Places, names: Collection[str], modules: Modules
) -> list[Candidate]:
    """
    Args:
        places: where targets are.
        names: of all targets, wherever they are: a new one gets another.
    """
    taken = {*names, *places.values()}
    devices = _known_devices(found, places)
    candidates = []
    for one in found:
        target = places.get((one.host, one.port), "")
        is_second = one.same_as or (one.host in devices and not target)
        name = target or devices.get(one.host) or safe_name(one.name, one.host, taken)
        taken.add(name)
        fitting = modules.identify(one.object_id, one.description)
        always = (module for module in ALWAYS if module in modules.snmp)
        candidates.append(
            Candidate(
                one,
                "known" if target else "same device" if is_second else "new",
                name,
                address_text(one.host, one.port),
                tuple(dict.fromkeys((*always, *fitting))),
            )
        )
    return candidates


def _known_devices(found: Sequence[Found], places: Places) -> dict[str, str]:
    """Host → target, of devices that are a target at any of the addresses they answered at."""
    targets: dict[str, str] = {}
    for one in found:
        if (one.host, one.port) in places:
            targets.setdefault(one.same_as or one.host, places[one.host, one.port])
    return {one.host: targets[first] for one in found if (first := one.same_as or one.host) in targets}
