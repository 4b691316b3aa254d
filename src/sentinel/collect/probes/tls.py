"""TLS of probes: whom to trust, and what a certificate says, as series."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sentinel.collect.probes.distinguished import written
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.findings import Findings
from sentinel.collect.probes.format import TlsSettings
from sentinel.collect.probes.stream import Stream

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_SPOKEN = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}
_WEAK = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
_KEY_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA", "ECDHE-PSK", "DHE-RSA", "DHE-DSS", "DHE-PSK", "RSA-PSK", "PSK")

LONGEST_CHAIN = 20
"""Certificates that are looked at."""

MOST_CHAINS = 1000
"""Chains of certificates that are remembered for each module."""

_Stamp = tuple[tuple[str, int, int], ...]


class Trust:
    """The contexts of one module: made when first needed, anew when a file they come from has changed."""

    def __init__(self, settings: TlsSettings, folder: Path, *, alpn: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._folder = folder
        self._alpn = alpn
        self._made: tuple[_Stamp, ssl.SSLContext] | None = None
        self._turn = asyncio.Lock()
        self._read: OrderedDict[bytes, Shown | None] = OrderedDict()

    def context(self) -> ssl.SSLContext:
        """
        Raises:
            ProbeFailure: a file cannot be read or used.
        """
        try:
            stamp = tuple(self._stamps())
            if self._made is None or self._made[0] != stamp:
                self._made = stamp, self._make()
        except (OSError, ssl.SSLError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ProbeFailure("tls_config", f"tls_config cannot be used: {said}") from None
        return self._made[1]

    async def secure(self, stream: Stream, host: str) -> None:
        """Start TLS with a server that must prove this name, or the one the settings have in its place.

        Raises:
            ProbeFailure: with the reason.
        """
        await stream.start_tls(self.context(), self._settings.server_name or host, self._turn)

    def shown(self, secured: ssl.SSLObject) -> Shown | None:
        """What its certificates say; read once, for they stay the same for months. None: nothing readable."""
        sent = _sent(secured)
        if not sent:
            return None
        verified = (
            [] if secured.context.verify_mode == ssl.CERT_NONE else _chain(secured, "get_verified_chain")
        )
        key = hashlib.sha256(b"".join((*sent, b"/", *verified))).digest()
        if key not in self._read:
            self._read[key] = _read(sent, verified)
            if len(self._read) > MOST_CHAINS:
                self._read.popitem(last=False)
        return self._read[key]

    def _stamps(self) -> Iterator[tuple[str, int, int]]:
        for name in (self._settings.ca_file, self._settings.cert_file, self._settings.key_file):
            if name:
                found = (self._folder / name).stat()
                yield name, found.st_mtime_ns, found.st_size

    def _make(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS[settings.min_version or "TLS12"]
        if settings.max_version:
            context.maximum_version = _VERSIONS[settings.max_version]
            if settings.min_version is None:
                context.minimum_version = min(context.minimum_version, context.maximum_version)
        if context.minimum_version in _WEAK:
            context.set_ciphers("ALL:@SECLEVEL=0")  # where else they are not spoken at all
        context.hostname_checks_common_name = False
        if settings.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif settings.ca:
            context.load_verify_locations(cadata=settings.ca)
        elif settings.ca_file:
            context.load_verify_locations(self._folder / settings.ca_file)
        else:
            context.load_default_certs()
        if settings.cert or settings.cert_file:
            with self._client_files() as (certificate, key):
                context.load_cert_chain(certificate, key, password=lambda: "")
        if self._alpn:
            context.set_alpn_protocols(list(self._alpn))
        return context

    @contextlib.contextmanager
    def _client_files(self) -> Iterator[tuple[Path, Path]]:
        """Paths of certificate and key: OpenSSL takes them only from files."""
        with contextlib.ExitStack() as stack:
            yield (
                self._path(self._settings.cert_file, self._settings.cert, stack),
                self._path(self._settings.key_file, self._settings.key.reveal(), stack),
            )

    def _path(self, name: str, text: str, stack: contextlib.ExitStack) -> Path:
        if name:
            return self._folder / name
        file = stack.enter_context(tempfile.NamedTemporaryFile("w"))  # noqa: SIM115 - the stack closes it
        file.write(text)
        file.flush()
        return Path(file.name)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the certificates of a connection say, ready to be told."""

    earliest_expiry: float
    """Unix seconds."""
    chain_expiry: float | None
    """The same of the chain that was verified; None: nothing was."""
    own: Mapping[str, str]
    """Labels of the server's own certificate."""


def tell_certificates(findings: Findings, stream: Stream, trust: Trust) -> None:
    """The series about TLS of a connection that has it."""
    secured = stream.tls
    assert secured is not None
    findings.set("probe_tls_version_info", 1, version=_SPOKEN.get(secured.version() or "", "unknown"))
    shown = trust.shown(secured)
    if shown is None:
        return
    findings.set("probe_ssl_earliest_cert_expiry", shown.earliest_expiry)
    if shown.chain_expiry is not None:
        findings.set("probe_ssl_last_chain_expiry_timestamp_seconds", shown.chain_expiry)
    findings.set("probe_ssl_last_chain_info", 1, **shown.own)


def _sent(secured: ssl.SSLObject) -> list[bytes]:
    own = secured.getpeercert(binary_form=True)
    return _chain(secured, "get_unverified_chain") or ([own] if own else [])


def _chain(secured: ssl.SSLObject, which: str) -> list[bytes]:
    """Public from Python 3.13 on; before that on the object inside, where 3.10 put it."""
    ask = getattr(secured, which, None)
    if ask is not None:
        return list(ask())[:LONGEST_CHAIN]
    ask = getattr(getattr(secured, "_sslobj", None), which, None)
    found = ask() if ask is not None else None
    return [one.public_bytes(_DER) for one in (found or ())[:LONGEST_CHAIN]]


_DER = 2
"""_ssl.ENCODING_DER"""


def _read(sent: Sequence[bytes], verified: Sequence[bytes]) -> Shown | None:
    try:
        chain = [x509.load_der_x509_certificate(one) for one in sent]
        proven = [x509.load_der_x509_certificate(one) for one in verified]
    except ValueError:  # OpenSSL is more patient with what is not quite DER
        return None
    own = chain[0]
    labels = {
        "fingerprint_sha256": hashlib.sha256(sent[0]).hexdigest(),
        "subject": _dn(own, "subject"),
        "issuer": _dn(own, "issuer"),
        "subjectalternative": ",".join(_dns_names(own)),
        "serialnumber": _serial(own),
    }
    return Shown(_earliest(chain), _earliest(proven) if proven else None, labels)


def tell_cipher(findings: Findings, stream: Stream) -> None:
    found = stream.tls.cipher() if stream.tls is not None else None
    if found is not None:
        findings.set("probe_tls_cipher_info", 1, cipher=cipher_name(found[0]))


def cipher_name(openssl: str) -> str:
    """IANA's name of a suite that OpenSSL names in its own way: ECDHE-RSA-AES128-GCM-SHA256."""
    if openssl.startswith("TLS_"):
        return openssl
    exchange = next((one for one in _KEY_EXCHANGES if openssl.startswith(f"{one}-")), "RSA")
    rest = openssl.removeprefix(f"{exchange}-")
    rest = rest.replace("AES128", "AES_128").replace("AES256", "AES_256").replace("DES-CBC3", "3DES_EDE_CBC")
    rest = rest.replace("-", "_")
    if "AES_" in rest and not any(mode in rest for mode in ("GCM", "CCM")):
        rest = rest.replace("_SHA", "_CBC_SHA", 1)
    if rest.endswith("POLY1305"):
        rest += "_SHA256"
    return f"TLS_{exchange.replace('-', '_')}_WITH_{rest}"


def _earliest(chain: Sequence[x509.Certificate]) -> float:
    return min(one.not_valid_after_utc.timestamp() for one in chain)


def _dn(certificate: x509.Certificate, which: str) -> str:
    try:
        return written(getattr(certificate, which))
    except ValueError:
        return ""


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    assert isinstance(found, x509.SubjectAlternativeName)
    return found.get_values_for_type(x509.DNSName)


def _serial(certificate: x509.Certificate) -> str:
    text = f"{certificate.serial_number:x}"
    return text if len(text) % 2 == 0 else f"0{text}"
