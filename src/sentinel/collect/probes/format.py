"""What a probe module may say: blackbox_exporter's format, and what Sentinel adds to it (`ntp`, `description`).

Source of the format: blackbox_exporter, CONFIGURATION.md and config/config.go; prometheus/common,
config/http_config.go.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from sentinel.collect.probes.names import DnsClass, DnsName, DnsRcode, DnsType
from sentinel.collect.snmp.format import LabelName, LinePattern, Seconds
from sentinel.config.document import Written
from sentinel.config.secret import Secret
from sentinel.config.types import Size

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method or a header's name (RFC 9110 §5.6.2)."""

COMPRESSIONS = ("gzip", "deflate", "identity")
SELF_SET = frozenset(("Connection", "Content-Length", "Transfer-Encoding", "Upgrade"))
"""Headers that follow from the request itself."""


def _ip(text: str) -> str:
    if text:
        ipaddress.ip_address(text)
    return text


def _one_line(text: str) -> str:
    if any(char in text for char in "\r\n\0"):
        raise ValueError("has a line break or NUL in it")
    return text


def _size(written: Any) -> Any:
    """Sizes as Go's units.Base2Bytes takes them: 10MB and 10MiB are both 10 · 2^20 bytes."""
    text = str(written)
    return re.sub(r"(?<=[KMG])B$", "iB", text)


def _status(written: Any) -> Any:
    return () if written is None else written


def _cannot(what: str) -> BeforeValidator:
    """A key of blackbox_exporter that there is nothing behind; the value that means "not used" is taken."""

    def check(written: Any) -> None:
        if written and str(written).lower() != "false":
            raise ValueError(what)

    return BeforeValidator(check)


Ip = Annotated[str, AfterValidator(_ip)]
Line = Annotated[str, AfterValidator(_one_line)]
Protocol = Literal["ip4", "ip6"]
BodySize = Annotated[Size, BeforeValidator(_size)]
Codes = Annotated[tuple[int, ...], BeforeValidator(_status)]
TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class TlsSettings(Written):
    """tls_config: whom to trust, and what to show."""

    insecure_skip_verify: bool = False
    ca: str = ""
    """PEM text in place of ca_file."""
    ca_file: str = ""
    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    server_name: Line = ""
    min_version: TlsVersion | None = None
    max_version: TlsVersion | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for name in ("ca", "cert", "key"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"{name} and {name}_file exclude one another")
        if bool(self.cert or self.cert_file) != bool(self.key or self.key_file):
            raise ValueError("a client certificate needs both cert and key")
        return self

    @field_validator("min_version", "max_version", mode="before")
    @classmethod
    def _empty_is_default(cls, written: Any) -> Any:
        return written or None


class Reaching(Written):
    """Which address of the target is used, and from where."""

    preferred_ip_protocol: Protocol = "ip6"
    ip_protocol_fallback: bool = True

    @field_validator("preferred_ip_protocol", mode="before")
    @classmethod
    def _empty_is_ip6(cls, written: Any) -> Any:
        return written or "ip6"


class BasicAuth(Written):
    username: str = ""
    username_file: str = ""
    password: Secret = Secret("")
    password_file: str = ""


class Authorization(Written):
    type: Line = "Bearer"
    credentials: Secret = Secret("")
    credentials_file: str = ""


class HeaderMatch(Written):
    header: str = Field(min_length=1)
    regexp: LinePattern
    allow_missing: bool = False


class HttpSettings(Reaching):
    """http: one request, its redirects, and what the answer must be like."""

    valid_status_codes: Codes = ()
    """Empty: any 2xx."""
    valid_http_versions: tuple[str, ...] = ()
    method: str = "GET"
    headers: Mapping[str, Line] = Field(default_factory=dict)
    body: str = ""
    body_file: str = ""
    body_size_limit: BodySize = 0
    """Bytes of the uncompressed body; 0: 10 MiB."""
    compression: Literal["", "gzip", "deflate", "identity"] = ""
    follow_redirects: bool = True
    no_follow_redirects: bool | None = None
    """The older spelling."""
    fail_if_ssl: bool = False
    fail_if_not_ssl: bool = False
    fail_if_body_matches_regexp: tuple[LinePattern, ...] = ()
    fail_if_body_not_matches_regexp: tuple[LinePattern, ...] = ()
    fail_if_header_matches: tuple[HeaderMatch, ...] = ()
    fail_if_header_not_matches: tuple[HeaderMatch, ...] = ()
    tls_config: TlsSettings = TlsSettings()
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    bearer_token: Secret = Secret("")
    """The older spelling of authorization."""
    bearer_token_file: str = ""
    enable_http2: bool = True
    skip_resolve_phase_with_proxy: bool = False
    no_proxy: str = ""
    proxy_url: Annotated[None, _cannot("probes go straight to their target: proxies are not supported")] = (
        None
    )
    proxy_from_environment: Annotated[
        None, _cannot("probes go straight to their target: proxies are not supported")
    ] = None
    proxy_connect_header: Annotated[None, _cannot("proxies are not supported")] = None
    oauth2: Annotated[
        None,
        _cannot("OAuth 2.0 is not supported: give a token in authorization, credentials_file is read anew"),
    ] = None
    fail_if_body_json_matches_cel: Annotated[
        None, _cannot("CEL is not supported: use fail_if_body_matches_regexp")
    ] = None
    fail_if_body_json_not_matches_cel: Annotated[
        None, _cannot("CEL is not supported: use fail_if_body_not_matches_regexp")
    ] = None

    @field_validator("compression", mode="before")
    @classmethod
    def _known(cls, written: Any) -> Any:
        if written == "br":
            raise ValueError("br is not supported: use gzip, deflate or identity")
        return written

    @field_validator("valid_status_codes")
    @classmethod
    def _are_codes(cls, codes: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 100 <= code <= 999 for code in codes):
            raise ValueError("a status code has three digits")
        return codes

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if method and not TOKEN.fullmatch(method):
            raise ValueError(f"not a method: {method!r}")
        return method or "GET"

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: Mapping[str, str]) -> Mapping[str, str]:
        for name in headers:
            if not TOKEN.fullmatch(name):
                raise ValueError(f"not a header's name: {name!r}")
            if name.title() in SELF_SET:
                raise ValueError(f"{name} follows from the request and cannot be set")
        return headers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.body and self.body_file:
            raise ValueError("body and body_file exclude one another")
        if (
            sum(one is not None for one in (self.basic_auth, self.authorization))
            + bool(self.bearer_token or self.bearer_token_file)
            > 1
        ):
            raise ValueError("at most one of basic_auth, authorization and bearer_token")
        accepted = next(
            (text for name, text in self.headers.items() if name.title() == "Accept-Encoding"), None
        )
        if self.compression and accepted is not None and not _accepts(accepted, self.compression):
            raise ValueError(
                f"the header Accept-Encoding: {accepted} does not allow compression {self.compression}"
            )
        return self

    @property
    def follows(self) -> bool:
        return self.follow_redirects if self.no_follow_redirects is None else not self.no_follow_redirects


def _accepts(header: str, compression: str) -> bool:
    """Whether an Accept-Encoding header lets the server answer with this compression."""
    found: dict[str, float] = {}
    for part in header.split(","):
        name, _, parameters = part.partition(";")
        weight = re.search(r"q\s*=\s*([0-9.]+)", parameters)
        found[name.strip().lower()] = float(weight[1]) if weight else 1.0
    default = found.get("*", 1.0 if compression == "identity" else 0.0)
    return found.get(compression, default) > 0


class ExpectLabel(Written):
    name: LabelName
    value: str = ""


class QueryResponse(Written):
    """One step of a conversation: what to wait for, then what to send, then whether TLS starts."""

    expect: LinePattern | None = None
    labels: tuple[ExpectLabel, ...] = ()
    send: str = ""
    starttls: bool = False

    @field_validator("expect", mode="before")
    @classmethod
    def _empty_is_none(cls, written: Any) -> Any:
        return written or None


class TcpSettings(Reaching):
    """tcp: a connection and, if wanted, a conversation by lines."""

    source_ip_address: Ip = ""
    query_response: tuple[QueryResponse, ...] = ()
    tls: bool = False
    tls_config: TlsSettings = TlsSettings()


class IcmpSettings(Reaching):
    """icmp: one echo request."""

    source_ip_address: Ip = ""
    payload_size: int = Field(default=0, ge=0, le=65_000)
    """Bytes; 0: 28."""
    dont_fragment: bool = False
    ttl: int = Field(default=64, ge=0, le=255)
    """0: as the system has it."""


class RecordRules(Written):
    """What the records of a section must be like, each as `name TTL class type data` with tabs between."""

    fail_if_matches_regexp: tuple[LinePattern, ...] = ()
    fail_if_all_match_regexp: tuple[LinePattern, ...] = ()
    fail_if_not_matches_regexp: tuple[LinePattern, ...] = ()
    fail_if_none_matches_regexp: tuple[LinePattern, ...] = ()


class DnsSettings(Reaching):
    """dns: one question to a name server."""

    source_ip_address: Ip = ""
    transport_protocol: Literal["udp", "tcp"] = "udp"
    dns_over_tls: bool = False
    tls_config: TlsSettings = TlsSettings()
    query_name: DnsName
    query_type: DnsType = "ANY"
    query_class: DnsClass = "IN"
    recursion_desired: bool = True
    valid_rcodes: tuple[DnsRcode, ...] = ()
    """Empty: NOERROR."""
    validate_answer_rrs: RecordRules = RecordRules()
    validate_authority_rrs: RecordRules = RecordRules()
    validate_additional_rrs: RecordRules = RecordRules()

    @model_validator(mode="after")
    def _tls_needs_tcp(self) -> Self:
        if self.dns_over_tls and self.transport_protocol != "tcp":
            raise ValueError('dns_over_tls needs transport_protocol: "tcp"')
        return self


class GrpcSettings(Reaching):
    """grpc: grpc.health.v1.Health/Check."""

    service: Line = ""
    tls: bool = False
    tls_config: TlsSettings = TlsSettings()


class NtpSettings(Reaching):
    """ntp: one question for the time. Sentinel's own."""

    source_ip_address: Ip = ""
    max_stratum: int = Field(default=15, ge=1, le=15)
    """A server further from its reference clock than this fails the probe."""
    max_offset: Annotated[float, Field(gt=0)] | None = None
    """Seconds by which its clock may differ from ours, as text such as 500ms; none: any."""

    @field_validator("max_offset", mode="before")
    @classmethod
    def _duration(cls, written: Any) -> Any:
        from sentinel.collect.snmp.format import _seconds

        return None if written is None else _seconds(written)


Prober = Literal["http", "tcp", "icmp", "dns", "grpc", "ntp"]


class ModuleFile(Written):
    """One module."""

    prober: Prober
    description: str = ""
    """One line for people. Sentinel's own."""
    timeout: Seconds = 0.0
    """At most the poll's own; 0: the poll's own."""
    http: HttpSettings = HttpSettings()
    tcp: TcpSettings = TcpSettings()
    icmp: IcmpSettings = IcmpSettings()
    dns: DnsSettings | None = None
    grpc: GrpcSettings = GrpcSettings()
    ntp: NtpSettings = NtpSettings()

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.prober == "dns" and self.dns is None:
            raise ValueError("a dns module needs dns: with query_name")
        return self


class File(Written):
    modules: dict[str, ModuleFile]
