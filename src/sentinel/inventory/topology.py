"""The graph of targets and their neighbours: declared parents, and links that devices see.

Pure: label sets in, nodes and links out. A link is one cable, or what looks like one: two cables between the same
devices, as in an aggregate, are two links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sentinel.inventory.neighbours import (
    Face,
    Rows,
    Sighting,
    faces_of,
    hardware_of,
    merged,
    plain_address,
    sightings_of,
    stations_of,
)
from sentinel.model.target import Target


@dataclass(frozen=True, slots=True)
class Node:
    """A target, or a neighbour that is none."""

    key: str
    """The target's name; of a neighbour that is no target, a text with "/" in front, as no target's name has."""
    name: str
    """For people; a neighbour's is its own word."""
    is_target: bool
    address: str = ""
    chassis: str = ""
    parents: tuple[str, ...] = ()
    """As declared."""


@dataclass(frozen=True, slots=True)
class Link:
    """Between two nodes, in the order of their keys; a declared parent comes first."""

    a: str
    a_port: str
    b: str
    b_port: str
    known_by: tuple[str, ...]
    """declared, lldp, cdp, fdb: what says so."""
    is_mutual: bool = False
    """Both ends see each other."""
    parent: str = ""
    """The end that is declared to be on the way to the other."""


@dataclass(frozen=True, slots=True)
class Topology:
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


class _Known:
    """Recognises targets in what their neighbours say of them."""

    def __init__(self, targets: Sequence[Target], faces: Mapping[str, Face]) -> None:
        self._faces = faces
        self._by_chassis: dict[str, str] = {}
        self._by_address: dict[str, str] = {}
        names: dict[str, set[str]] = {}
        for target in targets:
            face = faces.get(target.name, Face())
            if face.chassis:
                self._by_chassis[face.chassis] = target.name
            if address := plain_address(target.host):
                self._by_address.setdefault(address, target.name)
            for name in {target.name, target.host, *face.names}:
                names.setdefault(name.lower(), set()).add(target.name)
                names.setdefault(_short(name), set()).add(target.name)
        # Interfaces come after chassis: virtual addresses may stand on several devices.
        for target in targets:
            for address in faces.get(target.name, Face()).hardware:
                self._by_chassis.setdefault(address, target.name)
        self._by_name = {name: next(iter(found)) for name, found in names.items() if len(found) == 1 and name}

    def target(self, seen: Sighting) -> str:
        """The target that is meant; empty: none that we know.

        The chassis decides. A name or an address alone is believed of a target whose chassis is not known, so
        that no device takes another's place by calling itself so.
        """
        known = self._by_chassis.get(seen.chassis, "") if seen.chassis else ""
        if known:
            return known
        found = [self._by_address.get(address, "") for address in sorted(seen.addresses)]
        found += [self._by_name.get(seen.name.lower(), ""), self._by_name.get(_short(seen.name), "")]
        for name in filter(None, found):
            face = self._faces.get(name, Face())
            if not (seen.chassis and face.chassis) and name != seen.target:
                return name
        return ""


def topology_of(targets: Iterable[Target], rows: Rows, hints: Rows | None = None) -> Topology:
    """
    Args:
        rows: label sets of the metrics in `neighbours.METRICS`, each with `instance`.
        hints: those of `neighbours.HINTS`.
    """
    by_name = {target.name: target for target in targets}
    faces = faces_of(rows)
    known = _Known(list(by_name.values()), faces)
    sightings = [one for one in sightings_of(rows) if one.target in by_name]
    node_of = _nodes_of(sightings, known)
    nodes = {name: _node(target, faces) for name, target in by_name.items()}
    for one, key in sorted(node_of.items(), key=lambda item: not item[0].chassis):
        if key not in nodes:
            nodes[key] = _neighbour(key, one)
    links = _paired(merged(sightings, node_of))
    links = [_with_parent(link, by_name) for link in links]
    links += _declared(by_name, links)
    links += _hinted(by_name, links, hints or {})
    ordered = sorted(links, key=lambda link: (link.a, link.b, link.a_port, link.b_port))
    return Topology(tuple(sorted(nodes.values(), key=lambda node: node.key)), tuple(ordered))


def _node(target: Target, faces: Mapping[str, Face]) -> Node:
    chassis = faces.get(target.name, Face()).chassis
    return Node(target.name, target.name, True, target.host, chassis, target.parents)


def _nodes_of(sightings: Iterable[Sighting], known: _Known) -> dict[Sighting, str]:
    """The node that each sighting means. A stranger whom one tells by chassis and another by name is one."""
    found = {one: known.target(one) or _stranger(one) for one in sightings}
    named: dict[str, set[str]] = {}
    for one, key in found.items():
        if key.startswith("/") and one.chassis and one.name:
            named.setdefault(_short(one.name), set()).add(key)
    for one, key in found.items():
        same = named.get(_short(one.name), set())
        if key.startswith("/") and not one.chassis and len(same) == 1:
            found[one] = min(same)
    return found


def _stranger(seen: Sighting) -> str:
    return "/" + (
        seen.chassis or seen.name or min(seen.addresses, default="") or f"{seen.target} {seen.port}"
    )


def _neighbour(key: str, seen: Sighting) -> Node:
    name = seen.name or seen.chassis or key.removeprefix("/")
    return Node(key, name, False, min(seen.addresses, default=""), seen.chassis)


def _short(name: str) -> str:
    """A host name without its domain; addresses stay whole."""
    return name.lower() if plain_address(name) else name.lower().partition(".")[0]


# Links


def _paired(seen: Sequence[tuple[Sighting, str]]) -> list[Link]:
    """Sightings from both ends of a cable become one link."""
    ways: dict[tuple[str, str], list[Sighting]] = {}
    for one, key in seen:
        ways.setdefault((one.target, key), []).append(one)
    links: list[Link] = []
    for (here, there), out in ways.items():
        if (there, here) in ways and there < here:
            continue  # told from the other end
        back = list(ways.get((there, here), ())) if there != here else []
        left = list(out)
        for fits in (_by_id, _by_name):
            for one in list(left):
                other = next((two for two in back if fits(one, two)), None)
                if other is not None:
                    left.remove(one)
                    back.remove(other)
                    links.append(_link(here, there, one, other))
        if len(left) == len(back) == 1:  # whatever they call their ports
            links.append(_link(here, there, left.pop(), back.pop()))
        links += [_link(here, there, one, None) for one in left]
        links += [_link(there, here, one, None) for one in back]
    return links


def _by_id(one: Sighting, two: Sighting) -> bool:
    return bool(one.port and two.port) and one.port == two.far_port and two.port == one.far_port


def _by_name(one: Sighting, two: Sighting) -> bool:
    return bool(one.port_names & two.far_port_names) and bool(two.port_names & one.far_port_names)


def _link(here: str, there: str, one: Sighting, two: Sighting | None) -> Link:
    by = one.protocols | (two.protocols if two is not None else frozenset())
    known_by = tuple(name for name in ("lldp", "cdp") if name in by)
    far_port = two.port if two is not None else one.far_port
    link = Link(here, one.port, there, far_port, known_by, is_mutual=two is not None)
    return link if here <= there else _turned(link)


def _turned(link: Link) -> Link:
    return replace(link, a=link.b, a_port=link.b_port, b=link.a, b_port=link.a_port)


def _with_parent(link: Link, targets: Mapping[str, Target]) -> Link:
    """What people declare says which end is nearer."""
    for one in (link, _turned(link)):
        if one.b in targets and one.a in targets[one.b].parents:
            return replace(one, parent=one.a, known_by=("declared", *one.known_by))
    return link


def _declared(targets: Mapping[str, Target], links: Iterable[Link]) -> list[Link]:
    """Declared parents that no device sees as a neighbour."""
    seen = {(link.parent, link.b) for link in links if link.parent}
    return [
        Link(parent, "", target.name, "", ("declared",), parent=parent)
        for target in targets.values()
        for parent in target.parents
        if (parent, target.name) not in seen
    ]


def _hinted(targets: Mapping[str, Target], links: Sequence[Link], hints: Rows) -> list[Link]:
    """Targets that are on no link, on the switch port on which their address alone has been learned."""
    stations, hardware = stations_of(hints), hardware_of(hints)
    linked = {name for link in links for name in (link.a, link.b)}
    places: dict[str, list[tuple[str, str]]] = {}
    for place, learned in stations.items():
        if len(learned) == 1 and place[0] in targets:
            places.setdefault(min(learned), []).append(place)
    found = []
    for target in targets.values():
        if target.name in linked:
            continue
        where = places.get(hardware.get(plain_address(target.host), ""), [])
        if len(where) == 1 and where[0][0] != target.name:
            link = Link(where[0][0], where[0][1], target.name, "", ("fdb",))
            found.append(link if link.a <= link.b else _turned(link))
    return found
