"""[auth.NAME]: how targets let Sentinel in. Auth stands apart from modules: any module goes with any auth."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sentinel.config.document import Written
from sentinel.config.secret import Secret


class SnmpAuth(Written):
    """SNMP community (v1, v2c) or user (v3), in snmp_exporter's words."""

    kind: Literal["snmp"]
    version: Literal[1, 2] = 2
    """Protocol version; 2 means 2c."""
    community: Secret = Secret("public")
    """Community string; sent in the clear, so treat it as a name rather than a password."""


class SshAuth(Written):
    """SSH user, and what proves it."""

    kind: Literal["ssh"]
    username: str = Field(min_length=1)
    """User to log in as; it needs no privileges."""
    key: Secret | None = None
    """Private key, in OpenSSH or PEM form."""
    passphrase: Secret | None = None
    """Passphrase of the private key."""
    password: Secret | None = None
    """Password, where a site insists; a key is better."""
    known_hosts: str | None = None
    """File of accepted host keys; without one, every target needs `host_key`."""

    @model_validator(mode="after")
    def _has_proof(self) -> Self:
        if self.key is None and self.password is None:
            raise ValueError("needs key or password")
        return self


Auth = Annotated[SnmpAuth | SshAuth, Field(discriminator="kind")]
