"""The settings tree: what config.toml may say. The docstring under each key is its reference text."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from sentinel.config.address import is_loopback, split_listen, split_place
from sentinel.config.auth import Auth
from sentinel.config.document import Document, Written, validated
from sentinel.config.files import read_text
from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intake import IntakeSettings
from sentinel.config.intervals import TimeIntervalSettings
from sentinel.config.jump import Jump
from sentinel.config.notify import RESOLVE_TIMEOUT, NotifySettings, ReceiverSettings, RouteSettings
from sentinel.config.remote import RemoteWriteSettings
from sentinel.config.store import StoreSettings
from sentinel.config.sweeps import SweepSettings
from sentinel.config.toml import parse_toml
from sentinel.config.traps import Network, TrapsSettings
from sentinel.config.types import Duration, LabelName, PositiveDuration, Size, Zone
from sentinel.config.uplink import UplinkSettings


def _web_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a whole address such as https://sentinel.example.org/")
    return written.rstrip("/")


class DaemonSettings(Written):
    """[daemon]: the daemon as a whole."""

    data_dir: Path = Path("/var/lib/sentinel")
    """Folder for the database and its backups; relative to this file."""
    timezone: Zone = ZoneInfo("UTC")
    """Time zone of calendars, pages and messages, as an IANA name."""
    language: Literal["en", "zh-CN"] = "en"
    """Language of pages and messages."""
    external_url: Annotated[str, AfterValidator(_web_url)] = ""
    """Address under which people reach the pages; used in messages. Without it that of [web] listen."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""


class WebSettings(Written):
    """[web]: pages, API and /metrics."""

    listen: str = "127.0.0.1:9788"
    """Address and port; IPv6 as "[::1]:9788"."""
    allow_remote: bool = False
    """Listen beyond loopback. Reading needs no log-in yet, so put a proxy with authentication in front."""
    allowed_hosts: tuple[str, ...] = ()
    """Further host names under which browsers may address the pages."""
    snmp_targets: tuple[Network, ...] = ()
    """Networks in which /snmp may poll any address; without them only the addresses of targets."""
    probe_targets: tuple[Network, ...] = ()
    """Networks into which /probe may go beside the addresses of targets; never loopback, link-local or metadata."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, written: str) -> str:
        split_listen(written)
        return written

    @model_validator(mode="after")
    def _stays_local(self) -> Self:
        host, _ = split_listen(self.listen)
        if not is_loopback(host) and not self.allow_remote:
            raise ValueError(f"listening on {host} lets anybody read; set allow_remote = true if you mean it")
        return self

    @property
    def address(self) -> tuple[str, int]:
        return split_listen(self.listen)


class HistorySettings(Written):
    """[history]: how long samples are kept."""

    memory: PositiveDuration = 3600.0
    """How much of every series stays in memory for rules and queries; at most 2h."""
    disk: bool = True
    """Keep samples on disk: for queries that look further back, and to go on after a restart."""
    folder: Path = Path("history")
    """Where, relative to data_dir."""
    retention: PositiveDuration = 30 * 86400.0
    """How long samples stay on disk; at least as long as in memory."""
    max_size: Size = 20 << 30
    """How much of the disk they may take; the oldest go first."""
    keep_free: Size = 256 << 20
    """How much of the file system is left to others: with less, writing pauses."""
    remote_write: tuple[RemoteWriteSettings, ...] = ()
    """Other stores that get every sample."""

    @property
    def reach(self) -> float:
        """How far back rules may look, in seconds."""
        return self.retention if self.disk else self.memory

    @field_validator("memory")
    @classmethod
    def _fits(cls, seconds: float) -> float:
        if not 600 <= seconds <= 7200:
            raise ValueError("must be between 10m and 2h")
        return seconds

    @model_validator(mode="after")
    def _keeps_long_enough(self) -> Self:
        if self.retention < self.memory:
            raise ValueError("retention must be at least as long as memory")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [one.name for one in self.remote_write]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"remote_write '{twice}' is given twice")
        return self


class CollectSettings(Written):
    """[collect]: defaults of all polls, and the module files."""

    interval: PositiveDuration = 60.0
    """Time between two polls of a target's module."""
    timeout: PositiveDuration = 10.0
    """How long one poll may take; at most the interval."""
    concurrency: int = Field(default=500, ge=1, le=100_000)
    """How many polls may run at the same time."""
    ssh_connects: int = Field(default=20, ge=1, le=1000)
    """How many SSH connections may be set up at the same time."""
    collectors: tuple[str, ...] = ("collectors/**/*.yml",)
    """Module files (patterns): Sentinel's own and snmp_exporter's snmp.yml; relative to this file."""


class TargetSettings(Written):
    """[[target]]: one server or device."""

    name: str = Field(min_length=1, max_length=200)
    """Unique name; becomes the label `instance`."""
    address: str = Field(min_length=1, max_length=2048)
    """HOST or HOST:PORT, IPv6 as [ADDRESS]:PORT; for probe modules also a URL (https://HOST/PATH)."""
    modules: tuple[str, ...] = Field(min_length=1)
    """Modules to poll it with; each becomes a `job`."""
    auth: tuple[str, ...] | str = ()
    """Name of the [auth.NAME] to use, or a list of them (each module takes the first of its kind)."""
    host_key: str = ""
    """Pinned SSH host key: "SHA256:…" or "ssh-ed25519 AAAA…"; without it known_hosts decides."""
    jump: Jump | None = None
    """Hosts to go through over SSH, in place of the auth's `jump`; empty: straight there."""
    labels: dict[LabelName, str] = Field(default_factory=dict)
    """Further labels of all its series, such as site."""
    interval: PositiveDuration | None = None
    """Time between polls, in place of [collect] interval."""
    timeout: PositiveDuration | None = None
    """Time for one poll, in place of [collect] timeout."""
    criticality: int = Field(default=3, ge=1, le=5)
    """1 to 5; 5 means that a core service stops without it. Weighs into the grade of incidents."""
    owner: str = ""
    """Person or unit it belongs to."""
    team: str = ""
    """Team that looks after it."""
    parent: tuple[str, ...] | str = ()
    """Targets on the way to it; it can be reached while any one of them can."""

    @field_validator("name")
    @classmethod
    def _is_plain(cls, name: str) -> str:
        if any(ord(char) < 32 or char == "/" for char in name):
            raise ValueError("may not contain '/' or control characters")
        return name

    @field_validator("address")
    @classmethod
    def _is_host(cls, address: str) -> str:
        split_place(address)
        return address

    @field_validator("labels")
    @classmethod
    def _leaves_identity_alone(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in ("instance", "job"):
            if name in labels:
                raise ValueError(f"'{name}' is set by Sentinel (target name and module)")
        return labels


class DiscoverySettings(Written):
    """[discovery]: targets kept in files of their own."""

    files: tuple[str, ...] = ()
    """TOML files (patterns) with further [[target]] tables; relative to this file."""
    sweeps: tuple[SweepSettings, ...] = ()
    """[[discovery.sweeps]]: networks that are searched for new devices by the calendar."""


class RulesSettings(Written):
    """[rules]: what is judged, and how often."""

    files: tuple[str, ...] = ("rules/*.yml",)
    """Rule files in Prometheus' format (patterns); relative to this file."""
    interval: PositiveDuration = 15.0
    """Time between two evaluations of a group that does not say otherwise."""
    external_labels: dict[LabelName, str] = Field(default_factory=dict)
    """Labels that templates see as $externalLabels."""


class CareSettings(Written):
    """[care]: what the daemon does for itself at night."""

    backup_at: str = Field(default="02:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """Time of day of the database backup, in the daemon's time zone."""
    backups: int = Field(default=14, ge=1, le=1000)
    """How many backups are kept."""
    restart_grace: Duration = 120.0
    """How long after a start an alert that is restored waits for its first fresh data before it turns unknown."""


class Settings(Written):
    """The whole configuration file."""

    daemon: DaemonSettings = DaemonSettings()
    web: WebSettings = WebSettings()
    store: StoreSettings = StoreSettings()
    history: HistorySettings = HistorySettings()
    intake: IntakeSettings = IntakeSettings()
    collect: CollectSettings = CollectSettings()
    auth: dict[str, Auth] = Field(default_factory=dict)
    target: tuple[TargetSettings, ...] = ()
    discovery: DiscoverySettings = DiscoverySettings()
    uplink: UplinkSettings = UplinkSettings()
    traps: TrapsSettings = TrapsSettings()
    rules: RulesSettings = RulesSettings()
    route: RouteSettings | None = None
    receiver: tuple[ReceiverSettings, ...] = ()
    time_interval: tuple[TimeIntervalSettings, ...] = ()
    inhibit: tuple[InhibitSettings, ...] = ()
    notify: NotifySettings = NotifySettings()
    heartbeat: tuple[HeartbeatSettings, ...] = ()
    care: CareSettings = CareSettings()

    @property
    def resolve_timeout(self) -> float:
        """Seconds for which a received alert without an end is believed."""
        written = self.route.resolve_timeout if self.route is not None else None
        return written if written is not None else RESOLVE_TIMEOUT

    @property
    def external_url(self) -> str:
        """Where people reach the pages; no slash at the end."""
        if self.daemon.external_url:
            return self.daemon.external_url
        host, port = self.web.address
        if not host.strip("0.:"):  # every address of this machine
            host = socket.gethostname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def load_settings(path: Path) -> Settings:
    """The configuration file alone, without the files it names.

    Raises:
        UnusableError: every problem found, at its place.
    """
    return load_document(path)[0]


def load_document(path: Path) -> tuple[Settings, Document]:
    """The same with the places of everything in it."""
    document = parse_toml(read_text(path), str(path))
    return validated(Settings, document), document
