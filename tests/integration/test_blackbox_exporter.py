"""Beside Debian's blackbox_exporter (0.23): the same modules and the same services must give the same series.

Both read one file and ask the same servers. Values are equal too, durations aside.

| differs | why |
|---|---|
| `probe_tls_cipher_info`, label `serialnumber` | later versions of blackbox_exporter have them |
| `probe_ssl_last_chain_expiry_timestamp_seconds` without verification | there the year 1, here left out |
| `sentinel_probe_failed` | says why; blackbox_exporter tells only its log |
| `probe_ssl_earliest_cert_expiry` of grpc without TLS | there 0, as if expired long ago; here left out |
| `probe_ssl_last_chain_expiry_timestamp_seconds` of grpc | not told there |
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sentinel.collect.drivers import Drivers
from sentinel.collect.modules import load_modules
from sentinel.collect.probes.resolve import anywhere
from sentinel.config.address import is_url, split_place
from sentinel.model.labels import METRIC_NAME, Labels
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock
from tests.servers.authority import Authority
from tests.servers.blackbox_exporter import BlackboxExporter
from tests.servers.outside import Http2, Web, answering, health, page, talking, zone, zone_by_tcp

Series = dict[Labels, float]

LATER_LABEL = "serialnumber"
ONLY_HERE = ("probe_tls_cipher_info", "sentinel_probe_failed")
CHAIN_END = "probe_ssl_last_chain_expiry_timestamp_seconds"

TRUST = {"ca_file": "root.pem"}
SKIP = {"insecure_skip_verify": True}
PREFER = {"preferred_ip_protocol": "ip4"}
DIALOGUE = [
    {"expect": "^220 ([^ ]+) (.*)$", "send": "EHLO ${1}"},
    {"expect": "^250 hello mail.example.org", "send": "STARTTLS"},
    {"expect": "^220", "starttls": True},
    {"send": "EHLO again"},
    {"expect": "^250 "},
]

MODULES: dict[str, dict[str, object]] = {
    "http": {"prober": "http", "http": {"tls_config": TRUST, "preferred_ip_protocol": "ip4"}},
    "http_skip": {"prober": "http", "http": {"tls_config": SKIP, "preferred_ip_protocol": "ip4"}},
    "http_1": {"prober": "http", "http": {"tls_config": TRUST, "enable_http2": False, **PREFER}},
    "http_6": {"prober": "http", "http": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False}},
    "http_post": {"prober": "http", "http": {"method": "POST", "body": "{}", **PREFER}},
    "http_head": {"prober": "http", "http": {"method": "HEAD", **PREFER}},
    "http_stay": {
        "prober": "http",
        "http": {"follow_redirects": False, "valid_status_codes": [302], **PREFER},
    },
    "http_stay_old": {"prober": "http", "http": {"no_follow_redirects": True, **PREFER}},
    "http_204": {"prober": "http", "http": {"valid_status_codes": [204, 404], **PREFER}},
    "http_v2": {
        "prober": "http",
        "http": {"valid_http_versions": ["HTTP/2.0"], "tls_config": TRUST, **PREFER},
    },
    "http_ssl": {"prober": "http", "http": {"fail_if_ssl": True, "tls_config": TRUST, **PREFER}},
    "http_no_ssl": {"prober": "http", "http": {"fail_if_not_ssl": True, **PREFER}},
    "http_gzip": {"prober": "http", "http": {"compression": "gzip", **PREFER}},
    "http_small": {"prober": "http", "http": {"body_size_limit": "3B", **PREFER}},
    "http_match": {"prober": "http", "http": {"fail_if_body_matches_regexp": ["sor+y", "w.rld$"], **PREFER}},
    "http_not_match": {
        "prober": "http",
        "http": {"fail_if_body_not_matches_regexp": ["hello", "bye"], **PREFER},
    },
    "http_header": {
        "prober": "http",
        "http": {"fail_if_header_matches": [{"header": "x-state", "regexp": "^bad"}], **PREFER},
    },
    "http_header_missing": {
        "prober": "http",
        "http": {
            "fail_if_header_not_matches": [{"header": "X-State", "regexp": "go+d", "allow_missing": True}],
            **PREFER,
        },
    },
    "http_secret": {"prober": "http", "http": {"basic_auth": {"username": "a", "password": "b"}, **PREFER}},
    "http_bearer": {"prober": "http", "http": {"bearer_token": "word", **PREFER}},
    "http_host": {"prober": "http", "http": {"headers": {"Host": "vhost.example.org", "X-A": "b"}, **PREFER}},
    "tcp": {"prober": "tcp", "tcp": PREFER},
    "tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": TRUST, **PREFER}},
    "tls_named": {
        "prober": "tcp",
        "tcp": {"tls": True, "tls_config": {**TRUST, "server_name": "other.example"}, **PREFER},
    },
    "tls_skip": {"prober": "tcp", "tcp": {"tls": True, "tls_config": SKIP, **PREFER}},
    "tls_12": {
        "prober": "tcp",
        "tcp": {"tls": True, "tls_config": {**TRUST, "max_version": "TLS12"}, **PREFER},
    },
    "starttls": {"prober": "tcp", "tcp": {"query_response": DIALOGUE, "tls_config": TRUST, **PREFER}},
    "starttls_skip": {"prober": "tcp", "tcp": {"query_response": DIALOGUE, "tls_config": SKIP, **PREFER}},
    "expect_never": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^never$"}], **PREFER}},
    "dns_a": {"prober": "dns", "dns": {"query_name": "www.example.org", "query_type": "A", **PREFER}},
    "dns_any": {"prober": "dns", "dns": {"query_name": "www.example.org", **PREFER}},
    "dns_soa": {"prober": "dns", "dns": {"query_name": "example.org", "query_type": "SOA", **PREFER}},
    "dns_none": {"prober": "dns", "dns": {"query_name": "example.net", "query_type": "A", **PREFER}},
    "dns_none_wanted": {
        "prober": "dns",
        "dns": {"query_name": "example.net", "query_type": "SOA", "valid_rcodes": ["NXDOMAIN"], **PREFER},
    },
    "dns_tcp": {
        "prober": "dns",
        "dns": {"query_name": "example.org", "query_type": "SOA", "transport_protocol": "tcp", **PREFER},
    },
    "dns_tls": {
        "prober": "dns",
        "dns": {
            "query_name": "example.org",
            "query_type": "MX",
            "transport_protocol": "tcp",
            "dns_over_tls": True,
            "tls_config": TRUST,
            **PREFER,
        },
    },
    "icmp": {"prober": "icmp", "icmp": PREFER},
    "icmp_6": {"prober": "icmp", "icmp": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False}},
    "icmp_large": {"prober": "icmp", "icmp": {"payload_size": 1200, "ttl": 7, **PREFER}},
    "grpc": {"prober": "grpc", "grpc": {"tls": True, "tls_config": TRUST, **PREFER}},
    "grpc_plain": {"prober": "grpc", "grpc": {"service": "shop", **PREFER}},
}
RECORDS = {
    "fail_if_matches_regexp": ["192\\.0\\.2\\.7", "nothing"],
    "fail_if_not_matches_regexp": ["^www\\.example\\.org\\.\t300\tIN\tA\t192", "\\.7$"],
    "fail_if_all_match_regexp": ["\tA\t192", "\\.7$"],
    "fail_if_none_matches_regexp": ["\\.8$", "nothing"],
}
for _rule, _patterns in RECORDS.items():
    for _number, _pattern in enumerate(_patterns):
        MODULES[f"{_rule}_{_number}"] = {
            "prober": "dns",
            "dns": {
                "query_name": "www.example.org",
                "query_type": "A",
                "validate_answer_rrs": {_rule: [_pattern]},
                **PREFER,
            },
        }
        MODULES[f"{_rule}_empty_{_number}"] = {
            "prober": "dns",
            "dns": {
                "query_name": "www.example.org",
                "query_type": "A",
                "validate_additional_rrs": {_rule: [_pattern]},
                **PREFER,
            },
        }

CASES = [
    *(
        (module, "{web}/", None)
        for module in ("http", "http_post", "http_head", "http_secret", "http_bearer", "http_host")
    ),
    *(
        (module, "{web}/", None)
        for module in ("http_no_ssl", "http_gzip", "http_small", "http_6", "http_204")
    ),
    *(
        (module, "{web}/hello", None)
        for module in ("http_match", "http_not_match", "http_header", "http_header_missing")
    ),
    ("http", "127.0.0.1:{web_port}", 1),
    ("http", "{web}/twice", 1),
    ("http", "{web}/round", 0),
    ("http", "{web}/500", 0),
    ("http", "{web}/nowhere", 0),
    ("http", "{web}/chunked", 1),
    ("http", "{web}/until-closed", 1),
    ("http", "{web}/cut", 0),
    ("http", "{web}/nonsense", 0),
    ("http", "{web}/empty", 0),
    ("http", "{web}/old", 1),
    ("http", "{web}/interim", 1),
    ("http", "http://127.0.0.1:{closed}/", 0),
    ("http", "http://no-such-host.invalid/", 0),
    ("http", "{tls}/", 1),
    ("http", "{web}/to-tls", 1),
    ("http", "{expired}/", 0),
    ("http", "{self_signed}/", 0),
    ("http", "{misnamed}/", 0),
    ("http", "https://127.0.0.1:{web_port}/", 0),
    ("http", "{h2}/", 1),
    ("http_1", "{h2_or_1}/", None),
    ("http_v2", "{h2}/", 1),
    ("http_v2", "{tls}/", 0),
    ("http_ssl", "{tls}/", 0),
    ("http_skip", "{expired}/", 1),
    ("http_skip", "{self_signed}/", 1),
    ("http_post", "{web}/posted", 1),
    ("http_head", "{web}/hello", 1),
    ("http_stay", "{web}/twice", 1),
    ("http_stay_old", "{web}/twice", 0),
    ("http_gzip", "{web}/gzip", 1),
    ("http_gzip", "{web}/gzip-cut", 0),
    ("http_204", "{web}/nowhere", 1),
    ("http_header", "{web}/bad", 0),
    ("tcp", "127.0.0.1:{web_port}", 1),
    ("tcp", "127.0.0.1:{closed}", 0),
    ("tcp", "127.0.0.1", 0),
    ("tls", "localhost:{tls_port}", 1),
    ("tls", "127.0.0.1:{tls_port}", 1),
    ("tls", "127.0.0.1:{expired_port}", 0),
    ("tls", "127.0.0.1:{misnamed_port}", 0),
    ("tls", "127.0.0.1:{web_port}", 0),
    ("tls_named", "127.0.0.1:{misnamed_port}", 1),
    ("tls_skip", "127.0.0.1:{self_signed_port}", 1),
    ("tls_12", "127.0.0.1:{tls_port}", 1),
    ("starttls", "127.0.0.1:{mail_port}", 1),
    ("starttls_skip", "127.0.0.1:{mail_port}", 1),
    ("expect_never", "127.0.0.1:{mail_port}", 0),
    *((module, "127.0.0.1:{dns_port}", None) for module in MODULES if module.startswith("fail_if")),
    *((module, "127.0.0.1:{dns_port}", None) for module in ("dns_a", "dns_any", "dns_soa", "dns_none")),
    ("dns_none_wanted", "127.0.0.1:{dns_port}", 1),
    ("dns_a", "127.0.0.1:{closed}", 0),
    ("dns_tcp", "127.0.0.1:{dns_tcp_port}", 1),
    ("dns_tls", "127.0.0.1:{dns_tls_port}", 1),
    ("icmp", "127.0.0.1", 1),
    ("icmp", "localhost", 1),
    ("icmp_6", "::1", 1),
    ("icmp_6", "127.0.0.1", 0),
    ("icmp_large", "127.0.0.2", 1),
    ("grpc", "localhost:{grpc_tls_port}", 1),
    ("grpc_plain", "127.0.0.1:{grpc_port}", 1),
    ("grpc_plain", "127.0.0.1:{grpc_sick_port}", 0),
    ("grpc_plain", "127.0.0.1:{closed}", 0),
]


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is, by the words of the cases."""

    places: dict[str, str]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("probes"))


@pytest.fixture(scope="module")
def config(authority: Authority) -> Path:
    """The one file that both read."""
    modules = {name: {"timeout": "2s", **module} for name, module in MODULES.items()}
    file = authority.root.with_name("blackbox.yml")
    # JSON is YAML, and has no aliases for what is used twice.
    file.write_text(json.dumps({"modules": modules}).replace('"root.pem"', json.dumps(str(authority.root))))
    return file


@pytest.fixture(scope="module")
def exporter(config: Path) -> Iterator[BlackboxExporter]:
    with BlackboxExporter(config, config.with_suffix(".log")) as running:
        yield running


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Site]:
    places: dict[str, str] = {"closed": "1"}
    good = authority.server("localhost", "127.0.0.1", "www.example.org")
    good_h2 = authority.server("localhost", "127.0.0.1")
    good_h2.set_alpn_protocols(["h2"])

    async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ready\r\n")
        line = await reader.readline()
        writer.write(b"250-first\r\n250 hello " + line.split()[1] + b"\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n")
        await writer.drain()
        await writer.start_tls(good)
        await reader.readline()
        writer.write(b"250 again\r\n")
        await writer.drain()

    async with AsyncExitStack() as stack:

        async def web(name: str, context: object, scheme: str = "https", host: str = "127.0.0.1") -> None:
            server = Web(answers(places))
            port = await stack.enter_async_context(talking(server.talk, context))  # type: ignore[arg-type]
            places[name], places[f"{name}_port"] = f"{scheme}://{host}:{port}", str(port)

        async def other(name: str, entering: object) -> None:
            places[f"{name}_port"] = str(await stack.enter_async_context(entering))  # type: ignore[arg-type]

        await web("tls", good, host="localhost")
        await web("h2_or_1", good)
        await web("expired", authority.server("127.0.0.1", days=-1, since=5))
        await web("self_signed", authority.server("127.0.0.1", is_self_signed=True))
        await web("misnamed", authority.server("other.example"))
        await web("web", None, "http")
        pages = Http2({"/": ([(":status", "200"), ("content-length", "5")], b"hello", [])})
        await other("h2", talking(pages.talk, good_h2))
        places["h2"] = f"https://127.0.0.1:{places['h2_port']}"
        await other("mail", talking(mail))
        await other("dns", answering(zone))
        await other("dns_tcp", talking(zone_by_tcp))
        await other("dns_tls", talking(zone_by_tcp, good))
        await other("grpc", talking(health(1).talk))
        await other("grpc_sick", talking(health(2).talk))
        await other("grpc_tls", talking(health(1).talk, good_h2))
        yield Site(places)


def answers(places: dict[str, str]) -> dict[str, bytes]:
    """What the web servers say."""
    dated = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT"
    packed = gzip.compress(b"hello world" * 1000)
    found = {
        "/": page(b"hello", "200 OK", dated),
        "/hello": page(b"hello\nworld", "200 OK", "X-State: good", "X-State: gooood"),
        "/bad": page(b"hello", "200 OK", "X-State: good", "X-State: bad"),
        "/posted": page(b"thanks", "201 Created"),
        "/500": page(b"sorry", "500 Oops"),
        "/twice": page(b"", "302 Found", "Location: /once", "Set-Cookie: a=b"),
        "/once": page(b"", "301 Moved", "Location: hello"),
        "/round": page(b"", "302 Found", "Location: /round"),
        "/gzip": page(packed, "200 OK", "Content-Encoding: gzip"),
        "/gzip-cut": page(packed[:-20], "200 OK", "Content-Encoding: gzip"),
        "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n ho\r\n0\r\n\r\n",
        "/until-closed": b"HTTP/1.1 200 OK\r\n\r\nhello",
        "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        "/nonsense": b"SSH-2.0-OpenSSH_9.2\r\n",
        "/empty": b"",
        "/old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "/interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + page(b"late"),
    }
    if "tls" in places:
        found["/to-tls"] = page(b"", "307 Elsewhere", f"Location: https://127.0.0.1:{places['tls_port']}/")
    return found


@pytest.mark.parametrize(("module", "where", "success"), CASES)
async def test_the_series_are_blackbox_exporters(
    exporter: BlackboxExporter, config: Path, site: Site, module: str, where: str, success: int | None
) -> None:
    target = where.format(**site.places)
    theirs = read(await asyncio.to_thread(exporter.probe, target, module))
    ours = await probed(config, target, module)
    if success is not None:
        assert theirs[Labels({METRIC_NAME: "probe_success"})] == success
    ours = {_older(labels): value for labels, value in ours.items() if labels.name not in ONLY_HERE}
    theirs = {
        labels: value for labels, value in theirs.items() if not (labels.name == CHAIN_END and value < 0)
    }
    if module.startswith("grpc"):
        ours = {labels: value for labels, value in ours.items() if labels.name != CHAIN_END}
        theirs = {
            labels: value
            for labels, value in theirs.items()
            if labels.name != "probe_ssl_earliest_cert_expiry" or value > 0
        }
    assert sorted(map(str, ours)) == sorted(map(str, theirs))
    assert {str(labels): value for labels, value in ours.items() if not _is_time(labels)} == {
        str(labels): value for labels, value in theirs.items() if not _is_time(labels)
    }


async def probed(config: Path, target: str, module: str) -> Series:
    modules = load_modules([config])
    drivers = Drivers(SystemClock(), CollectorRegistry())
    drivers.adopt(modules, {})
    if modules.probes[module].prober == "http" and not is_url(target):
        target = f"http://{target}"
    host, port = split_place(target)
    place = Target(target, host, port, url=target if is_url(target) else "")
    try:
        reading = await drivers.probe(place, module, policy=anywhere, timeout=5)
    finally:
        await drivers.close()
    return dict(zip(reading.layout.series, reading.values.tolist(), strict=True))


def read(text: str) -> Series:
    return {
        Labels({METRIC_NAME: sample.name, **sample.labels}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _older(labels: Labels) -> Labels:
    return labels.updated({LATER_LABEL: ""})


def _is_time(labels: Labels) -> bool:
    return labels.name.endswith(("_duration_seconds", "_lookup_time_seconds"))
