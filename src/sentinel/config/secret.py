"""Secrets: read from where they are kept, never printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

MAX_SECRET_BYTES = 64 * 1024


class Secret:
    """A text that no log, page, error or traceback shows. `reveal` is called where it is used, nowhere else."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: "***")
        )


def _read(written: Any) -> Secret:
    if isinstance(written, Secret):
        return written
    if isinstance(written, str):
        return Secret(written)
    if not isinstance(written, dict) or len(written) != 1:
        raise ValueError('write a text, {file = "…"}, {env = "…"} or {credential = "…"}')
    (kind, where), *_ = written.items()
    if not isinstance(where, str) or not where:
        raise ValueError(f"{kind} must name something")
    if kind == "env":
        if where not in os.environ:
            raise ValueError(f"environment variable {where} is not set")
        return Secret(os.environ[where])
    if kind == "file":
        return _from_file(Path(where))
    if kind == "credential":
        return _from_credential(where)
    raise ValueError(f'unknown kind of secret "{kind}": use file, env or credential')


def _from_credential(name: str) -> Secret:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ValueError("there are no systemd credentials here (CREDENTIALS_DIRECTORY is not set)")
    if Path(name).name != name:
        raise ValueError("a credential is a name, not a path")
    return _from_file(Path(folder) / name)


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"{path} is larger than {MAX_SECRET_BYTES} bytes")
    try:
        return Secret(content.decode().rstrip("\n"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
