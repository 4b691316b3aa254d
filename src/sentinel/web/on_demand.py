"""/snmp: one poll on demand, answered as snmp_exporter does, so that a Prometheus may ask here instead.

Whoever may read the port may make the daemon send SNMP requests, so they go only where the configuration says:
to the addresses of targets, and into the networks of [web] snmp_targets.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse, Response

from sentinel.collect.collector import PollError
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.config.address import split_address
from sentinel.model.batch import Batch, Family, Layout, Reading, Source
from sentinel.model.labels import EMPTY, METRIC_NAME, Labels
from sentinel.model.target import Target
from sentinel.series.head import Head
from sentinel.series.text.exposition import CONTENT_TYPE, render
from sentinel.web.assets import accepts_gzip
from sentinel.web.seams.collecting import OnDemandRules
from sentinel.web.seams.faces import Faces

DEFAULT_MODULE, DEFAULT_AUTH = "if_mib", "public_v2"
SNMP_PORT = 161
TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
DEFAULT_TIMEOUT, LONGEST = 20.0, 120.0
"""Seconds, without and with what Prometheus says it will wait."""
MARGIN = 0.5
"""Seconds of Prometheus' patience left for the answer's way back."""
MOST_MODULES = 20
AT_ONCE = 50
"""Requests answered at the same time; others wait their turn."""

FAMILIES = {
    "snmp_scrape_walk_duration_seconds": Family("gauge", "Time SNMP walk/bulkwalk took."),
    "snmp_scrape_packets_sent": Family(
        "gauge", "Packets sent for get, bulkget, and walk; including retries."
    ),
    "snmp_scrape_packets_retried": Family("gauge", "Packets retried for get, bulkget, and walk."),
    "snmp_scrape_pdus_returned": Family("gauge", "PDUs returned from get, bulkget, and walk."),
    "snmp_scrape_duration_seconds": Family("gauge", "Total SNMP time scrape took (walk and processing)."),
}
"""As snmp_exporter describes them (its collector/collector.go)."""


class _RefusedError(Exception):
    """The request cannot be answered."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a request asks for."""

    target: Target
    modules: tuple[str, ...]
    context: str


def on_demand_router(faces: Faces) -> APIRouter:
    """/snmp"""
    router = APIRouter(include_in_schema=False)
    slots = asyncio.Semaphore(AT_ONCE)

    @router.get("/snmp")
    async def snmp(request: Request) -> Response:
        if faces.on_demand is None:
            return PlainTextResponse("nothing is polled on demand here\n", 404)
        try:
            wish = _wish(request.query_params, faces.on_demand.rules())
            async with asyncio.timeout(patience_of(request)) as patience, slots:
                scrapes = {
                    module: await faces.on_demand.scrape(
                        wish.target, module, context=wish.context, timeout=_left(patience)
                    )
                    for module in wish.modules
                }
            text = _exposition(scrapes, faces.clock.now())
        except _RefusedError as refused:
            return PlainTextResponse(refused.text + "\n", refused.status)
        except (PollError, TimeoutError) as error:
            detail = error.text if isinstance(error, PollError) else "no turn or no answer in time"
            return PlainTextResponse(f"An error has occurred while serving metrics:\n\n{detail}\n", 500)
        headers = {"Vary": "Accept-Encoding"}
        if accepts_gzip(request):
            text = await asyncio.to_thread(gzip.compress, text, 1)
            headers["Content-Encoding"] = "gzip"
        return Response(text, headers=headers, media_type=CONTENT_TYPE)

    return router


# What is asked


def _wish(query: QueryParams, rules: OnDemandRules) -> _Wish:
    address = _once(query, "target")
    if not address:
        raise _RefusedError(400, "'target' parameter must be specified once")
    auth = _once(query, "auth")
    if auth and auth not in rules.auths:
        raise _RefusedError(400, f"Unknown auth '{auth}'")
    modules = _modules(query, rules)
    return _Wish(_target(address, auth, rules), modules, _once(query, "snmp_context"))


def _once(query: QueryParams, name: str) -> str:
    written = query.getlist(name)
    if len(written) > 1:
        must = "must be specified once" if name == "target" else "must only be specified once"
        raise _RefusedError(400, f"'{name}' parameter {must}")
    return written[0] if written else ""


def _modules(query: QueryParams, rules: OnDemandRules) -> tuple[str, ...]:
    """`module` may be given several times, and several names with commas."""
    written = [name for part in query.getlist("module") for name in part.split(",") if name]
    wanted = tuple(dict.fromkeys(written)) or (DEFAULT_MODULE,)
    if len(wanted) > MOST_MODULES:
        raise _RefusedError(400, f"more than {MOST_MODULES} modules")
    for name in wanted:
        if name not in rules.modules:
            raise _RefusedError(400, f"Unknown module '{name}'")
    return wanted


def _target(address: str, auth: str, rules: OnDemandRules) -> Target:
    """The device at an address that may be polled, with the auth asked for or the one it is configured with.

    Raises:
        _RefusedError: not an address, or not one that may be polled.
    """
    try:
        host, port = split_address(address)
    except ValueError as error:
        raise _RefusedError(400, f"target: {error}") from None
    place = _place(host, port)
    known = next((one for one in rules.targets if _place(one.host, one.port) == place), None)
    if known is None and not _is_in(place, rules):
        text = (
            f"{address} is neither the address of a target nor in a network of [web] snmp_targets: not polled"
        )
        raise _RefusedError(403, text)
    auths: Sequence[str] = known.auths if known is not None else ()
    if auth:
        auths = (auth,)
    elif not auths and DEFAULT_AUTH in rules.auths:
        auths = (DEFAULT_AUTH,)
    return Target(address, host, port, auths=tuple(auths))


def _place(host: str, port: int | None) -> tuple[str, int]:
    """Host and port in one way of writing."""
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        host = host.rstrip(".").lower()
    return host, port or SNMP_PORT


def _is_in(place: tuple[str, int], rules: OnDemandRules) -> bool:
    """Whether an IP address lies in a network that may be polled. Names do not: they may point anywhere.

    Besides 161 only ports that targets have are tried, so that nobody looks through a host's ports.
    """
    try:
        address = ipaddress.ip_address(place[0])
    except ValueError:
        return False
    ports = {SNMP_PORT, *(one.port for one in rules.targets)}
    return place[1] in ports and any(address in network for network in rules.networks)


def patience_of(request: Request) -> float:
    """Seconds in which an answer is of use."""
    try:
        said = float(request.headers.get(TIMEOUT_HEADER, ""))
    except ValueError:
        return DEFAULT_TIMEOUT
    return min(max(said - MARGIN, MARGIN), LONGEST) if said > 0 else DEFAULT_TIMEOUT


def _left(patience: asyncio.Timeout) -> float:
    ends = patience.when() or 0.0
    return max(ends - asyncio.get_running_loop().time(), 0.1)


# What is answered


def _exposition(scrapes: Mapping[str, Scrape], now: float) -> bytes:
    """The series of all modules, without labels of ours, and how long they took.

    Raises:
        PollError: something could not be read; leaving it out would look as if it had gone.
    """
    for module, scrape in scrapes.items():
        if scrape.reading.unread:
            names = ", ".join(sorted(scrape.reading.unread)[:5])
            reasons = ", ".join(scrape.reading.reasons).replace("_", " ")
            raise PollError("partial", f"module {module}: {names} could not be read ({reasons})")
    head = Head()
    readings = [(module, scrape.reading) for module, scrape in scrapes.items()]
    batches = [
        Batch(Source("device", name, EMPTY, 60.0), now, reading, up=True, duration=0.0)
        for name, reading in (*readings, ("", _figures(scrapes)))
    ]
    head.append(batches)
    return render(head, now)


def _figures(scrapes: Mapping[str, Scrape]) -> Reading:
    samples = [sample for module, scrape in scrapes.items() for sample in _figures_of(module, scrape)]
    layout = Layout.of((labels for labels, _ in samples), FAMILIES)
    return Reading(layout, np.array([value for _, value in samples], np.float64))


def _figures_of(module: str, scrape: Scrape) -> Iterable[tuple[Labels, float]]:
    values = (scrape.duration, scrape.packets, scrape.retries, scrape.values, scrape.duration)
    for name, value in zip(FAMILIES, values, strict=True):
        yield Labels({METRIC_NAME: name, "module": module}), float(value)
