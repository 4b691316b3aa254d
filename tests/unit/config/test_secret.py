"""Secrets come from where they are kept and are never shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from sentinel.config.document import Written, validated
from sentinel.config.secret import Secret
from sentinel.config.toml import parse_toml
from sentinel.model.problem import UnusableError

CANARY = "canary-5ecret"


class Holder(Written):
    password: Secret


def test_no_form_of_a_secret_shows_it() -> None:
    holder = Holder(password=Secret(CANARY))
    for shown in (
        repr(holder),
        str(holder),
        f"{holder.password}",
        holder.model_dump_json(),
        str(holder.model_dump()),
    ):
        assert CANARY not in shown
    with pytest.raises(TypeError):
        pickle.dumps(holder.password)


def test_secrets_are_read_from_files_environment_and_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(CANARY + "\n")
    monkeypatch.setenv("HOLDER", CANARY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for written in (
        f'"{CANARY}"',
        f'{{file = "{tmp_path}/secret"}}',
        '{env = "HOLDER"}',
        '{credential = "secret"}',
    ):
        holder = validated(Holder, parse_toml(f"password = {written}", "c"))
        assert holder.password.reveal() == CANARY


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('{file = "/nowhere"}', "c:1:12: password: cannot read /nowhere: No such file or directory"),
        ('{env = "NOT_SET_ANYWHERE"}', "environment variable NOT_SET_ANYWHERE is not set"),
        ('{credential = "../x"}', "a credential is a name, not a path"),
        ('{vault = "x"}', 'unknown kind of secret "vault"'),
        ("3", "write a text"),
    ],
)
def test_a_missing_secret_says_what_is_missing(
    written: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(UnusableError, match=".*") as caught:
        validated(Holder, parse_toml(f"password = {written}", "c"))
    assert says in str(caught.value)


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises((UnusableError, ValidationError)) as caught:
        validated(Holder, parse_toml(f'password = {{"{CANARY}" = 1, x = 2}}', "c"))
    assert CANARY not in str(caught.value)
