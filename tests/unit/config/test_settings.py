"""The example configuration documents every key and loads; what does not fit together is refused."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from docs.build import configuration_reference
from pydantic import BaseModel

from sentinel.config.address import split_address, split_place
from sentinel.config.auth import SnmpAuth, SshAuth
from sentinel.config.document import validated
from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import SpanSettings, TimeIntervalSettings, TimesSettings
from sentinel.config.notify import AnyReceiver, RouteSettings
from sentinel.config.settings import Settings, TargetSettings, load_settings
from sentinel.config.sweeps import SweepSettings
from sentinel.config.toml import parse_toml
from sentinel.model.problem import UnusableError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config.example.toml"
REFERENCE = ROOT / "docs/reference/configuration.md"

RECEIVERS = get_args(AnyReceiver)
MUTING = (TimeIntervalSettings, SpanSettings, TimesSettings, InhibitSettings)
TABLES = (
    SnmpAuth,
    SshAuth,
    TargetSettings,
    SweepSettings,
    RouteSettings,
    HeartbeatSettings,
    *MUTING,
    *RECEIVERS,
)


def _models() -> Iterator[type[BaseModel]]:
    yield from TABLES
    for info in Settings.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield info.annotation


def _keys() -> Iterator[tuple[type[BaseModel], str]]:
    for model in _models():
        for name, info in model.model_fields.items():
            yield model, info.alias or name


def test_the_example_loads_as_it_is() -> None:
    assert load_settings(EXAMPLE).target[0].modules == ("local",)


def test_the_example_loads_with_every_key_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r'env = "(\w+)"', EXAMPLE.read_text()):
        monkeypatch.setenv(name, "http://127.0.0.1/of-some-length")
    (tmp_path / "secret").write_text("http://127.0.0.1/")
    text = re.sub(r"^#(?=[\[a-z])", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    text = re.sub(r'file = "/etc/[^"]*"', f'file = "{tmp_path}/secret"', text)
    settings = validated(Settings, parse_toml(text, "example"))
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in RECEIVERS}
    assert {receiver.kind for receiver in settings.receiver} == kinds


@pytest.mark.parametrize(("model", "key"), sorted(_keys(), key=str))
def test_every_key_stands_in_the_example(model: type[BaseModel], key: str) -> None:
    name = re.escape(key)
    written = rf"(?m)^#?{name} = |[{{ ]{name} = |^#?\[\[(\w+\.)*{name}\]\]$"
    assert re.search(written, EXAMPLE.read_text()), model


def test_the_reference_says_what_the_settings_say() -> None:
    """Every key carries a text; `make docs` writes them down."""
    assert REFERENCE.read_text() == configuration_reference()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[web]\nlisten = "0.0.0.0:9788"', "c:1:2: web: listening on 0.0.0.0 lets anybody read"),
        ('[web]\nlisten = "9788"', "c:2:11: listen: not an IP address with a port"),
        ('[daemon]\ntimezone = "Mars/North"', "c:2:13: timezone: unknown time zone"),
        ('[collect]\ninterval = "10 s"', "c:2:13: interval: not a duration"),
        (
            '[[target]]\nname = "a"\naddress = "-oProxyCommand=x"\nmodules = ["local"]',
            "c:3:12: address: not a host",
        ),
        ('[[target]]\nname = "a"\naddress = "$(id)"\nmodules = ["local"]', "c:3:12: address: not a host"),
        ('[[target]]\nname = "a/b"\naddress = "x"\nmodules = ["local"]', "c:2:9: name: may not contain"),
        ('[colect]\ninterval = "10s"', "c:1:2: unknown key 'colect' (did you mean 'collect'?)"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(text: str, problem: str) -> None:
    with pytest.raises(UnusableError) as caught:
        validated(Settings, parse_toml(text, "c"))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("web1", ("web1", None)),
        ("web1:2222", ("web1", 2222)),
        ("192.0.2.1:161", ("192.0.2.1", 161)),
        ("[2001:db8::1]:161", ("2001:db8::1", 161)),
        ("2001:db8::1", ("2001:db8::1", None)),
    ],
)
def test_addresses_split_into_host_and_port(written: str, parts: tuple[str, int | None]) -> None:
    assert split_address(written) == parts


@pytest.mark.parametrize("written", ["", "a b", "a;b", "a:0", "a:70000", "[::1", "../x", "a\n", "ünï"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        split_address(written)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("https://a.example.org", ("a.example.org", None)),
        ("http://192.0.2.1:8080/a/b?c=d&e=%20", ("192.0.2.1", 8080)),
        ("https://[2001:db8::1]:8443/", ("2001:db8::1", 8443)),
        ("a.example.org:25", ("a.example.org", 25)),
    ],
)
def test_places_are_addresses_or_urls(written: str, parts: tuple[str, int | None]) -> None:
    assert split_place(written) == parts


@pytest.mark.parametrize(
    "written",
    [
        "ftp://a.example.org/",
        "https://",
        "https:///x",
        "https://user:word@a.example.org/",
        "https://a.example.org/#top",
        "https://a.example.org/a b",
        "https://a.example.org/\r\nX: y",
        "https://a.example.org:0/",
        "https://ünï.example.org/",
        "https://a;b/",
        "https://[::1/",
    ],
)
def test_what_is_no_place_to_probe_is_refused(written: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says what is wrong in its own words
        split_place(written)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("", "http://127.0.0.1:9788"),
        ('[web]\nlisten = "127.0.0.1:9799"', "http://127.0.0.1:9799"),
        ('[web]\nlisten = "[::1]:9799"', "http://[::1]:9799"),
        ('[web]\nlisten = "0.0.0.0:80"\nallow_remote = true', f"http://{socket.gethostname()}:80"),
        ('[daemon]\nexternal_url = "https://a.example/"\n[web]\nlisten = "127.0.0.1:1"', "https://a.example"),
    ],
)
def test_the_address_in_messages_is_that_of_the_pages(tmp_path: Path, written: str, url: str) -> None:
    file = tmp_path / "sentinel.toml"
    file.write_text(written)
    assert load_settings(file).external_url == url
