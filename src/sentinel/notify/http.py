"""The HTTP client of receivers: guarded, without redirects, bounded in what it reads, silent about secrets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio
import httpcore
import httpx
import orjson

import sentinel
from sentinel.config.secret import Secret
from sentinel.incidents.book import one_line
from sentinel.notify.guard import Guard, GuardedNetwork
from sentinel.notify.receiver import Outcome, Result
from sentinel.notify.redaction import Redaction
from sentinel.runtime.retry import retry_after

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""
MAX_DETAIL = 200
"""Characters of an answer that go into the log and the timeline."""
READ_OUT = 0.5
"""Seconds for an answer that nobody needs; the status has been read by then."""
TRY_AGAIN = (408, 425, 429)
UNWELL = (429, 502, 503, 504)
_OWN_HEADERS = {
    "User-Agent": f"sentinel/{sentinel.__version__}",
    # Nothing is unpacked: a small answer cannot become a large one.
    "Accept-Encoding": "identity",
}
_FAILURES = (
    httpx.HTTPError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class TlsOptions(Protocol):
    """What settings say of TLS."""

    @property
    def ca_file(self) -> str | None: ...

    @property
    def client_certificate(self) -> str | None: ...

    @property
    def client_key(self) -> str | None: ...


class HttpOptions(TlsOptions, Protocol):
    """What settings say of HTTP beside the address."""

    @property
    def proxy(self) -> Secret | None: ...

    @property
    def timeout(self) -> float:
        """Seconds."""
        ...

    @property
    def concurrency(self) -> int:
        """Connections at the same time."""
        ...


class UnreachableError(Exception):
    """No answer; the text says why and carries no address."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in any case."""
    body: bytes = b""
    """Its beginning, at most MAX_ANSWER."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body[:4096].decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """The JSON object; empty if it is none."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}


class Http:
    """
    Args:
        url: where it will ask, to refuse an address in it that is forbidden.
        secrets: texts that no detail may show.
        headers: sent with every request.
    Raises:
        OSError: a certificate file cannot be used, or the address is forbidden.
    """

    def __init__(
        self,
        settings: HttpOptions,
        *,
        url: str,
        guard: Guard,
        now: Callable[[], float],
        secrets: Iterable[str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._now = now
        guard.check(urlsplit(url).hostname or "")
        proxy = settings.proxy.reveal() if settings.proxy else None
        self._redaction = Redaction([*secrets, *([proxy] if proxy else [])])
        self._client = httpx.AsyncClient(
            headers=_OWN_HEADERS | dict(headers or {}),
            transport=_Pools(settings, proxy, guard),
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=False,
        )

    async def ask(
        self,
        url: str,
        content: bytes | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        needs_body: bool = True,
    ) -> Answer:
        """
        Args:
            needs_body: the verdict is in the body; else a success counts as soon as its status is there.
        Raises:
            UnreachableError: no whole answer.
        """
        try:
            request = self._client.build_request(method, url, content=content, headers=dict(headers or {}))
            response = await self._client.send(request, stream=True)
            try:
                return await _answer(response, needs_body=needs_body)
            finally:
                with contextlib.suppress(*_FAILURES):
                    await response.aclose()
        except (*_FAILURES, httpx.InvalidURL) as error:
            raise UnreachableError(self._redaction.of(_reason(error))) from None

    async def post_json(
        self, url: str, body: object, *, headers: Mapping[str, str] | None = None, needs_body: bool = True
    ) -> Answer:
        """As `ask`, with a JSON body."""
        kind = {"Content-Type": "application/json"}
        return await self.ask(
            url, orjson.dumps(body), headers=kind | dict(headers or {}), needs_body=needs_body
        )

    def judged(self, answer: Answer) -> Outcome:
        """What an answer means where HTTP's status says it all.

        Source: RFC 9110 §15; 425: RFC 8470; 429: RFC 6585.
        """
        status = answer.status
        if answer.is_success:
            return Outcome(Result.DELIVERED, str(status))
        if 300 <= status < 400:
            return Outcome(Result.RETRY, f"{status}: redirects are not followed, correct the url")
        detail = self.detail(f"{status} {answer.text}")
        if 400 <= status < 500 and status not in TRY_AGAIN:
            return Outcome(Result.REFUSED, detail)
        wait = retry_after(answer.headers.get("Retry-After"), now=self._now())
        return Outcome(Result.RETRY, detail, retry_after=wait, is_unwell=status in UNWELL)

    def detail(self, text: str) -> str:
        """One short line of what the far side said, without our secrets."""
        return one_line(self._redaction.of(text), MAX_DETAIL)

    async def close(self) -> None:
        await self._client.aclose()


def tls_context(settings: TlsOptions) -> ssl.SSLContext:
    """
    Raises:
        OSError: a file cannot be read or holds no usable certificate.
    """
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.client_certificate:
        # A key with a passphrase would ask on the terminal: an empty one refuses it.
        context.load_cert_chain(settings.client_certificate, settings.client_key, password=lambda: "")
    return context


class _Pools(httpx.AsyncBaseTransport):
    """httpx on top of httpcore's pool, for the sake of the guarded network.

    A pool in which a request was cancelled is used no more. Its connections may be marked as taken for ever, as
    httpcore hands them back in steps that a `task.cancel()`, or the end of an `asyncio.timeout()`, cuts short; with
    one connection nothing would ever be sent again.
    """

    def __init__(self, settings: HttpOptions, proxy: str | None, guard: Guard) -> None:
        self._settings = settings
        self._proxy = proxy
        self._context = tls_context(settings)
        self._network = GuardedNetwork(guard)
        self._pool = self._made()
        self._users: Counter[httpcore.AsyncConnectionPool] = Counter()
        """Requests under way in each pool."""
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, pool = request.url, self._pool
        self._users[pool] += 1
        try:
            response = await pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException as error:
            self._left(pool, is_sound=not isinstance(error, asyncio.CancelledError | httpcore.PoolTimeout))
            raise
        stream = _Stream(response, partial(self._left, pool))
        return httpx.Response(
            response.status, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        pools = {self._pool, *self._users}
        await asyncio.gather(*(pool.aclose() for pool in pools), *self._closing, return_exceptions=True)

    def _made(self) -> httpcore.AsyncConnectionPool:
        limit, context, network = self._settings.concurrency, self._context, self._network
        if self._proxy is None:
            return httpcore.AsyncConnectionPool(
                context, max_connections=limit, keepalive_expiry=30, network_backend=network
            )
        address = httpx.URL(self._proxy)
        return httpcore.AsyncHTTPProxy(
            proxy_url=str(address.copy_with(username=None, password=None)),
            proxy_auth=(address.username, address.password) if address.username else None,
            ssl_context=context,
            max_connections=limit,
            keepalive_expiry=30,
            network_backend=network,
        )

    def _left(self, pool: httpcore.AsyncConnectionPool, *, is_sound: bool) -> None:
        """A request in that pool is over. What else is under way in one that is no longer sound goes on there."""
        self._users[pool] -= 1
        if pool is self._pool and not is_sound:
            self._pool = self._made()
        if pool is not self._pool:
            self._close_unused(pool)

    def _close_unused(self, pool: httpcore.AsyncConnectionPool) -> None:
        if self._users[pool] <= 0:
            del self._users[pool]
            task = asyncio.ensure_future(pool.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled():
            task.exception()  # the far side may be gone


class _Left(Protocol):
    def __call__(self, *, is_sound: bool) -> None: ...


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, left: _Left) -> None:
        self._response = response
        self._left = left
        self._is_sound = True
        self._is_closed = False

    async def __aiter__(self) -> Any:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except asyncio.CancelledError:
            self._is_sound = False
            raise

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except asyncio.CancelledError:
            self._is_sound = False
            raise
        finally:
            if not self._is_closed:
                self._is_closed = True
                self._left(is_sound=self._is_sound)


async def _answer(response: httpx.Response, *, needs_body: bool) -> Answer:
    if needs_body or not response.is_success:
        body = await _beginning(response, is_needed=needs_body and response.is_success)
    else:
        body = b""
        await _read_out(response)
    return Answer(response.status_code, response.headers, body)


async def _read_out(response: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can serve the next message."""
    count = 0
    with contextlib.suppress(*_FAILURES), anyio.move_on_after(READ_OUT):  # asyncio.timeout: see _Pools
        async for chunk in response.aiter_raw(4096):
            count += len(chunk)
            if count >= MAX_ANSWER:
                return


async def _beginning(response: httpx.Response, *, is_needed: bool) -> bytes:
    """The beginning of an answer, bounded."""
    content = b""
    try:
        async for chunk in response.aiter_raw(4096):
            content += chunk
            if len(content) >= MAX_ANSWER:
                break
    except _FAILURES:
        if is_needed:
            raise
    return content[:MAX_ANSWER]


def _reason(error: Exception) -> str:
    """What went wrong, without the address: it may carry a token."""
    if isinstance(error, httpx.TimeoutException | httpcore.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError | httpcore.ConnectError):
        return f"cannot connect: {str(error)[:MAX_DETAIL]}"
    if isinstance(error, httpx.InvalidURL):
        return "not an address"
    return f"connection failed: {type(error).__name__}"
