"""Which host keys are accepted: those that somebody wrote down, and no others.

A target's `host_key` decides alone; without it the auth's known_hosts file does (hashed entries, @cert-authority
and @revoked lines included). An unknown or changed key ends the connection before anything is sent through it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from sentinel.collect.collector import PollError

DEFAULT_PORT = 22

_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_CERTIFICATES = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class Trust:
    """What is trusted for one host."""

    keys: tuple[asyncssh.SSHKey, ...] = ()
    authorities: tuple[asyncssh.SSHKey, ...] = ()
    revoked: tuple[asyncssh.SSHKey, ...] = ()
    fingerprint: str = ""
    """A pinned SHA256:… in place of a key."""


def read_host_key(pinned: str) -> Trust:
    """A target's `host_key`: SHA256:… or an OpenSSH public key, with or without a host before it.

    Raises:
        ValueError: it is neither.
    """
    text = pinned.strip()
    if text.startswith("SHA256:"):
        if len(text) != len("SHA256:") + 43:
            raise ValueError("a SHA256 fingerprint has 43 characters after the colon")
        return Trust(fingerprint=text)
    fields = text.split()
    for start in (0, 1):
        try:
            key = asyncssh.import_public_key(" ".join(fields[start : start + 2]))
        except (asyncssh.KeyImportError, ValueError):
            continue
        return Trust(keys=(key,))
    raise ValueError('not a host key: write "SHA256:…" or "ssh-ed25519 AAAA…"')


class KnownHosts:
    """A known_hosts file, parsed again only when it has changed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._entries: asyncssh.SSHKnownHosts | None = None
        self._stamp: tuple[int, int] | None = None

    def trust(self, host: str, address: str, port: int) -> Trust:
        """
        Raises:
            PollError: the file cannot be read or parsed.
        """
        try:
            stat = os.stat(self.path)
            stamp = stat.st_mtime_ns, stat.st_size
            if self._entries is None or stamp != self._stamp:
                self._entries = asyncssh.read_known_hosts(self.path)
                self._stamp = stamp
        except FileNotFoundError:
            return Trust()
        except (OSError, ValueError) as error:
            text = f"known_hosts file {self.path} cannot be used: {error}"
            raise PollError("host_key", text) from None
        found = self._entries.match(host, address, port if port != DEFAULT_PORT else None)
        keys, authorities, revoked, *_ = found
        return Trust(tuple(keys), tuple(authorities), tuple(revoked))


class HostKeyCheck:
    """Judges the key of one connection attempt, and says afterwards why it was refused."""

    def __init__(
        self, name: str, host: str, port: int, pinned: Trust | None, known: KnownHosts | None
    ) -> None:
        self._name, self._host, self._port = name, host, port
        self._pinned = pinned
        self._known = known
        self._trust = self._for(host)
        self.refused: asyncssh.SSHKey | None = None

    def _for(self, address: str) -> Trust:
        if self._pinned is not None:
            return self._pinned
        if self._known is None:
            return Trust()
        return self._known.trust(self._host, address, self._port)

    def algorithms(self) -> list[str]:
        """Kinds of keys to ask for: those that are known first, or a host with several would show a strange one."""
        known: list[str] = []
        for key in self._trust.keys:
            name = key.get_algorithm()
            known += _RSA if name == "ssh-rsa" else [name]
        rest = [name for name in _ALGORITHMS if name not in known]
        certificates = list(_CERTIFICATES) if self._trust.authorities else []
        return certificates + [name for name in known if name in _ALGORITHMS] + rest

    def trusted(self, host: str, address: str, port: int | None) -> Sequence[Sequence[asyncssh.SSHKey]]:
        """What asyncssh asks once it has connected: trusted keys, authorities, revoked keys."""
        self._trust = self._for(address)
        return self._trust.keys, self._trust.authorities, self._trust.revoked

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """A key that is not among the trusted ones: only a pinned fingerprint can still accept it."""
        if self._trust.fingerprint and key.get_fingerprint("sha256") == self._trust.fingerprint:
            return True
        self.refused = key
        return False

    def error(self, detail: str) -> PollError:
        """Why the key was refused, and what a person can do."""
        where = f"{self._name} ({self._host}:{self._port})"
        if self.refused is None:
            return PollError("host_key", f"the host key of {where} is refused: {detail}")
        kind = self.refused.get_algorithm()
        fingerprint = self.refused.get_fingerprint("sha256")
        offered = f"{kind} {fingerprint}"
        if self._trust.keys or self._trust.fingerprint:
            # A line for [address]:port is found by name and by address.
            keys = dict.fromkeys(
                f"{key.get_algorithm()} {key.get_fingerprint('sha256')}" for key in self._trust.keys
            )
            known = self._trust.fingerprint or ", ".join(keys)
            text = (
                f"the host key of {where} has CHANGED: it offers {offered}, accepted is {known}. Nothing was sent."
                " Find out why first: a reinstalled host has a new key, and so has somebody in between."
                f" If it is the host, replace the old key: {self._how_to_accept(fingerprint)}"
            )
            return PollError("host_key_changed", text)
        text = (
            f"the host key of {where} is unknown: it offers {offered}. Compare it with what"
            " 'ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub' prints on the host,"
            f" then accept it: {self._how_to_accept(fingerprint)}"
        )
        return PollError("host_key", text)

    def _how_to_accept(self, fingerprint: str) -> str:
        at_target = f'host_key = "{fingerprint}" at the target'
        if self._pinned is not None or self._known is None:
            return at_target
        return f"{at_target}, or this line in {self._known.path}: {self._line()}"

    def _line(self) -> str:
        assert self.refused is not None
        host = self._host if self._port == DEFAULT_PORT else f"[{self._host}]:{self._port}"
        return f"{host} {self.refused.export_public_key('openssh').decode().strip()}"
