"""Opening SSH connections: options chosen once, errors turned into words."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass

import asyncssh

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.credentials import Credentials
from sentinel.collect.ssh.hostkeys import HostKeyCheck, KnownHosts, Trust
from sentinel.collect.ssh.login import Login
from sentinel.collect.ssh.reach import reach

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
        self.credentials = credentials
        has_password = credentials.password is not None
        self.base = asyncssh.SSHClientConnectionOptions(
            config=None,
            username=credentials.username,
            client_keys=_offered(credentials) or None,
            password=credentials.password,
            agent_path=None,
            known_hosts=_trusts_nobody,
            # As text, which leaves each connection the names that asyncssh holds instead of copies.
            kex_algs=",".join(_KEX),
            encryption_algs=",".join(_CIPHERS),
            mac_algs=",".join(_MACS),
            compression_algs=["none"],
            x509_trusted_certs=None,
            gss_kex=False,
            gss_auth=False,
            host_based_auth=False,
            kbdint_auth=credentials.auth.keyboard_interactive,
            public_key_auth=bool(credentials.keys) or bool(credentials.auth.agent),
            password_auth=has_password,
            connect_timeout=None,
            encoding=None,
            client_version="Sentinel",
        )


def _trusts_nobody(host: str, address: str, port: int | None) -> tuple[tuple[()], tuple[()], tuple[()]]:
    return (), (), ()


def _offered(
    credentials: Credentials,
) -> list[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]:
    """The key with its certificate first, then the bare key."""
    if credentials.certificate is None:
        return list(credentials.keys)
    return [(credentials.keys[0], credentials.certificate), credentials.keys[0]]


async def connect(
    address: Address,
    options: Options,
    turn: asyncio.Semaphore,
    until: float,
    via: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    """
    Args:
        turn: taken while keys are exchanged, which costs; not while a host is waited for that says nothing.
        until: loop time.
        via: connection to a jump host.
    Raises:
        PollError: with the reason.
    """
    where = f"{address.host}:{address.port}"
    check = HostKeyCheck(address.name, address.host, address.port, address.pinned, options.known_hosts)
    login = Login(check, options.credentials)
    try:
        sock = await reach(address.host, address.port, until) if via is None else None
        try:
            async with asyncio.timeout_at(until), turn:
                return await asyncssh.connect(
                    address.host,
                    address.port,
                    options=options.base,
                    config=None,
                    sock=sock,
                    tunnel=via,
                    known_hosts=check.trusted,
                    server_host_key_algs=",".join(check.algorithms()),
                    client_factory=lambda: login,
                )
        except BaseException:
            login.close_agent()
            if sock is not None:
                sock.close()
            raise
    except TimeoutError:
        raise PollError("timeout", f"{where} did not let Sentinel in within the poll's time") from None
    except asyncssh.ChannelOpenError as error:
        raise PollError(
            "unreachable", f"{where} cannot be reached from its jump host: {error.reason}"
        ) from None
    except asyncssh.HostKeyNotVerifiable as error:
        raise check.error(str(error)) from None
    except asyncssh.PermissionDenied as error:
        text = (
            f"{where} does not let the user in: {login.agent_problem or error}; check the auth's username and key,"
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
