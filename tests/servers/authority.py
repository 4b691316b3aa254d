"""A certificate authority of the tests, with an intermediate one, and the certificates it gives."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Signer:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class Authority:
    """Root and intermediate certificates in a folder; `root` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.datetime.now(datetime.UTC)
        self._root = self._signer("Root of the tests", None, 3650)
        self._middle = self._signer("Intermediate, of the tests", self._root, 20)
        self.root = folder / "root.pem"
        self.root.write_bytes(self._root.certificate.public_bytes(Encoding.PEM))

    def server(
        self, *names: str, days: float = 10, since: float = 1, is_self_signed: bool = False
    ) -> ssl.SSLContext:
        """A server's context with a certificate for these names and addresses, its chain included.

        Args:
            days: until it ends; may lie in the past.
            since: days that it has been valid for.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.files(*names, days=days, since=since, is_self_signed=is_self_signed))
        return context

    def files(
        self, *names: str, days: float = 10, since: float = 1, is_self_signed: bool = False
    ) -> tuple[Path, Path]:
        """Certificate chain and key, as PEM files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(names[0])
        signer = None if is_self_signed else self._middle
        built = (
            self._builder(subject, signer.name if signer else subject, key, days, since)
            .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                False,
            )
            .sign(signer.key if signer else key, hashes.SHA256())
        )
        chain = [built, *([] if signer is None else [signer.certificate])]
        stem = f"{len(list(self._folder.iterdir()))}"
        certificate, private = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private

    def _signer(self, name: str, above: _Signer | None, days: float) -> _Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._builder(subject, above.name if above else subject, key, days, 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(above.key if above else key, hashes.SHA256())
        )
        return _Signer(subject, key, certificate)

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        days: float,
        since: float,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - since * DAY)
            .not_valid_after(self._now + days * DAY)
        )


def _subject(name: str) -> x509.Name:
    """With all that makes names hard to write: several of a kind, signs of the form's own, kinds nobody knows."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme, Söhne + Co"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "north"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "south "),
            x509.NameAttribute(NameOID.COMMON_NAME, f"#{name}"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org"),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example"),
        ]
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
