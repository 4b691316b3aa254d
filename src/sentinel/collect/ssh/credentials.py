"""Keys, parsed once."""

from __future__ import annotations

import os
from dataclasses import dataclass

import asyncssh

from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret


class CredentialError(ValueError):
    """An auth that cannot prove anything; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Ready to offer. Never printed: the parsed key has no text form, the password is shown as ***."""

    username: str
    keys: tuple[asyncssh.SSHKey, ...]
    certificate: asyncssh.SSHCertificate | None
    auth: SshAuth

    @property
    def password(self) -> str | None:
        return self.auth.password.reveal() if self.auth.password is not None else None

    @property
    def agent(self) -> str:
        """Path of the agent's socket; empty: none is to be asked."""
        chosen = self.auth.agent
        return os.environ.get("SSH_AUTH_SOCK", "") if chosen is True else chosen or ""


def read_credentials(auth: SshAuth) -> Credentials:
    """
    Raises:
        CredentialError: the private key or its certificate cannot be used.
    """
    if auth.key is None:
        return Credentials(auth.username, (), None, auth)
    key = _key(auth)
    certificate = _certificate(auth.certificate, key) if auth.certificate is not None else None
    return Credentials(auth.username, (key,), certificate, auth)


def auth_problem(auth: SshAuth) -> str:
    """Why the auth cannot be used, or an empty string; for checks before anything runs."""
    try:
        read_credentials(auth)
    except CredentialError as error:
        return str(error)
    return ""


def _key(auth: SshAuth) -> asyncssh.SSHKey:
    assert auth.key is not None
    passphrase = auth.passphrase.reveal() if auth.passphrase is not None else None
    try:
        return asyncssh.import_private_key(auth.key.reveal(), passphrase)
    except asyncssh.KeyEncryptionError as error:
        if "bcrypt" in str(error):
            raise CredentialError(
                "key: its encryption needs the Python package bcrypt; install it, or rewrite the key with"
                " 'ssh-keygen -p -m PKCS8 -f FILE'"
            ) from None
        raise CredentialError(_passphrase_text(has_one=passphrase is not None)) from None
    except (asyncssh.KeyImportError, ValueError) as error:
        text = str(error).lower()
        if "passphrase" in text or "decrypt" in text:
            raise CredentialError(_passphrase_text(has_one=passphrase is not None)) from None
        raise CredentialError(
            "key: not a private key in OpenSSH or PEM form (is it the .pub file, or cut off?)"
        ) from None


def _certificate(text: Secret, key: asyncssh.SSHKey) -> asyncssh.SSHCertificate:
    try:
        certificate = asyncssh.import_certificate(text.reveal())
    except (asyncssh.KeyImportError, ValueError):
        raise CredentialError(
            "certificate: not the text of a -cert.pub file, as ssh-keygen -s writes it"
        ) from None
    if certificate.key.public_data != key.public_data:
        raise CredentialError("certificate: belongs to another key")
    return certificate


def _passphrase_text(*, has_one: bool) -> str:
    return "passphrase: does not open the key" if has_one else "key: is encrypted: give its passphrase too"
