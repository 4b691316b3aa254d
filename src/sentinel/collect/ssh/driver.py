"""All SSH connections of the daemon: sessions shared by target and auth, and what they share in turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.ssh.assemble import Layouts
from sentinel.collect.ssh.collector import SshCollector
from sentinel.collect.ssh.connection import Address, Options
from sentinel.collect.ssh.credentials import CredentialError, read_credentials
from sentinel.collect.ssh.hostkeys import DEFAULT_PORT, KnownHosts, read_host_key
from sentinel.collect.ssh.link import Link
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.ssh.parsers import Shapes
from sentinel.collect.ssh.prompt.dialects import DIALECTS
from sentinel.collect.ssh.prompt.session import PromptSession
from sentinel.collect.ssh.route import Jumps, Leg
from sentinel.collect.ssh.session import Session
from sentinel.config.auth import Auth, SshAuth
from sentinel.model.batch import Reading
from sentinel.model.target import Hop, Target
from sentinel.runtime.clock import Clock

_Key = tuple[str, int, str, SshAuth, tuple[Hashable, ...], str]


class _NoAuthError(ValueError):
    """A jump host names an auth that is not there."""


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
        self._layouts = Layouts()
        self._options: dict[SshAuth, Options] = {}
        self._known_hosts: dict[str, KnownHosts] = {}
        self._jumps = Jumps(clock, self._metrics, self._connects)
        self._sessions: dict[_Key, Session | PromptSession] = {}
        # asyncssh tells every step of every connection at level info.
        logging.getLogger("asyncssh").setLevel(logging.WARNING)

    def open(self, target: Target, module: str) -> Collector:
        auth = self._auth(target)
        if auth is None:
            return _Unusable("auth", f"{target.name}: none of its auths is of kind ssh")
        try:
            legs = self._legs(target, auth)
            session, key = self._session(target, auth, legs, self._modules[module].dialect)
        except (CredentialError, _NoAuthError) as error:
            return _Unusable("auth", f"{target.name}: {error}")
        except ValueError as error:
            return _Unusable("host_key", f"{target.name}: host_key: {error}")
        session.users += 1
        collector = SshCollector(
            target.name,
            self._modules[module],
            session,
            shapes=self._shapes,
            layouts=self._layouts,
            clock=self._clock,
            metrics=self._metrics,
        )
        return _Shared(collector, partial(self._release, session, key, legs))

    async def close(self) -> None:
        sessions = list(self._sessions.values())
        self._sessions.clear()
        async with asyncio.TaskGroup() as group:
            for session in sessions:
                group.create_task(session.close())
        self._jumps.close()

    def _auth(self, target: Target) -> SshAuth | None:
        offered = (self._auths.get(name) for name in target.auths)
        return next((auth for auth in offered if isinstance(auth, SshAuth)), None)

    def _legs(self, target: Target, auth: SshAuth) -> tuple[Leg, ...]:
        """The jump hosts on the way, nearest first."""
        hops = target.jump if target.jump is not None else tuple(one.hop for one in auth.jump)
        return tuple(self._leg(hop, auth) for hop in hops)

    def _leg(self, hop: Hop, auth: SshAuth) -> Leg:
        own = self._auths.get(hop.auth) if hop.auth else auth
        if not isinstance(own, SshAuth):
            raise _NoAuthError(f"jump: there is no SSH auth '{hop.auth}'")
        address = _address(f"jump host {hop.host}", hop.host, hop.port, hop.host_key)
        return Leg(address, self._options_of(own), (hop.host, address.port, hop.host_key, own))

    def _session(
        self, target: Target, auth: SshAuth, legs: tuple[Leg, ...], dialect: str
    ) -> tuple[Session | PromptSession, _Key]:
        address = _address(target.name, target.host, target.port, target.host_key)
        key = (target.host, address.port, target.host_key, auth, tuple(leg.key for leg in legs), dialect)
        session = self._sessions.get(key)
        if session is None:
            link = Link(
                address,
                self._options_of(auth),
                clock=self._clock,
                metrics=self._metrics,
                connects=self._connects,
                jump=self._jumps.open(legs),
            )
            clock, metrics = self._clock, self._metrics
            if dialect:
                session = PromptSession(link, DIALECTS[dialect], clock=clock, metrics=metrics)
            else:
                session = Session(link, clock=clock, metrics=metrics)
            self._sessions[key] = session
        return session, key

    async def _release(self, session: Session | PromptSession, key: _Key, legs: tuple[Leg, ...]) -> None:
        session.users -= 1
        if session.users:
            return
        if self._sessions.get(key) is session:
            del self._sessions[key]
        await session.close()
        self._jumps.release(legs)

    def _options_of(self, auth: SshAuth) -> Options:
        options = self._options.get(auth)
        if options is None:
            known = None
            if auth.known_hosts is not None:
                known = self._known_hosts.setdefault(auth.known_hosts, KnownHosts(auth.known_hosts))
            options = self._options[auth] = Options(read_credentials(auth), known)
        return options


def _address(name: str, host: str, port: int | None, host_key: str) -> Address:
    """
    Raises:
        ValueError: the host key is none.
    """
    pinned = read_host_key(host_key) if host_key else None
    return Address(name, host, port if port is not None else DEFAULT_PORT, pinned)


class _Shared:
    """A collector that lets go of its session when it is closed."""

    def __init__(self, collector: SshCollector, release: Callable[[], Awaitable[None]]) -> None:
        self._collector = collector
        self._release = release
        self._is_closed = False

    async def poll(self, *, at: float, timeout: float) -> Reading:
        return await self._collector.poll(at=at, timeout=timeout)

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._release()


class _Unusable:
    """What could not be set up fails each poll with the reason."""

    def __init__(self, reason: str, text: str) -> None:
        self._error = reason, text

    async def poll(self, *, at: float, timeout: float) -> Reading:
        raise PollError(*self._error)

    async def close(self) -> None:
        return None
