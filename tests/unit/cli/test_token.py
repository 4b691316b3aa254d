from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Sentinel


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text('[daemon]\ndata_dir = "data"\n')
    return str(path)


async def test_a_token_is_made_listed_and_revoked(sentinel: Sentinel, config: str, tmp_path: Path) -> None:
    made = await sentinel("token", "create", "li.wei", "--config", config)
    assert made.exit_code == 0, made.stderr
    plain = made.stdout.strip()
    assert len(plain) > 40
    assert made.stdout.count("\n") == 1
    assert plain.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    again = await sentinel("token", "create", "li.wei", "--config", config)
    assert again.exit_code == 1
    assert "already" in again.stderr
    assert (await sentinel("token", "revoke", "li.wei", "--config", config)).exit_code == 0
    assert (await sentinel("token", "revoke", "li.wei", "--config", config)).exit_code == 1
    (listed,) = json.loads((await sentinel("token", "list", "-o", "json", "--config", config)).stdout)
    assert (listed["name"], listed["role"]) == ("li.wei", "operator")
    assert listed["revoked_at"] is not None
    assert "digest" not in listed


@pytest.mark.parametrize(
    ("content", "text"),
    [("[daemon\n", ":1:"), ('[store]\nurl = "mysql://x"\n', "url"), ("", "")],
)
async def test_an_unusable_configuration_is_78(
    sentinel: Sentinel, tmp_path: Path, content: str, text: str
) -> None:
    path = tmp_path / "config.toml"
    if content:
        path.write_text(content)
    told = await sentinel("token", "list", "--config", str(path))
    assert told.exit_code == 78
    assert text in told.stderr
    assert "Traceback" not in told.stderr
