"""[auth.NAME]: how targets let Sentinel in. Auth stands apart from modules: any module goes with any auth."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sentinel.config.document import Written
from sentinel.config.jump import Jump
from sentinel.config.secret import Secret

SecurityLevel = Literal["noAuthNoPriv", "authNoPriv", "authPriv"]
AuthProtocol = Literal["MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"]
PrivProtocol = Literal["DES", "AES", "AES192", "AES256", "AES192C", "AES256C"]


class SnmpAuth(Written):
    """SNMP community (v1, v2c) or user (v3), in snmp_exporter's words."""

    kind: Literal["snmp"]
    version: Literal[1, 2, 3] = 2
    """Protocol version; 2 means 2c."""
    community: Secret = Secret("public")
    """Community string (1 and 2c); sent in the clear, so treat it as a name rather than a password."""
    username: str = Field(default="", max_length=255)
    """User (3); what follows belongs to it."""
    security_level: SecurityLevel = "noAuthNoPriv"
    """What protects messages: `noAuthNoPriv` (nothing), `authNoPriv` (signed), `authPriv` (also encrypted)."""
    password: Secret | None = None
    """Password for signing; devices want eight characters or more."""
    auth_protocol: AuthProtocol = "MD5"
    """How messages are signed: `MD5`, `SHA`, `SHA224`, `SHA256`, `SHA384` or `SHA512`."""
    priv_password: Secret | None = None
    """Password for encryption."""
    priv_protocol: PrivProtocol | Literal["3DES"] = "DES"
    """How messages are encrypted: `DES`, `AES`, `AES192`, `AES256`; `AES192C`, `AES256C`: Cisco's way with keys;
    `3DES` with engine = "pysnmp"."""
    context_name: str = Field(default="", max_length=255)
    """Context (3) to ask in; most devices have only the nameless one."""
    engine: Literal["own", "pysnmp"] = "own"
    """What asks: `own`, or `pysnmp` for what our own engine lacks, at a hundred times the CPU time."""

    @model_validator(mode="after")
    def _has_what_its_level_needs(self) -> Self:
        if self.version != 3:
            return self
        if not self.username:
            raise ValueError("version 3 needs username")
        if self.security_level != "noAuthNoPriv" and not self.password:
            raise ValueError(f"{self.security_level} needs password")
        if self.security_level == "authPriv" and not self.priv_password:
            raise ValueError("authPriv needs priv_password")
        if self.priv_protocol == "3DES" and self.engine != "pysnmp":
            raise ValueError('priv_protocol 3DES needs engine = "pysnmp"')
        return self


class SshAuth(Written):
    """SSH user, and what proves it."""

    kind: Literal["ssh"]
    username: str = Field(min_length=1)
    """User to log in as; it needs no privileges."""
    key: Secret | None = None
    """Private key, in OpenSSH or PEM form."""
    passphrase: Secret | None = None
    """Passphrase of the private key."""
    certificate: Secret | None = None
    """User certificate that belongs to the private key: the text of its -cert.pub file."""
    agent: bool | str = False
    """Offer the keys of an ssh-agent too: true (the one SSH_AUTH_SOCK names) or the path of its socket."""
    password: Secret | None = None
    """Password, where a site insists; a key is better."""
    keyboard_interactive: bool = False
    """Answer the first hidden question of a keyboard-interactive login with the password."""
    known_hosts: str | None = None
    """File of accepted host keys; without one, every target needs `host_key`."""
    jump: Jump = ()
    """Hosts to go through, nearest first: addresses, or tables {address, auth, host_key}; as ProxyJump."""

    @model_validator(mode="after")
    def _has_proof(self) -> Self:
        if self.key is None and self.password is None and not self.agent:
            raise ValueError("needs key, agent or password")
        if self.certificate is not None and self.key is None:
            raise ValueError("certificate needs key: the private key that it belongs to")
        if self.keyboard_interactive and self.password is None:
            raise ValueError("keyboard_interactive needs password")
        return self


Auth = Annotated[SnmpAuth | SshAuth, Field(discriminator="kind")]
