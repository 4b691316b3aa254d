"""All SSH connections of the daemon: sessions shared by target and auth, and what they share in turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.ssh.collector import SshCollector
from sentinel.collect.ssh.connection import Address, Options
from sentinel.collect.ssh.credentials import CredentialError, read_credentials
from sentinel.collect.ssh.hostkeys import DEFAULT_PORT, KnownHosts, read_host_key
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.ssh.parsers import Shapes
from sentinel.collect.ssh.session import Session
from sentinel.config.auth import Auth, SshAuth
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

_Key = tuple[str, int, str, SshAuth]


class SshDriver:
    """See the protocol Driver. The mappings are read when a collector is opened, so they may change in between."""

    def __init__(
        self,
        modules: Mapping[str, SshModule],
        auths: Mapping[str, Auth],
        *,
        clock: Clock,
        registry: CollectorRegistry,
        max_connects: int = 20,
    ) -> None:
        """At most `max_connects` hosts are being connected to at a time; logging in is what costs."""
        self._modules = modules
        self._auths = auths
        self._clock = clock
        self._metrics = SshMetrics(registry)
        self._connects = asyncio.Semaphore(max_connects)
        self._shapes = Shapes()
        self._options: dict[SshAuth, Options] = {}
        self._known_hosts: dict[str, KnownHosts] = {}
        self._sessions: dict[_Key, Session] = {}
        # asyncssh tells every step of every connection at level info.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)

    def open(self, target: Target, module: str) -> Collector:
        auth = self._auth(target)
        if auth is None:
            return _Unusable("auth", f"{target.name}: none of its auths is of kind ssh")
        try:
            session, key = self._session(target, auth)
        except CredentialError as error:
            return _Unusable("auth", f"{target.name}: {error}")
        except ValueError as error:
            return _Unusable("host_key", f"{target.name}: host_key: {error}")
        session.users += 1
        collector = SshCollector(
            target.name,
            self._modules[module],
            session,
            shapes=self._shapes,
            clock=self._clock,
            metrics=self._metrics,
        )
        return _Shared(collector, session, key, self._sessions)

    async def close(self) -> None:
        sessions = list(self._sessions.values())
        self._sessions.clear()
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                group.create_task(session.close())

    def _auth(self, target: Target) -> SshAuth | None:
        offered = (self._auths.get(name) for name in target.auths)
        return next((auth for auth in offered if isinstance(auth, SshAuth)), None)

    def _session(self, target: Target, auth: SshAuth) -> tuple[Session, _Key]:
        port = target.port if target.port is not None else DEFAULT_PORT
        key = (target.host, port, target.host_key, auth)
        session = self._sessions.get(key)
        if session is None:
            pinned = read_host_key(target.host_key) if target.host_key else None
            session = self._sessions[key] = Session(
                Address(target.name, target.host, port, pinned),
                self._options_of(auth),
                clock=self._clock,
                metrics=self._metrics,
                connects=self._connects,
            )
        return session, key

    def _options_of(self, auth: SshAuth) -> Options:
        options = self._options.get(auth)
        if options is None:
            known = None
            if auth.known_hosts is not None:
                known = self._known_hosts.setdefault(auth.known_hosts, KnownHosts(auth.known_hosts))
            options = self._options[auth] = Options(read_credentials(auth), known)
        return options


class _Shared:
    """A collector that lets go of its session when it is closed."""

    def __init__(
        self, collector: SshCollector, session: Session, key: _Key, sessions: dict[_Key, Session]
    ) -> None:
        self._collector = collector
        self._session = session
        self._key = key
        self._sessions = sessions
        self._is_closed = False

    async def poll(self, *, at: float, timeout: float) -> Reading:
        return await self._collector.poll(at=at, timeout=timeout)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._session.users -= 1
        if self._session.users == 0:
            if self._sessions.get(self._key) is self._session:
                del self._sessions[self._key]
            await self._session.close()


class _Unusable:
    """What could not be set up fails each poll with the reason."""

    def __init__(self, reason: str, text: str) -> None:
        self._error = reason, text

    async def poll(self, *, at: float, timeout: float) -> Reading:
        raise PollError(*self._error)

    async def close(self) -> None:
        return None
