"""/probe: one probe on demand, answered as blackbox_exporter does, so that a Prometheus may ask here instead.

Whoever may read the port may make the daemon send requests, so they go only where the configuration says: to the
very addresses of targets, and into the networks of [web] probe_targets. Into those never to this machine, to its
link or to a cloud's metadata, and that is asked of the address a name has at that moment, redirects included.
"""

from __future__ import annotations

import asyncio
import ipaddress

from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse, Response

from sentinel.collect.collector import PollError
from sentinel.collect.probes.policy import only
from sentinel.collect.probes.resolve import Address, Policy, anywhere
from sentinel.config.address import is_url, split_place
from sentinel.model.batch import Batch, Reading, Source
from sentinel.model.labels import EMPTY
from sentinel.model.target import Target
from sentinel.series.head import Head
from sentinel.series.text.exposition import CONTENT_TYPE, render
from sentinel.web.on_demand import AT_ONCE, patience_of
from sentinel.web.seams.collecting import ProbeRules
from sentinel.web.seams.faces import Faces

DEFAULT_MODULE = "http_2xx"


class _RefusedError(Exception):
    """The request cannot be answered."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def probing_router(faces: Faces) -> APIRouter:
    """/probe"""
    router = APIRouter(include_in_schema=False)
    slots = asyncio.Semaphore(AT_ONCE)

    @router.get("/probe")
    async def probe(request: Request) -> Response:
        if faces.probing is None:
            return PlainTextResponse("nothing is probed on demand here\n", 404)
        try:
            rules = faces.probing.rules()
            module = _module(request.query_params, rules)
            target, policy = _target(_once(request.query_params, "target"), module, rules)
            async with asyncio.timeout(patience_of(request)) as patience, slots:
                left = (patience.when() or 0.0) - asyncio.get_running_loop().time()
                reading = await faces.probing.probe(
                    target, module, policy=policy, timeout=max(left * 0.95, 0.1)
                )
        except _RefusedError as refused:
            return PlainTextResponse(refused.text + "\n", refused.status)
        except (PollError, TimeoutError) as error:
            detail = error.text if isinstance(error, PollError) else "no turn or no answer in time"
            return PlainTextResponse(f"the probe could not be made: {detail}\n", 500)
        return Response(_exposition(reading, faces.clock.now()), media_type=CONTENT_TYPE)

    return router


def _once(query: QueryParams, name: str) -> str:
    written = query.getlist(name)
    if len(written) > 1:
        raise _RefusedError(400, f"'{name}' parameter must only be specified once")
    return written[0] if written else ""


def _module(query: QueryParams, rules: ProbeRules) -> str:
    name = _once(query, "module") or DEFAULT_MODULE
    if name not in rules.probers:
        raise _RefusedError(400, f"Unknown module '{name}'")
    return name


def _target(address: str, module: str, rules: ProbeRules) -> tuple[Target, Policy]:
    """What is asked for, and where that may lead.

    Raises:
        _RefusedError: not an address, or not one that may be probed.
    """
    if not address:
        raise _RefusedError(400, "Target parameter is missing")
    prober = rules.probers[module]
    if prober == "http" and "/" in address and not is_url(address):
        address = f"http://{address}"
    try:
        host, port = split_place(address)
    except ValueError as error:
        raise _RefusedError(400, f"target: {error}") from None
    target = Target(address, host, port, url=address if is_url(address) else "")
    if any(_is_same(target, one, prober) for one in rules.targets):
        return target, anywhere
    if not rules.networks:
        text = (
            f"{address} is not the address of a target, and [web] probe_targets names no networks: not probed"
        )
        raise _RefusedError(403, text)

    def inside(found: Address) -> bool:
        return any(found in network for network in rules.networks)

    literal = _literal(host)
    policy = only((), inside)
    if literal is not None and not policy(literal):
        raise _RefusedError(403, f"{address} lies where /probe may not go ([web] probe_targets): not probed")
    return target, policy


def _is_same(asked: Target, known: Target, prober: str) -> bool:
    """Whether a target of the configuration names this very place; an echo request needs no port."""
    if _host(asked) != _host(known):
        return False
    if prober == "icmp":
        return True
    return (asked.port, asked.url) == (known.port, known.url)


def _host(target: Target) -> str:
    literal = _literal(target.host)
    return str(literal) if literal is not None else target.host.rstrip(".").lower()


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _exposition(reading: Reading, now: float) -> bytes:
    head = Head()
    head.append([Batch(Source("probe", "", EMPTY, 60.0), now, reading, up=True, duration=0.0)])
    return render(head, now)
