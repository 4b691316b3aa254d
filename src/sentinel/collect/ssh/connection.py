"""Opening SSH connections: options chosen once, errors turned into words."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.credentials import Credentials
from sentinel.collect.ssh.hostkeys import HostKeyCheck, KnownHosts, Trust

_KEX = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
"""No ChaCha20 and no CBC: the Terrapin attack needs one of them."""
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")

KEEPALIVE = 45
"""Seconds of silence after which TCP asks whether the host is still there; firewalls then remember it too."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host is, and which key it must show."""

    name: str
    """The target's, for messages."""
    host: str
    port: int
    pinned: Trust | None
    """Of the target's host_key; None: known_hosts decides."""


class Options:
    """What all connections with one auth have in common; expensive to build, so built once."""

    def __init__(self, credentials: Credentials, known_hosts: KnownHosts | None) -> None:
        self.known_hosts = known_hosts
        has_password = credentials.password is not None
        self.base = asyncssh.SSHClientConnectionOptions(
            config=None,
            username=credentials.username,
            client_keys=list(credentials.keys) or None,
            password=credentials.password,
            agent_path=None,
            known_hosts=_trusts_nobody,
            kex_algs=list(_KEX),
            encryption_algs=list(_CIPHERS),
            mac_algs=list(_MACS),
            compression_algs=["none"],
            x509_trusted_certs=None,
            gss_kex=False,
            gss_auth=False,
            host_based_auth=False,
            kbdint_auth=False,
            public_key_auth=bool(credentials.keys),
            password_auth=has_password,
            connect_timeout=None,
            encoding=None,
            client_version="Sentinel",
        )


def _trusts_nobody(host: str, address: str, port: int | None) -> tuple[tuple[()], tuple[()], tuple[()]]:
    return (), (), ()


class _Client(asyncssh.SSHClient):
    def __init__(self, check: HostKeyCheck) -> None:
        self._check = check

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        return self._check.accepts(key)


async def connect(address: Address, options: Options) -> asyncssh.SSHClientConnection:
    """
    Raises:
        PollError: with the reason; TimeoutError is the caller's, who sets the deadline.
    """
    check = HostKeyCheck(address.name, address.host, address.port, address.pinned, options.known_hosts)
    where = f"{address.host}:{address.port}"
    try:
        connection = await asyncssh.connect(
            address.host,
            address.port,
            options=options.base,
            config=None,
            known_hosts=check.trusted,
            server_host_key_algs=check.algorithms(),
            client_factory=lambda: _Client(check),
        )
        _keep_alive(connection)
        return connection
    except asyncssh.HostKeyNotVerifiable as error:
        raise check.error(str(error)) from None
    except asyncssh.PermissionDenied as error:
        text = (
            f"{where} does not let the user in: {error}; check the auth's username and key,"
            " and authorized_keys on the host"
        )
        raise PollError("auth", text) from None
    except asyncssh.ConnectionLost as error:
        raise PollError("closed", f"{where} closed the connection while logging in: {error}") from None
    except asyncssh.KeyExchangeFailed as error:
        raise PollError("negotiation", f"{where} and Sentinel share no safe algorithms: {error}") from None
    except (asyncssh.Error, ValueError) as error:
        raise PollError("protocol", f"{where} does not speak SSH as expected: {error}") from None
    except OSError as error:
        raise _network_error(where, error) from None


def _keep_alive(connection: asyncssh.SSHClientConnection) -> None:
    """By the kernel: asyncssh's own keepalive costs a timer per packet."""
    sock = connection.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _network_error(where: str, error: OSError) -> PollError:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return PollError("timeout", f"{where} did not answer")
    if isinstance(error, ConnectionRefusedError):
        return PollError("refused", f"{where} refuses connections: nothing listens there")
    if isinstance(error, socket.gaierror):
        return PollError("unresolved", f"the name of {where} does not resolve: {error.strerror}")
    if isinstance(error, ConnectionError):
        return PollError("closed", f"{where} closed the connection: {error.strerror or error}")
    return PollError("unreachable", f"{where} cannot be reached: {error.strerror or error}")
