"""Prober http: one request, its redirects, and what the last answer must be like.

Phases are blackbox_exporter's: resolve, connect, tls, processing (until the answer begins) and transfer; those of
redirects are added up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

from sentinel.collect.probes import http1, http2
from sentinel.collect.probes.around import Around
from sentinel.collect.probes.body import Body
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import HttpSettings
from sentinel.collect.probes.message import Head, Request, Url
from sentinel.collect.probes.policy import redirected
from sentinel.collect.probes.resolve import Address, Policy, choose
from sentinel.collect.probes.stream import Stream
from sentinel.collect.probes.tls import Trust, tell_certificates, tell_cipher
from sentinel.collect.probes.travel import Travel, first_request
from sentinel.model.pattern import Pattern

MOST_REDIRECTS = 10
_DURATION = "probe_http_duration_seconds"
_REDIRECTS = (301, 302, 303, 307, 308)
_LONG = 64 * 1024
"""Bytes of a body, from which on expressions are matched in a thread."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last answer."""

    head: Head
    body: Body
    is_ssl: bool


async def probe_http(settings: HttpSettings, trust: Trust, folder: Path, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
    """
    _begin(around)
    url = Url.of(around.place.url or f"http://{_authority(around)}/")
    findings = around.findings
    try:
        address = await around.address(settings)
    finally:
        findings.set(_DURATION, findings.get("probe_dns_lookup_time_seconds") or 0.0, phase="resolve")
    for phase in ("connect", "tls", "processing", "transfer"):
        findings.set(_DURATION, 0, phase=phase)
    last = await _travel(settings, trust, first_request(settings, url, folder), address, around)
    await _judge(settings, last, around)


def _authority(around: Around) -> str:
    host = f"[{around.place.host}]" if ":" in around.place.host else around.place.host
    return host if around.place.port is None else f"{host}:{around.place.port}"


def _begin(around: Around) -> None:
    for name in (
        "probe_failed_due_to_regex",
        "probe_http_status_code",
        "probe_http_content_length",
        "probe_http_uncompressed_body_length",
        "probe_http_redirects",
        "probe_http_ssl",
        "probe_http_version",
    ):
        around.findings.set(name, 0)


async def _travel(
    settings: HttpSettings, trust: Trust, request: Request, origin: Address, around: Around
) -> _Last:
    """Go where redirects lead, to the last answer."""
    travel = Travel(request)
    address = origin
    while True:
        async with AsyncExitStack() as stack:
            stream = await _connect(trust, request, address, around, stack)
            started = around.clock.monotonic()
            pieces = await stack.enter_async_context(aclosing(_exchange(stream, request, around)))
            head = await anext(pieces)
            assert isinstance(head, Head)
            around.findings.add(_DURATION, head.at - started, phase="processing")
            location = head.get("location") if head.status in _REDIRECTS else ""
            _tell_head(head, around)
            is_ssl = request.url.scheme == "https"
            around.findings.set("probe_http_ssl", int(is_ssl))
            body = Body(
                limit=settings.body_size_limit, compression=settings.compression, keep=_reads_body(settings)
            )
            if not location:
                if is_ssl:
                    tell_certificates(around.findings, stream, trust)
                    tell_cipher(around.findings, stream)
                await _read_body(pieces, body, head, around)
                return _Last(head, body, is_ssl)
            travel.count += 1
            around.findings.set("probe_http_redirects", travel.count)
            if travel.count > MOST_REDIRECTS:
                raise ProbeFailure(
                    "redirects", f"more than {MOST_REDIRECTS} redirects; the last one to {location[:200]}"
                )
            if not settings.follows:
                if is_ssl:
                    tell_certificates(around.findings, stream, trust)
                    tell_cipher(around.findings, stream)
                return _Last(head, body, is_ssl)
            request = travel.next(request, head, location)
        address = await _redirected(settings, request, origin, around)


async def _redirected(settings: HttpSettings, request: Request, origin: Address, around: Around) -> Address:
    """The address a redirect leads to, looked up without the series that tell of the target's own."""
    beside = replace(around, findings=type(around.findings)())
    started = around.clock.monotonic()
    try:
        return await choose(
            around.resolver,
            request.url.host,
            preferred=settings.preferred_ip_protocol,
            fallback=True,
            clock=around.clock,
            findings=beside.findings,
            policy=_onwards(origin, around.policy),
        )
    except ProbeFailure as failure:
        raise ProbeFailure(failure.reason, f"redirected: {failure.text}") from None
    finally:
        around.findings.add(_DURATION, around.clock.monotonic() - started, phase="resolve")


def _onwards(origin: Address, policy: Policy) -> Policy:
    """Where a redirect may lead; out of where probes may only go by permission, to public addresses at most."""
    allowed = redirected(origin)

    def allows(address: Address) -> bool:
        return allowed(address) and (address == origin or address.is_global or policy(address))

    return allows


async def _connect(
    trust: Trust, request: Request, address: Address, around: Around, stack: AsyncExitStack
) -> Stream:
    clock, findings = around.clock, around.findings
    started = clock.monotonic()
    stream = await Stream.connect(address, request.url.port)
    stack.callback(stream.close)
    connected = clock.monotonic()
    findings.add(_DURATION, connected - started, phase="connect")
    if request.url.scheme == "https":
        await trust.secure(stream, request.url.host)
        findings.add(_DURATION, clock.monotonic() - connected, phase="tls")
    return stream


def _exchange(stream: Stream, request: Request, around: Around) -> AsyncGenerator[http2.Piece, None]:
    if stream.tls is not None and stream.tls.selected_alpn_protocol() == "h2":
        return http2.exchange(stream, request, around.clock)
    return http1.exchange(stream, request, around.clock)


async def _read_body(
    pieces: AsyncGenerator[http2.Piece, None], body: Body, head: Head, around: Around
) -> None:
    try:
        async for piece in pieces:
            if isinstance(piece, bytes):
                body.take(piece)
        body.finish()
        around.findings.add(_DURATION, around.clock.monotonic() - head.at, phase="transfer")
    finally:
        around.findings.set("probe_http_uncompressed_body_length", body.length)


def _tell_head(head: Head, around: Around) -> None:
    findings = around.findings
    findings.set("probe_http_status_code", head.status)
    findings.set("probe_http_content_length", head.content_length)
    findings.set("probe_http_version", float(head.version.removeprefix("HTTP/")))
    try:
        modified = parsedate_to_datetime(head.get("last-modified"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return
    findings.set("probe_http_last_modified_timestamp_seconds", int(modified.timestamp()))


# What the last answer must be like


def _reads_body(settings: HttpSettings) -> bool:
    return bool(settings.fail_if_body_matches_regexp or settings.fail_if_body_not_matches_regexp)


async def _judge(settings: HttpSettings, last: _Last, around: Around) -> None:
    head = last.head
    _judge_status(settings, head)
    _judge_headers(settings, head, around)
    if _reads_body(settings):
        if last.body.length > _LONG:
            await asyncio.to_thread(_judge_body, settings, last.body, around)
        else:
            _judge_body(settings, last.body, around)
    if settings.valid_http_versions and head.version not in settings.valid_http_versions:
        wanted = " or ".join(settings.valid_http_versions)
        raise ProbeFailure("http_version", f"the server answers in {head.version}, not {wanted}")
    if settings.fail_if_ssl and last.is_ssl:
        raise ProbeFailure("ssl", "the last request went over TLS (fail_if_ssl)")
    if settings.fail_if_not_ssl and not last.is_ssl:
        raise ProbeFailure("no_ssl", "the last request did not go over TLS (fail_if_not_ssl)")


def _judge_status(settings: HttpSettings, head: Head) -> None:
    wanted = settings.valid_status_codes
    if wanted and head.status not in wanted:
        raise ProbeFailure("status", f"status {head.status}, not {' or '.join(map(str, wanted))}")
    if not wanted and not 200 <= head.status < 300:
        raise ProbeFailure("status", f"status {head.status}, not 2xx")


def _judge_headers(settings: HttpSettings, head: Head, around: Around) -> None:
    for rule in settings.fail_if_header_matches:
        values = head.values(rule.header)
        if (not values and not rule.allow_missing) or any(rule.regexp.occurs_in(one) for one in values):
            said = "matches" if values else "is missing, where it should not match"
            raise _by_regex(around, f"header {rule.header} {said} {rule.regexp.text!r}")
    for rule in settings.fail_if_header_not_matches:
        values = head.values(rule.header)
        if not values and rule.allow_missing:
            continue
        if not any(rule.regexp.occurs_in(one) for one in values):
            said = "does not match" if values else "is missing and so does not match"
            raise _by_regex(around, f"header {rule.header} {said} {rule.regexp.text!r}")


def _judge_body(settings: HttpSettings, body: Body, around: Around) -> None:
    text = body.text
    found = _first(settings.fail_if_body_matches_regexp, text, True)
    if found is not None:
        raise _by_regex(around, f"the body matches {found.text!r}")
    found = _first(settings.fail_if_body_not_matches_regexp, text, False)
    if found is not None:
        raise _by_regex(around, f"the body does not match {found.text!r}")


def _first(patterns: tuple[Pattern, ...], text: str, occurs: bool) -> Pattern | None:
    return next((one for one in patterns if one.occurs_in(text) is occurs), None)


def _by_regex(around: Around, text: str) -> ProbeFailure:
    around.findings.set("probe_failed_due_to_regex", 1)
    return ProbeFailure("regex", text)
