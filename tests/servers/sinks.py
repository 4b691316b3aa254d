"""Far sides of deliveries: an HTTP server and an SMTP server that do as the test says, and remember."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True)
class Answer:
    """How the HTTP sink answers one request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    """Never answers."""
    drips: bool = False
    """Sends its answer a byte a second."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request that arrived whole."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    method: str = "POST"
    at: float = 0.0
    """When it was whole, Unix seconds."""

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class WebhookSink:
    """An HTTP server on loopback. Answers come from `answers`, in order, then from `choose`."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: deque[Answer] = deque()
        self.choose: Callable[[Post], Answer] = lambda post: Answer()
        self.port = 0
        self._arrived = asyncio.Event()
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @asynccontextmanager
    async def serve(self, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookSink]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._connections):
                writer.close()

    async def until(self, condition: Callable[[list[Post]], bool], within: float = 10.0) -> list[Post]:
        """The posts once the condition holds for them.

        Raises:
            TimeoutError
        """
        async with asyncio.timeout(within):
            while not condition(self.posts):
                self._arrived.clear()
                await self._arrived.wait()
        return self.posts

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                post = await _read_post(reader)
                answer = self.answers.popleft() if self.answers else self.choose(post)
                self.posts.append(post)
                self._arrived.set()
                await self._answer(writer, answer)
        self._connections.discard(writer)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer.hangs:
            await asyncio.Event().wait()
        head = f"HTTP/1.1 {answer.status} Status\r\nContent-Length: {len(answer.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        content = head.encode() + b"\r\n" + answer.body
        if not answer.drips:
            writer.write(content)
            await writer.drain()
            return
        for position in range(len(content)):
            writer.write(content[position : position + 1])
            await writer.drain()
            await asyncio.sleep(1)


async def _read_post(reader: asyncio.StreamReader) -> Post:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = head[0].split(" ")
    return Post(path, headers, body, method, time.time())


@contextmanager
def webhook_sink_in_thread() -> Iterator[WebhookSink]:
    """The same for tests whose sender is another process: it goes on serving while the test blocks."""
    started = threading.Event()
    stop: asyncio.Event | None = None
    loop = asyncio.new_event_loop()
    sinks: list[WebhookSink] = []

    async def main() -> None:
        nonlocal stop
        stop = asyncio.Event()
        sink = WebhookSink()
        async with sink.serve():
            sinks.append(sink)
            started.set()
            await stop.wait()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    started.wait()
    try:
        yield sinks[0]
    finally:
        if stop is not None:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass(frozen=True, slots=True)
class Mail:
    """One message that the SMTP sink took."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    raw: bytes
    at: float = 0.0
    """When it was taken, Unix seconds."""

    @property
    def key(self) -> str:
        return str(self.message["Idempotency-Key"])

    def text(self, kind: str = "plain") -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content())


class SmtpSink:
    """An SMTP server on loopback. `refuse` maps a recipient to answers for its next RCPTs, `data` for DATA."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.refuse: dict[str, deque[str]] = {}
        self.data: deque[str] = deque()
        self.port = 0
        self._arrived = asyncio.Event()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answers = self.refuse.get(address)
        if answers:
            return answers.popleft() if len(answers) > 1 else answers[0]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data:
            return self.data.popleft()
        raw = envelope.original_content or b""
        message = message_from_bytes(raw, policy=policy.default)
        sender, recipients = envelope.mail_from or "", tuple(envelope.rcpt_tos)
        self.mails.append(Mail(sender, recipients, message, raw, time.time()))
        self._arrived.set()
        return "250 taken"

    async def until(self, condition: Callable[[list[Mail]], bool], within: float = 10.0) -> list[Mail]:
        async with asyncio.timeout(within):
            while not condition(self.mails):
                self._arrived.clear()
                await self._arrived.wait()
        return self.mails


@asynccontextmanager
async def smtp_sink(
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    starttls: bool = False,
    login: tuple[str, str] | None = None,
) -> AsyncIterator[SmtpSink]:
    """
    Args:
        tls: the server's certificate; alone for TLS from the first byte, with starttls for an upgrade.
        login: user and password that it asks for.
    """
    sink = SmtpSink()

    def authenticated(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and login == (data.login.decode(), data.password.decode())
        # Not handled: a refusal is answered with 535 instead of with silence.
        return AuthResult(success=is_right, handled=False)

    def connected() -> SMTP:
        return SMTP(
            sink,
            hostname="sink",
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=authenticated if login else None,
            auth_required=login is not None,
            auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connected, "127.0.0.1", port, ssl=None if starttls else tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
