"""The graph of targets and neighbours as the API shows it: /api/sentinel/v1/topology."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, Field

from sentinel.inventory.neighbours import HINTS, METRICS, Rows
from sentinel.inventory.topology import Link, Topology, topology_of
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.value import Vector
from sentinel.web.seams.faces import Faces

REMEMBERED: Final = "1h"
"""How long a neighbour is shown after it was last seen: the graph is wanted most while half of it is down."""


class NodeShown(BaseModel):
    key: str = Field(
        description="The target's name; of a neighbour that is no target, a text that begins with /"
    )
    name: str
    is_target: bool
    state: str = Field(description="up, down or waiting; empty for what is no target")
    address: str
    chassis: str
    parents: tuple[str, ...] = Field(description="As declared")


class LinkShown(BaseModel):
    a: str
    a_port: str
    b: str
    b_port: str
    known_by: tuple[str, ...] = Field(description="declared, lldp, cdp, fdb")
    is_mutual: bool = Field(description="Both ends see each other")
    is_current: bool = Field(description="False: seen within the last hour, and not in the last poll")
    parent: str = Field(description="The end that is declared to be on the way to the other, or empty")


class TopologyShown(BaseModel):
    nodes: list[NodeShown]
    links: list[LinkShown]


async def topology_shown(faces: Faces) -> TopologyShown:
    """From the series in memory: reads no device."""
    targets: dict[str, Target] = {}
    states: dict[str, set[bool | None]] = {}
    for status in faces.fleet.status():
        targets.setdefault(status.target.name, status.target)
        states.setdefault(status.target.name, set()).add(status.up)
    remembered = f"last_over_time(%s[{REMEMBERED}])"
    # Tables of addresses are polled seldom, so what is remembered of them is as good as there is.
    hints = await _rows(faces, HINTS, remembered)
    watched = list(targets.values())
    whole = await _topology(watched, await _rows(faces, METRICS, remembered), hints)
    now = await _topology(watched, await _rows(faces, METRICS, "%s"), hints)
    current = {_ends(link) for link in now.links}
    return TopologyShown(
        nodes=[
            NodeShown(
                key=node.key,
                name=node.name,
                is_target=node.is_target,
                state=_state(states[node.key]) if node.is_target else "",
                address=node.address,
                chassis=node.chassis,
                parents=node.parents,
            )
            for node in whole.nodes
        ],
        links=[
            LinkShown(
                a=link.a,
                a_port=link.a_port,
                b=link.b,
                b_port=link.b_port,
                known_by=link.known_by,
                is_mutual=link.is_mutual,
                is_current=_ends(link) in current,
                parent=link.parent,
            )
            for link in whole.links
        ],
    )


async def _topology(targets: Iterable[Target], rows: Rows, hints: Rows) -> Topology:
    return await asyncio.to_thread(topology_of, targets, rows, hints)


async def _rows(faces: Faces, metrics: Iterable[str], form: str) -> Rows:
    """Label sets by metric, a metric at a time, so that a large fleet does not hold up the loop."""
    rows = {}
    for metric in metrics:
        rows[metric] = _series(faces, form % metric)
        await asyncio.sleep(0)
    return rows


def _series(faces: Faces, text: str) -> list[Labels]:
    try:
        found = faces.expressions.compile(text).instant(faces.clock.now())
    except (ExpressionError, EvaluationError):
        return []
    return [labels for labels, _ in found.samples()] if isinstance(found, Vector) else []


def _ends(link: Link) -> tuple[str, str, str, str]:
    return link.a, link.a_port, link.b, link.b_port


def _state(ups: set[bool | None]) -> str:
    if True in ups:
        return "up"
    return "down" if False in ups else "waiting"
