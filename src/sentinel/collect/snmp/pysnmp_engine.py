"""pysnmp as the engine that asks: for what our own engine lacks, at a hundred times the cost.

One pysnmp engine (with its socket and its users) serves all devices of an auth. pysnmp is imported when the first
of them is asked, because that takes a while and hardly anybody needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sentinel.collect.snmp import ber
from sentinel.collect.snmp.port import SockAddress
from sentinel.config.auth import SnmpAuth

Kind = Literal["get", "get_next", "get_bulk"]

_AUTH = {
    "MD5": "USM_AUTH_HMAC96_MD5",
    "SHA": "USM_AUTH_HMAC96_SHA",
    "SHA224": "USM_AUTH_HMAC128_SHA224",
    "SHA256": "USM_AUTH_HMAC192_SHA256",
    "SHA384": "USM_AUTH_HMAC256_SHA384",
    "SHA512": "USM_AUTH_HMAC384_SHA512",
}
_PRIV = {
    "DES": "USM_PRIV_CBC56_DES",
    "3DES": "USM_PRIV_CBC168_3DES",
    "AES": "USM_PRIV_CFB128_AES",
    "AES192": "USM_PRIV_CFB192_AES_BLUMENTHAL",
    "AES256": "USM_PRIV_CFB256_AES_BLUMENTHAL",
    "AES192C": "USM_PRIV_CFB192_AES",
    "AES256C": "USM_PRIV_CFB256_AES",
}
"""pysnmp's names; without a suffix they mean Reeder's way with keys, which is Cisco's."""

_REPORTS = {
    "UnknownUserName": "unknown_user",
    "UnknownSecurityName": "unknown_user",
    "WrongDigest": "wrong_digest",
    "AuthenticationFailure": "wrong_digest",
    "AuthenticationError": "wrong_digest",
    "DecryptionError": "decryption_error",
    "EncryptionError": "decryption_error",
    "UnsupportedSecurityLevel": "unsupported_level",
    "NotInTimeWindow": "not_in_time_window",
    "UnknownEngineID": "unknown_engine",
    "EngineIDMismatch": "unknown_engine",
    "NoSuchContext": "unknown_context",
    "ReportPduReceived": "refused",
}
"""pysnmp's error indications that say that the user is refused, as our kinds of report."""

_MENDED = ("not_in_time_window", "unknown_engine")
"""What pysnmp has learned from such a report: it can help to ask again."""


class AskError(Exception):
    """A request without an answer. `reason` is one of a poll's reasons, `report` a kind of report or empty."""

    def __init__(self, reason: str, report: str = "") -> None:
        super().__init__(reason)
        self.reason, self.report = reason, report


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent answered: error-status, error-index, and OID, tag and content of each varbind."""

    status: int
    index: int
    binds: tuple[tuple[bytes, int, bytes], ...]


class PysnmpEngines:
    """pysnmp's engines, one for each auth."""

    def __init__(self) -> None:
        self._of: dict[SnmpAuth, Any] = {}

    def of(self, auth: SnmpAuth) -> Any:
        from pysnmp.entity.engine import SnmpEngine

        found = self._of.get(auth)
        if found is None:
            found = self._of[auth] = SnmpEngine()
        return found

    def close(self) -> None:
        for engine in self._of.values():
            engine.close_dispatcher()
        self._of.clear()


class PysnmpSession:
    """Requests to one device, one at a time.

    Args:
        address: as the socket wants it.
        timeout: seconds until a request is repeated.
        retries: how often it is.
    """

    def __init__(
        self, engines: PysnmpEngines, auth: SnmpAuth, address: SockAddress, *, timeout: float, retries: int
    ) -> None:
        self._engine, self._auth = engines.of(auth), auth
        self._address, self._timeout, self._retries = address, round(max(timeout, 0.1), 2), retries
        self._user = _user(auth)
        self._target: Any = None
        self.has_heard = False
        """The device has answered something."""
        self.sent = 0
        """Requests, without those that pysnmp repeats."""

    async def ask(self, kind: Kind, oids: Sequence[bytes], *, repetitions: int = 0) -> Answer:
        """One request and its answer.

        Raises:
            AskError: there was none, or none that may be believed.
        """
        try:
            return await self._ask(kind, oids, repetitions)
        except AskError as error:
            if error.report not in _MENDED:
                raise
        return await self._ask(kind, oids, repetitions)

    async def _ask(self, kind: Kind, oids: Sequence[bytes], repetitions: int) -> Answer:
        from pyasn1.error import PyAsn1Error
        from pysnmp.error import PySnmpError
        from pysnmp.hlapi.v3arch import asyncio as hlapi

        wanted = [hlapi.ObjectType(hlapi.ObjectIdentity(ber.oid_text(oid))) for oid in oids]
        context = hlapi.ContextData(contextName=self._auth.context_name.encode())
        self.sent += 1
        try:
            parties = (self._engine, self._user, await self._target_of(hlapi), context)
            if kind == "get":
                found = await hlapi.get_cmd(*parties, *wanted, lookupMib=False)
            elif kind == "get_next":
                found = await hlapi.next_cmd(*parties, *wanted, lookupMib=False)
            else:
                found = await hlapi.bulk_cmd(*parties, 0, repetitions, *wanted, lookupMib=False)
            return self._answer(*found)
        except (PySnmpError, PyAsn1Error):
            raise AskError("malformed") from None
        except OSError:
            raise AskError("unreachable") from None

    def _answer(self, indication: Any, status: Any, index: Any, binds: Any) -> Answer:
        if indication:
            kind = type(indication).__name__
            if kind == "RequestTimedOut":
                raise AskError("timeout")
            if kind in _REPORTS:
                raise AskError("auth", _REPORTS[kind])
            if kind == "OidNotIncreasing":
                self.has_heard = True
                raise AskError("not_increasing")
            raise AskError("malformed")
        self.has_heard = True
        return Answer(int(status), int(index), tuple(_bind(oid, value) for oid, value in binds))

    async def _target_of(self, hlapi: Any) -> Any:
        if self._target is None:
            kind = hlapi.Udp6TransportTarget if len(self._address) == 4 else hlapi.UdpTransportTarget
            self._target = await kind.create(self._address[:2], timeout=self._timeout, retries=self._retries)
        return self._target


def _user(auth: SnmpAuth) -> Any:
    from pysnmp.hlapi.v3arch import asyncio as hlapi

    if auth.version != 3:
        return hlapi.CommunityData(auth.community.reveal(), mpModel=auth.version - 1)
    words: dict[str, Any] = {}
    if auth.security_level != "noAuthNoPriv" and auth.password is not None:
        words |= {
            "authKey": auth.password.reveal(),
            "authProtocol": getattr(hlapi, _AUTH[auth.auth_protocol]),
        }
    if auth.security_level == "authPriv" and auth.priv_password is not None:
        words |= {
            "privKey": auth.priv_password.reveal(),
            "privProtocol": getattr(hlapi, _PRIV[auth.priv_protocol]),
        }
    return hlapi.UsmUserData(auth.username, **words)  # noqa: S509 (as the device is set up)


def _bind(oid: Any, value: Any) -> tuple[bytes, int, bytes]:
    from pyasn1.codec.ber import encoder

    _, name = _parts(encoder.encode(oid))
    return (name, *_parts(encoder.encode(value)))


def _parts(encoded: bytes) -> tuple[int, bytes]:
    """Tag and content of a value in BER."""
    size = encoded[1]
    return encoded[0], encoded[2 + (size & 0x7F if size & 0x80 else 0) :]
