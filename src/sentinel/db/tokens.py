"""Access tokens. The plain text is shown once; the table holds its SHA-256.

A plain digest is enough, as the text is 256 random bits and cannot be guessed from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import DBAPIError

from sentinel.db.audit import write_audit
from sentinel.db.database import Database
from sentinel.db.tables import token

Role = Literal["viewer", "sender", "operator", "admin"]
"""A sender may hand in samples (/api/v1/write), and nothing else."""
PREFIX = "snt_"
MAX_NAME = 100
USED_EVERY = 60.0
"""Seconds: how exactly last use is remembered."""


class TokenError(ValueError):
    """The token cannot be made or is not there."""


@dataclass(frozen=True, slots=True)
class Token:
    """Instants are Unix seconds."""

    name: str
    role: Role
    created_at: float
    created_by: str
    last_used_at: float | None
    revoked_at: float | None


async def create_token(db: Database, name: str, role: str = "operator", *, actor: str) -> str:
    """A new token's plain text: it cannot be shown again.

    Raises:
        TokenError: the name is taken or not usable, or there is no such role.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable() or name != name.strip():
        raise TokenError(f"a token needs a name of 1 to {MAX_NAME} printable characters")
    if role not in get_args(Role):
        raise TokenError(f"no such role: {role!r} (viewer, sender, operator or admin)")
    plain = PREFIX + secrets.token_urlsafe(32)
    at = db.clock.now()
    async with db.transaction() as connection:
        taken = select(exists().where(token.c.name == name, token.c.revoked_at.is_(None)))
        if (await connection.execute(taken)).scalar():
            raise TokenError(f"there is a token named {name!r} already: revoke it first")
        row = {"name": name, "role": role, "digest": digest(plain), "created_at": at, "created_by": actor}
        await connection.execute(insert(token), [row])
        await write_audit(
            connection, at=at, actor=actor, action="token.create", subject=f"token {name}", detail=role
        )
    return plain


async def verify_token(db: Database, plain: str) -> Token | None:
    """The valid token with this text, or None."""
    if not plain.startswith(PREFIX) or len(plain) > 200 or not plain.isascii():
        return None
    query = select(token).where(token.c.digest == digest(plain), token.c.revoked_at.is_(None))
    async with db.reading() as connection:
        row = (await connection.execute(query)).mappings().first()
    if row is None:
        return None
    now = db.clock.now()
    if row["last_used_at"] is None or now - row["last_used_at"] >= USED_EVERY:
        with contextlib.suppress(DBAPIError):  # a busy database keeps nobody out
            async with db.transaction() as connection:
                await connection.execute(
                    update(token).where(token.c.id == row["id"]).values(last_used_at=now)
                )
    return _token(dict(row))


async def list_tokens(db: Database) -> list[Token]:
    """All tokens, revoked ones included, in the order of their making."""
    async with db.reading() as connection:
        rows = (await connection.execute(select(token).order_by(token.c.id))).mappings()
        return [_token(dict(row)) for row in rows]


async def revoke_token(db: Database, name: str, *, actor: str) -> None:
    """
    Raises:
        TokenError: there is no valid token of that name.
    """
    at = db.clock.now()
    async with db.transaction() as connection:
        valid = (token.c.name == name, token.c.revoked_at.is_(None))
        if not (await connection.execute(select(exists().where(*valid)))).scalar():
            raise TokenError(f"there is no valid token named {name!r}")
        await connection.execute(update(token).where(*valid).values(revoked_at=at))
        await write_audit(connection, at=at, actor=actor, action="token.revoke", subject=f"token {name}")


def digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def _token(row: dict[str, object]) -> Token:
    return Token(
        name=cast("str", row["name"]),
        role=cast("Role", row["role"]),
        created_at=cast("float", row["created_at"]),
        created_by=cast("str", row["created_by"]),
        last_used_at=cast("float | None", row["last_used_at"]),
        revoked_at=cast("float | None", row["revoked_at"]),
    )
