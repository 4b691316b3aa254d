"""The small parts: names of certificates and suites, hashes, where redirects may lead, what is told."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from sentinel.collect.collector import PollError
from sentinel.collect.probes.distinguished import written
from sentinel.collect.probes.driver import ProbeDriver
from sentinel.collect.probes.findings import FAMILIES, MOST_LAYOUTS, Findings, Layouts
from sentinel.collect.probes.policy import redirected
from sentinel.collect.probes.resolve import Resolver, choose
from sentinel.collect.probes.tls import cipher_name
from sentinel.runtime.clock import SystemClock
from tests.servers.outside import Web, page, talking
from tests.unit.probes.asking import Answer, ask, module, place


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([(NameOID.COMMON_NAME, "example.org")], "CN=example.org"),
        ([(NameOID.COUNTRY_NAME, "DE"), (NameOID.COMMON_NAME, "a")], "CN=a,C=DE"),
        ([(NameOID.COMMON_NAME, "a"), (NameOID.COMMON_NAME, "b")], "CN=b"),
        (
            [(NameOID.ORGANIZATIONAL_UNIT_NAME, "x"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "y")],
            "OU=x+OU=y",
        ),
        ([(NameOID.COMMON_NAME, ' "a"\\<b>;,+ ')], 'CN=\\ \\"a\\"\\\\\\<b\\>\\;\\,\\+\\ '),
        ([(NameOID.USER_ID, "me")], "0.9.2342.19200300.100.1.1=#13026d65"),
        ([(NameOID.USER_ID, "é" * 100)], f"0.9.2342.19200300.100.1.1=#0c81c8{'c3a9' * 100}"),
    ],
)
def test_names_of_certificates_are_written_as_go_does(
    parts: list[tuple[x509.ObjectIdentifier, str]], text: str
) -> None:
    name = x509.Name([x509.NameAttribute(oid, value, _validate=False) for oid, value in parts])
    assert written(name) == text


@pytest.mark.parametrize(
    ("openssl", "iana"),
    [
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
        ("ECDHE-RSA-AES256-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
        ("DES-CBC3-SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        ("DHE-RSA-AES128-SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"),
    ],
)
def test_suites_have_ianas_names(openssl: str, iana: str) -> None:
    assert cipher_name(openssl) == iana


@pytest.mark.parametrize(
    ("origin", "to", "allowed"),
    [
        ("93.184.216.34", "93.184.216.35", True),
        ("93.184.216.34", "10.0.0.1", False),
        ("93.184.216.34", "127.0.0.1", False),
        ("10.0.0.1", "10.0.0.2", True),
        ("10.0.0.1", "93.184.216.34", True),
        ("10.0.0.1", "169.254.169.254", False),
        ("10.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("2001:4860::1", "fd00::1", False),
        ("2001:4860::1", "::ffff:10.0.0.1", False),
        ("10.0.0.1", "::ffff:127.0.0.1", False),
        ("10.0.0.1", "2002:7f00:1::", False),
    ],
)
def test_redirects_do_not_lead_further_inside(origin: str, to: str, allowed: bool) -> None:
    assert redirected(ip_address(origin))(ip_address(to)) is allowed


async def test_the_address_is_checked_that_is_used() -> None:
    findings = Findings()
    with pytest.raises(Exception, match=r"127\.0\.0\.1, where probes from here may not go"):
        await choose(
            Resolver(),
            "127.0.0.1",
            preferred="ip6",
            fallback=True,
            clock=SystemClock(),
            findings=findings,
            policy=lambda address: not address.is_loopback,
        )
    assert findings.get("probe_ip_protocol") == 4


def test_layouts_are_shared_and_bounded() -> None:
    layouts = Layouts()
    keys = (("probe_success", ()),)
    assert layouts.of(keys) is layouts.of(keys)
    first = layouts.of(keys)
    for number in range(MOST_LAYOUTS + 1):
        layouts.of((("probe_expect_info", (("a", str(number)),)),))
    assert layouts.of(keys) is not first


def test_a_targets_text_does_not_grow_without_end() -> None:
    findings = Findings()
    findings.set("probe_expect_info", 1, said="x" * 100_000)
    (labels,) = findings.reading(Layouts()).layout.series
    assert len(labels["said"]) == 4096


async def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    web = Web({"/": page(b"", "500 Oops")})
    driver = ProbeDriver({"m": module("http")}, clock=SystemClock())
    async with talking(web.talk) as port:
        collector = driver.open(place(f"http://127.0.0.1:{port}/"), "m")
        with caplog.at_level(logging.INFO, logger="sentinel.collect.probes.driver"):
            for answer in ("500 Oops", "500 Oops", "200 OK", "200 OK"):
                web.answers = {"/": page(b"", answer)}
                reading = await collector.poll(at=0, timeout=2)
    assert [record.getMessage() for record in caplog.records] == ["probe failed", "probe succeeds again"]
    assert reading.reasons == ()
    assert "sentinel_probe_failed" not in Answer(reading).values
    await driver.close()


async def test_a_failed_probe_says_why() -> None:
    answer = await ask(module("tcp"), "127.0.0.1:1")
    (labels,) = [one for one in answer.reading.layout.series if one.name == "sentinel_probe_failed"]
    assert labels["reason"] == answer.reason == "refused"
    assert answer.reading.detail == "127.0.0.1:1 refuses connections"
    assert {one.name for one in answer.reading.layout.series} <= FAMILIES.keys()


async def test_forbidden_echo_requests_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> object:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", forbidden)
    with pytest.raises(PollError, match=r"ping_group_range") as caught:
        await ask(module("icmp"), "127.0.0.1")
    assert caught.value.reason == "forbidden"
