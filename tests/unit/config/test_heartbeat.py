"""What [[heartbeat]] may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.model.problem import UnusableError
from sentinel.reload import build

URL = "https://hc.example.org/ping/token-of-some-length"


def written(**more: Any) -> HeartbeatSettings:
    return HeartbeatSettings.model_validate({"name": "hc", "url": URL} | more)


def test_a_short_period_has_a_short_timeout() -> None:
    assert written(every="2s").timeout == 2.0
    assert written().timeout == 10.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", "500ms"),
        ("every", "11m"),
        ("timeout", "2m"),
        ("timeout", "31s"),
        ("method", "PUT"),
        ("url", "ftp://example.org/"),
        ("url", "https://example.org/\r\nX: y"),
        ("success", "("),
        ("headers", {"Host": "x"}),
        ("headers", {"X": "a\r\nb"}),
        ("client_key", "/k.pem"),
        ("name", "a\nb"),
    ],
)
def test_what_cannot_be_is_refused_without_the_address(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        written(**{key: value})
    assert "token-of-some-length" not in "; ".join(error["msg"] for error in caught.value.errors())


CONFIG = """
[rules]
files = []
[collect]
collectors = []
[notify]
networks = ["192.0.2.0/24"]
[[heartbeat]]
name = "a"
url = "http://127.0.0.1/x"
[[heartbeat]]
name = "b"
url = "http://192.0.2.1/x"
ca_file = "/nowhere.pem"
[[heartbeat]]
name = "b"
url = "http://192.0.2.1/x"
"""


def test_addresses_outside_the_networks_and_names_given_twice_are_refused_at_their_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    with pytest.raises(UnusableError) as caught:
        build(tmp_path / "config.toml")
    first, second, third = (str(one) for one in caught.value.problems)
    assert ":9:9: heartbeat 'a' cannot be used: 127.0.0.1 lies where receivers may not send" in first
    assert ":12:9: heartbeat 'b' cannot be used: No such file" in second
    assert ":16:9: heartbeat 'b' is given twice" in third
